// Package role is what the processes of a chaos run are: the services, the NATS server and
// the worker, each run by this same binary under a hidden command.
package role

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/services/scheduler"
	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// Command is the hidden command; its first argument is a role.
const Command = "chaos-role"

// The roles.
const (
	Scheduler = "scheduler"
	Recorder  = "state-recorder"
	Pool      = "worker-pool"
	API       = "api"
	NATS      = "nats"
	Worker    = "worker"
)

// services are those that run as in their own programs.
var services = map[string]program.Spec{
	Scheduler: {Name: Scheduler, Settings: settings.Scheduler, New: func(e program.Env) (program.Service, error) {
		return scheduler.New(scheduler.ConfigOf(e))
	}},
	Recorder: {Name: Recorder, Settings: settings.StateRecorder, New: func(e program.Env) (program.Service, error) {
		return recorder.New(recorder.ConfigOf(e))
	}},
	Pool: {Name: Pool, Settings: settings.WorkerPool, New: func(e program.Env) (program.Service, error) {
		return workerpool.New(workerpool.ConfigOf(e))
	}},
	API: {Name: API, Settings: settings.API, New: func(e program.Env) (program.Service, error) {
		return api.New(api.ConfigOf(e))
	}},
}

// Run is the process's main: args are the role and its arguments. It returns the exit status.
func Run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintf(stderr, "%s: which role?\n", Command)
		return 2
	}
	name, args := args[0], args[1:]
	if spec, ok := services[name]; ok {
		return program.Run(ctx, spec, args, env, stdout, stderr)
	}
	var err error
	switch name {
	case NATS:
		err = serveNATS(ctx, args, stderr)
	case Worker:
		err = work(ctx, args)
	default:
		fmt.Fprintf(stderr, "%s: there is no role %q\n", Command, name)
		return 2
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s %s: %s\n", Command, name, strings.TrimSpace(err.Error()))
		return 1
	}
	return 0
}
