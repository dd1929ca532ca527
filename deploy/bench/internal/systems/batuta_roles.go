package systems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

func init() {
	for _, sync := range []string{PromiseSecond, PromiseAlways} {
		workers[Batuta{Sync: sync}.Name()] = batutaWorker
		producers[Batuta{Sync: sync}.Name()] = connectBatuta
		producers[Batuta{Sync: sync, Processes: true}.Name()] = connectBatuta
	}
}

// taskType of all tasks.
const taskType = "bench"

type batutaSubmitter struct {
	nc *nats.Conn
	c  *client.Client
}

func connectBatuta(_ context.Context, spec role.Producer) (submitter, error) {
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: spec.Addr, Name: "bench producer"})
	if err != nil {
		return nil, err
	}
	c, err := client.New(nc)
	if err != nil {
		return nil, err
	}
	return &batutaSubmitter{nc: nc, c: c}, nil
}

func (b *batutaSubmitter) one(ctx context.Context, priority string, payload []byte) error {
	_, err := b.c.Submit(ctx, task(priority, payload))
	return err
}

func (b *batutaSubmitter) many(ctx context.Context, priority string, payloads [][]byte) error {
	tasks := make([]client.Task, len(payloads))
	for i, p := range payloads {
		tasks[i] = task(priority, p)
	}
	_, err := b.c.SubmitMany(ctx, tasks)
	return err
}

func task(priority string, payload []byte) client.Task {
	return client.Task{Type: taskType, Priority: wire.Priority(priority), Payload: json.RawMessage(payload)}
}

func (b *batutaSubmitter) close() {
	b.c.Close()
	b.nc.Close()
}

// batutaWorker is a process with an embedded pool whose handlers run in it.
func batutaWorker(ctx context.Context, spec role.Worker, pipe *role.Pipe) error {
	h, err := newHandler(spec, pipe)
	if err != nil {
		return err
	}
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: spec.Addr, Name: "bench worker"})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncTimeout(5*time.Second))
	if err != nil {
		return err
	}
	mux := worker.NewMux()
	mux.Handle(taskType, batutaHandler(h))
	pool, err := workerpool.New(workerpool.Config{JS: js, Handlers: mux, Min: 1, Max: 1, Concurrency: spec.Slots, Drain: 5 * time.Second})
	if err != nil {
		return err
	}
	if err := pool.Start(ctx); err != nil {
		return err
	}
	err = h.serve()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if stopped := pool.Stop(stop); err == nil {
		err = stopped
	}
	return err
}

// pools keeps many workers that have nothing to do, in pools of at most poolWorkers, as hosts
// would have them.
func pools(ctx context.Context, spec role.Pool, pipe *role.Pipe) (err error) {
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: spec.Addr, Name: "bench pools"})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	mux := worker.NewMux()
	mux.Handle(taskType, func(context.Context, *worker.Task) (any, error) { return nil, nil })
	for left := spec.Workers; left > 0; left -= poolWorkers {
		n := min(left, poolWorkers)
		pool, err := workerpool.New(workerpool.Config{JS: js, Handlers: mux, Min: n, Max: n, Concurrency: 1})
		if err != nil {
			return err
		}
		if err := pool.Start(ctx); err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, pool.Stop(stop))
		}()
	}
	pipe.Say(role.Line{Op: role.OpReady})
	for {
		if _, err := pipe.Hear(); err != nil {
			return nil //nolint:nilerr // the benchmark has enough
		}
	}
}

// poolWorkers is how many workers one pool process has.
const poolWorkers = 50

func batutaHandler(h *handler) worker.Handler {
	return func(_ context.Context, t *worker.Task) (any, error) {
		payload, err := t.Payload()
		if err != nil {
			return nil, err
		}
		return nil, h.handle(payload)
	}
}

// LineWorker is the main of a worker process that a pool runs.
func LineWorker(ctx context.Context) error {
	spec, err := workerSpec()
	if err != nil {
		return fmt.Errorf("%s: %w", envLineWorker, err)
	}
	h, err := newHandler(spec, nil)
	if err != nil {
		return err
	}
	w := worker.New(worker.Options{})
	w.Handle(taskType, batutaHandler(h))
	if err := w.Run(ctx); err != nil {
		return err
	}
	if err := h.book.Save(spec.Ledger); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return err
	}
	return nil
}
