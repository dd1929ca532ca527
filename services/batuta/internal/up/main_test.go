package up_test

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/services/batuta/internal/workercmd"
	"github.com/batuta-tasks/batuta/services/scheduler"
	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// The test binary is the worker process of the systems under test, and each of their
// services, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "worker":
			os.Exit(workercmd.Run(context.Background(), os.Stdin, os.Stdout, os.Stderr, os.Environ()))
		case "service":
			os.Exit(service(os.Args[2]))
		case "leftovers":
			os.Exit(leftovers(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

// specs are those of the services' mains.
var specs = map[string]program.Spec{
	"scheduler": {
		Name: "scheduler", Settings: settings.Scheduler,
		New: func(e program.Env) (program.Service, error) { return scheduler.New(scheduler.ConfigOf(e)) },
	},
	"worker-pool": {
		Name: "worker-pool", Settings: settings.WorkerPool,
		New: func(e program.Env) (program.Service, error) { return workerpool.New(workerpool.ConfigOf(e)) },
	},
	"state-recorder": {
		Name: "state-recorder", Settings: settings.StateRecorder,
		New: func(e program.Env) (program.Service, error) { return recorder.New(recorder.ConfigOf(e)) },
	},
	"api": {
		Name: "api", Settings: settings.API,
		New: func(e program.Env) (program.Service, error) { return api.New(api.ConfigOf(e)) },
	},
}

// service runs one service until it is told to stop, or the test that started it is gone.
func service(name string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	return program.Run(context.Background(), specs[name], nil, os.Environ(), os.Stdout, os.Stderr)
}
