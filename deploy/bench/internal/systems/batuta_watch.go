package systems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/clock"
)

// watcher follows the recorder's totals, which change in the same commit as the records.
type watcher struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	watch jetstream.ConsumeContext

	mu        sync.Mutex
	submitted uint64
	completed uint64
	at        int64
	changed   chan struct{}
}

func watch(ctx context.Context, url string) (*watcher, error) {
	nc, err := nats.Connect(url, nats.Name("bench watcher"))
	if err != nil {
		return nil, err
	}
	w := &watcher{nc: nc, changed: make(chan struct{})}
	if w.js, err = jetstream.New(nc); err == nil {
		err = w.follow(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("follow the recorder's totals: %w", err)
	}
	return w, nil
}

func (w *watcher) follow(ctx context.Context) error {
	c, err := w.js.OrderedConsumer(ctx, wire.StreamTasks, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{wire.KVSubject(wire.BucketTasks, wire.KeyTotals)}, DeliverPolicy: jetstream.DeliverLastPolicy,
	})
	if err != nil {
		return err
	}
	w.watch, err = c.Consume(func(m jetstream.Msg) {
		at := clock.Now()
		var t wire.Totals
		if json.Unmarshal(m.Data(), &t) != nil {
			return
		}
		completed := uint64(0)
		for _, n := range t.Finished[wire.StatusCompleted] {
			completed += n
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if completed > w.completed {
			w.at = at
		}
		w.submitted, w.completed = t.Submitted, completed
		close(w.changed)
		w.changed = make(chan struct{})
	})
	return err
}

// until waits for the totals to satisfy ok.
func (w *watcher) until(ctx context.Context, ok func() bool) (int64, error) {
	for {
		w.mu.Lock()
		met, at, changed := ok(), w.at, w.changed
		submitted, completed := w.submitted, w.completed
		w.mu.Unlock()
		if met {
			return at, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, fmt.Errorf("recorded are %d submitted and %d completed tasks: %w", submitted, completed, context.Cause(ctx))
		}
	}
}

func (w *watcher) recorded(ctx context.Context, n int) (int64, error) {
	return w.until(ctx, func() bool { return w.completed >= uint64(n) })
}

// settled waits until the records know of n tasks and the lanes hold them.
func (w *watcher) settled(ctx context.Context, n int) error {
	if _, err := w.until(ctx, func() bool { return w.submitted >= uint64(n) }); err != nil {
		return err
	}
	for {
		s, err := w.js.Stream(ctx, wire.StreamReady)
		if err != nil {
			return err
		}
		if s.CachedInfo().State.Msgs >= uint64(n) {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the lanes hold %d messages: %w", s.CachedInfo().State.Msgs, context.Cause(ctx))
		}
	}
}

// verify reads the record of every task: completed, at the first attempt.
func (w *watcher) verify(ctx context.Context, n int) error {
	s, err := w.js.Stream(ctx, wire.StreamTasks)
	if err != nil {
		return err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(wire.KVSubject(wire.BucketTasks, "*")))
	if err != nil {
		return err
	}
	if held := len(info.State.Subjects); held != n {
		return fmt.Errorf("%d records of %d tasks", held, n)
	}
	c, err := w.js.OrderedConsumer(ctx, wire.StreamTasks, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{wire.KVSubject(wire.BucketTasks, "*")}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	msgs, err := c.Messages()
	if err != nil {
		return err
	}
	defer msgs.Stop()
	for range n {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		r, err := wire.DecodeRecord(m.Data())
		if err != nil {
			return err
		}
		if r.Status != wire.StatusCompleted || r.Attempt != 1 || r.Meta.Crashes != 0 {
			return errors.New("not completed at its first attempt: " + string(m.Data()))
		}
	}
	return nil
}

func (w *watcher) close() {
	w.watch.Stop()
	w.nc.Close()
}
