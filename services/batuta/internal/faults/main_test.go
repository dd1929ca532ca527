package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/services/scheduler"
	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/batuta-tasks/batuta/shared/worker"
)

const (
	// envService makes this test binary one of the services.
	envService = "BATUTA_TEST_SERVICE"
	// envLedger is the file to which handlers write what they run.
	envLedger = "BATUTA_TEST_LEDGER"
	// envConcurrency is how many tasks a worker process runs at once; 4 without it.
	envConcurrency = "BATUTA_TEST_CONCURRENCY"
)

func TestMain(m *testing.M) {
	natstest.ServeIfAsked()
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(work())
	}
	if name := os.Getenv(envService); name != "" {
		os.Exit(program.Main(specs[name]))
	}
	// What ends in order, with a status, has the race detector all the same: see racing.
	os.Exit(natstest.WithoutRace(m.Run))
}

// specs are the programs of the services, as their own mains have them.
var specs = map[string]program.Spec{
	"scheduler": {Name: "scheduler", Settings: settings.Scheduler, New: func(e program.Env) (program.Service, error) {
		return scheduler.New(scheduler.ConfigOf(e))
	}},
	"state-recorder": {Name: "state-recorder", Settings: settings.StateRecorder, New: func(e program.Env) (program.Service, error) {
		return recorder.New(recorder.ConfigOf(e))
	}},
	"worker-pool": {Name: "worker-pool", Settings: settings.WorkerPool, New: func(e program.Env) (program.Service, error) {
		return workerpool.New(workerpool.ConfigOf(e))
	}},
	"api": {Name: "api", Settings: settings.API, New: func(e program.Env) (program.Service, error) {
		return api.New(api.ConfigOf(e))
	}},
}

// work is a worker process whose handlers write a ledger, outside of NATS.
func work() int {
	concurrency := 4
	if v := os.Getenv(envConcurrency); v != "" {
		var err error
		if concurrency, err = strconv.Atoi(v); err != nil {
			fmt.Fprintln(os.Stderr, envConcurrency+":", err)
			return 1
		}
	}
	w := worker.New(worker.Options{Concurrency: concurrency})
	w.Handle("nap", func(ctx context.Context, t *worker.Task) (any, error) {
		var ms int
		if err := t.Bind(&ms); err != nil {
			return nil, err
		}
		if err := enter("began", t); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(ms) * time.Millisecond):
		}
		return t.Fence, enter("did", t)
	})
	w.Handle("instant", func(_ context.Context, t *worker.Task) (any, error) { return t.Fence, enter("did", t) })
	w.Handle("gauge", measured)
	w.Handle("flaky", func(_ context.Context, t *worker.Task) (any, error) {
		if err := enter("began", t); err != nil {
			return nil, err
		}
		if t.Attempt == 1 {
			return nil, fmt.Errorf("the first attempt fails")
		}
		return t.Fence, enter("did", t)
	})
	if err := w.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

// enter adds a line to the ledger: one write, so that lines of several processes stay whole.
func enter(what string, t *worker.Task) error {
	f, err := os.OpenFile(os.Getenv(envLedger), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %s %d %d\n", what, t.ID, t.Attempt, t.Fence); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}
