// Package systems holds what is compared: how each system's servers are started, and how its
// producer and worker processes work.
package systems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// Env is where a system is started.
type Env struct {
	// Dir is for its data and logs, and is empty.
	Dir string
	// Self is this program, Batuta the program `batuta`, Root the benchmark's own folder.
	Self, Batuta, Root string
	// Slots is how many tasks run at once.
	Slots int
	// Worker is what workers are to do, for systems whose server starts them.
	Worker role.Worker
	// Profile is a folder for CPU profiles; empty: none.
	Profile string
}

// Ledger is the folder that workers write to.
func (e Env) Ledger() string { return filepath.Join(e.Dir, "ledger") }

func (e Env) log(name string) string { return filepath.Join(e.Dir, "log", name+".log") }

// Server is a system that runs.
type Server struct {
	// Addr is for producers and workers, HTTP the API's where there is one.
	Addr, HTTP string
	// Settings are what was read back from the servers, one a line.
	Settings []string
	// Data is the folder of their storage.
	Data string
	// OwnWorkers: the server starts the workers.
	OwnWorkers bool
	// Recorded returns when n tasks stood as completed in the system's own records; nil:
	// not told apart from the handlers' ends.
	Recorded func(ctx context.Context, n int) (at int64, err error)
	// Settled waits until n tasks lie ready to be taken; nil: they do once acknowledged.
	Settled func(ctx context.Context, n int) error
	// Verify checks the system's own records of n tasks; nil: it keeps none.
	Verify func(ctx context.Context, n int) error

	procs []*proc.Process
	stop  []func()
}

// PIDs are the servers' processes.
func (s *Server) PIDs() []int {
	var all []int
	for _, p := range s.procs {
		all = append(all, p.PID())
	}
	return all
}

// Stop stops the servers.
func (s *Server) Stop() {
	for _, f := range slices.Backward(s.stop) {
		f()
	}
	s.stop = nil
}

// System is one row of the comparison.
type System interface {
	// Name as given to --systems.
	Name() string
	// Promise is what an acknowledged task survives: always (power loss), 1s (power loss but
	// for a second), or none of interest.
	Promise() string
	// Runs tells whether the system takes part in a workload.
	Runs(workload string) bool
	// Start starts the servers.
	Start(ctx context.Context, e Env) (*Server, error)
	// Versions of what is compared.
	Versions(ctx context.Context, e Env) []string
	// Command is the program of its producers and workers, and its first arguments.
	Command(e Env, kind string) []string
}

// Promises.
const (
	PromiseAlways = "always"
	PromiseSecond = "1s"
)

// All systems, in the order of the tables.
func All() []System {
	return []System{
		Batuta{Sync: PromiseSecond}, Batuta{Sync: PromiseAlways}, Batuta{Sync: PromiseSecond, Processes: true},
		Asynq{}, Asynq{AsItComes: true}, River{}, River{AsItComes: true}, BullMQ{}, JetStream{},
	}
}

// worker and producer processes in Go, by system.
var (
	workers   = map[string]func(context.Context, role.Worker, *role.Pipe) error{}
	producers = map[string]func(context.Context, role.Producer) (submitter, error){}
)

// Roles of this program.
const (
	KindWorker   = "worker"
	KindProducer = "producer"
	KindPool     = "pool"
)

// RunRole is the main of a producer, worker or pool process.
func RunRole(ctx context.Context, kind, spec string) error {
	pipe := role.NewPipe(os.Stdin, os.Stdout)
	switch kind {
	case KindWorker:
		var w role.Worker
		if err := json.Unmarshal([]byte(spec), &w); err != nil {
			return err
		}
		run, ok := workers[w.System]
		if !ok {
			return fmt.Errorf("no worker of %q", w.System)
		}
		return run(ctx, w, pipe)
	case KindProducer:
		var p role.Producer
		if err := json.Unmarshal([]byte(spec), &p); err != nil {
			return err
		}
		return produce(ctx, p, pipe)
	case KindPool:
		var p role.Pool
		if err := json.Unmarshal([]byte(spec), &p); err != nil {
			return err
		}
		return pools(ctx, p, pipe)
	}
	return errors.New("a role is worker, producer or pool")
}

// freePort is a port of the loopback that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // it is only for its number
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Names of all systems.
func Names() string {
	var all []string
	for _, s := range All() {
		all = append(all, s.Name())
	}
	return strings.Join(all, ", ")
}
