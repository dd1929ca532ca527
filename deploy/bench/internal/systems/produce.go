package systems

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/clock"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
)

// submitter submits tasks to one system. Both calls return when the tasks are acknowledged.
type submitter interface {
	one(ctx context.Context, priority string, payload []byte) error
	many(ctx context.Context, priority string, payloads [][]byte) error
	close()
}

var errNoBulk = errors.New("the system takes no tasks in bulk")

// produce is the main of a producer process.
func produce(ctx context.Context, spec role.Producer, pipe *role.Pipe) error {
	connect := producers[spec.System]
	if spec.Mode == role.ModeHTTP {
		connect = connectHTTP
	}
	if connect == nil {
		return fmt.Errorf("no producer of %q", spec.System)
	}
	sub, err := connect(ctx, spec)
	if err != nil {
		return err
	}
	defer sub.close()
	pipe.Say(role.Line{Op: role.OpReady})
	if spec.Mode == role.ModeStep {
		return step(ctx, spec, pipe, sub)
	}
	if l, err := pipe.Hear(); err != nil || l.Op != role.OpGo {
		return errors.Join(err, errors.New("nothing to do"))
	}
	done := role.Line{Op: role.OpDone, From: clock.Now()}
	calls, err := load(ctx, spec, sub)
	if err != nil {
		return err
	}
	done.To = clock.Now()
	done.CallsMs = []float64{stats.Quantile(calls, 0.5), stats.Quantile(calls, 0.99)}
	pipe.Say(done)
	_, err = pipe.Hear() // the benchmark closes stdin
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// step submits one task for each line.
func step(ctx context.Context, spec role.Producer, pipe *role.Pipe, sub submitter) error {
	for n := spec.First; ; n++ {
		l, err := pipe.Hear()
		if err != nil {
			return nil //nolint:nilerr // the benchmark has enough
		}
		if l.Op != role.OpStep {
			return fmt.Errorf("%q is not %q", l.Op, role.OpStep)
		}
		from := clock.Now()
		if err := sub.one(ctx, spec.Priority, role.Payload(n, from)); err != nil {
			return err
		}
		pipe.Say(role.Line{Op: role.OpDone, From: from, To: clock.Now()})
	}
}

// load submits all tasks by several producers side by side, and returns how long each call
// took in milliseconds.
func load(ctx context.Context, spec role.Producer, sub submitter) ([]float64, error) {
	size := 1
	if spec.Mode == role.ModeBulk {
		size = spec.Batch
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	var mu sync.Mutex
	var calls []float64
	var failed error
	for range spec.Producers {
		wait.Go(func() {
			mine, err := producer(ctx, spec, sub, &next, size)
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, mine...)
			failed = errors.Join(failed, err)
		})
	}
	wait.Wait()
	return calls, failed
}

func producer(ctx context.Context, spec role.Producer, sub submitter, next *atomic.Int64, size int) ([]float64, error) {
	calls := make([]float64, 0, spec.Tasks/spec.Producers/size+1)
	for {
		from := int(next.Add(int64(size))) - size
		if from >= spec.Tasks {
			return calls, nil
		}
		at := clock.Now()
		var err error
		if spec.Mode == role.ModeBulk {
			batch := make([][]byte, 0, size)
			for n := from; n < min(from+size, spec.Tasks); n++ {
				batch = append(batch, role.Payload(spec.First+n, at))
			}
			err = sub.many(ctx, spec.Priority, batch)
		} else {
			err = sub.one(ctx, spec.Priority, role.Payload(spec.First+from, at))
		}
		if err != nil {
			return calls, err
		}
		calls = append(calls, clock.Ms(clock.Now()-at))
	}
}

// httpSubmitter posts tasks to Batuta's API.
type httpSubmitter struct {
	url    string
	client *http.Client
}

func connectHTTP(_ context.Context, spec role.Producer) (submitter, error) {
	t := &http.Transport{
		MaxIdleConns: spec.Producers, MaxIdleConnsPerHost: spec.Producers, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	return &httpSubmitter{url: spec.HTTP + "/tasks", client: &http.Client{Transport: t, Timeout: 30 * time.Second}}, nil
}

func (h *httpSubmitter) one(ctx context.Context, _ string, payload []byte) error {
	body := append(append([]byte(`{"type":"bench","payload":`), payload...), '}')
	return h.post(ctx, body)
}

func (h *httpSubmitter) many(ctx context.Context, _ string, payloads [][]byte) error {
	body := []byte{'['}
	for i, p := range payloads {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, `{"type":"bench","payload":`...), p...), '}')
	}
	return h.post(ctx, append(body, ']'))
}

func (h *httpSubmitter) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST /tasks: %s", res.Status)
	}
	return nil
}

func (h *httpSubmitter) close() { h.client.CloseIdleConnections() }
