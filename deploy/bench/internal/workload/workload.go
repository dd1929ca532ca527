// Package workload holds what is measured.
package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/ledger"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/systems"
)

// Figures are what one run of a workload gives, by name.
type Figures map[string]float64

// Sizes say how much is done.
type Sizes struct {
	// One is the tasks of the workloads one at a time, Bulk of those in bulk, Batch the tasks of
	// one bulk call.
	One, Bulk, Batch int
	// Slots is how many tasks run at once; PrioritySlots in the workload of priorities.
	Slots, PrioritySlots int
	// Idle is the tasks of the idle latency, IdleSlow those of systems as they come, which
	// poll seldom.
	Idle, IdleSlow int
	// Low is the backlog, High how many overtake it.
	Low, High int
	// Patience is how long a recovery is waited for.
	Patience time.Duration
}

// Full and Quick are the two sizes.
var (
	Full = Sizes{
		One: 30_000, Bulk: 100_000, Batch: 1000, Slots: 64, PrioritySlots: 16, Idle: 500, IdleSlow: 60, Low: 20_000, High: 100,
		Patience: 150 * time.Second,
	}
	Quick = Sizes{
		One: 2_000, Bulk: 10_000, Batch: 1000, Slots: 64, PrioritySlots: 16, Idle: 50, IdleSlow: 10, Low: 3_000, High: 30,
		Patience: 8 * time.Second,
	}
)

// Workload is one thing that is measured.
type Workload struct {
	Name string
	// Once: measured in the first run only, since it takes long and varies little.
	Once bool
	run  func(context.Context, *bench) (Figures, error)
}

// All workloads, in their order.
func All() []Workload {
	return []Workload{
		{Name: "one8", run: func(ctx context.Context, b *bench) (Figures, error) { return b.live(ctx, role.ModeOne, 8) }},
		{Name: "one64", run: func(ctx context.Context, b *bench) (Figures, error) { return b.live(ctx, role.ModeOne, 64) }},
		{Name: "api64", run: func(ctx context.Context, b *bench) (Figures, error) { return b.live(ctx, role.ModeHTTP, 64) }},
		{Name: "bulk", run: func(ctx context.Context, b *bench) (Figures, error) { return b.live(ctx, role.ModeBulk, bulkProducers) }},
		{Name: "drain", run: func(ctx context.Context, b *bench) (Figures, error) { return b.drain(ctx) }},
		{Name: "idle", run: func(ctx context.Context, b *bench) (Figures, error) { return b.idle(ctx) }},
		{Name: "high", run: func(ctx context.Context, b *bench) (Figures, error) { return b.high(ctx) }},
		{Name: "recovery", Once: true, run: func(ctx context.Context, b *bench) (Figures, error) { return b.recovery(ctx) }},
	}
}

// timeout of one workload, its start and end included.
const timeout = 8 * time.Minute

// Run starts a system anew, runs one workload and stops the system.
func (w Workload) Run(ctx context.Context, sys systems.System, size Sizes, env systems.Env) (f Figures, settings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := os.RemoveAll(env.Dir); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(env.Dir, 0o755); err != nil {
		return nil, nil, err
	}
	b := &bench{sys: sys, size: size, env: env}
	defer b.stop()
	f, err = w.run(ctx, b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s, %s: %w", sys.Name(), w.Name, err)
	}
	return f, b.server.Settings, nil
}

// bench is one workload under way.
type bench struct {
	sys    systems.System
	size   Sizes
	env    systems.Env
	server *systems.Server
	roles  []*proc.Process
	nth    int
}

// start starts the servers; what workers are to do must be known by then.
func (b *bench) start(ctx context.Context, w role.Worker) (err error) {
	if w.Slots == 0 {
		w.Slots = b.size.Slots
	}
	w.System, w.Ledger = b.sys.Name(), b.env.Ledger()
	b.env.Worker, b.env.Slots = w, w.Slots
	b.server, err = b.sys.Start(ctx, b.env)
	return err
}

// worker starts a worker process and waits until it takes tasks; nil where the servers run
// the workers.
func (b *bench) worker(ctx context.Context) (*proc.Process, error) {
	if b.server.OwnWorkers {
		return nil, nil
	}
	w := b.env.Worker
	w.Addr = b.server.Addr
	return b.role(ctx, systems.KindWorker, w)
}

func (b *bench) producer(ctx context.Context, p role.Producer) (*proc.Process, error) {
	p.System, p.Addr, p.HTTP = b.sys.Name(), b.server.Addr, b.server.HTTP
	return b.role(ctx, systems.KindProducer, p)
}

func (b *bench) role(ctx context.Context, kind string, spec any) (*proc.Process, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	b.nth++
	p, err := proc.Start(proc.Options{
		Name: b.sys.Name() + " " + kind, Args: append(b.sys.Command(b.env, kind), string(raw)), Dir: b.env.Dir,
		Log: filepath.Join(b.env.Dir, "log", fmt.Sprintf("%s-%d.log", kind, b.nth)),
	})
	if err != nil {
		return nil, err
	}
	b.roles = append(b.roles, p)
	_, err = p.Hear(ctx, role.OpReady)
	return p, err
}

// stopRoles ends producers and workers.
func (b *bench) stopRoles() {
	for _, p := range b.roles {
		p.Stop(syscall.SIGTERM)
	}
	b.roles = nil
}

func (b *bench) stop() {
	b.stopRoles()
	if b.server != nil {
		b.server.Stop()
	}
}

// ledger collects what the workers wrote; those of the servers write when they end.
func (b *bench) ledger(ctx context.Context, workers ...*proc.Process) (*ledger.Ledger, error) {
	for _, w := range workers {
		if w == nil {
			continue
		}
		if err := w.Say(role.OpSave); err != nil {
			return nil, err
		}
		if _, err := w.Hear(ctx, role.OpSaved); err != nil {
			return nil, err
		}
	}
	if b.server.OwnWorkers {
		b.stopRoles()
		b.server.Stop()
	}
	return ledger.Read(b.env.Ledger())
}

// verify checks that n tasks ran exactly once, by the handlers' word and by the system's.
func (b *bench) verify(ctx context.Context, n int, workers ...*proc.Process) (*ledger.Ledger, error) {
	if b.server.Verify != nil {
		if err := b.server.Verify(ctx, n); err != nil {
			return nil, err
		}
	}
	l, err := b.ledger(ctx, workers...)
	if err != nil {
		return nil, err
	}
	return l, l.Once(n)
}

// pids of all processes that take part: servers, producers, workers.
func (b *bench) pids() []int {
	all := b.server.PIDs()
	for _, p := range b.roles {
		all = append(all, p.PID())
	}
	return all
}

// finished waits for n ends: of the handlers, and in the records where there are any.
func (b *bench) finished(ctx context.Context, n int, worker *proc.Process) (handled, recorded int64, err error) {
	if worker != nil {
		l, err := worker.Hear(ctx, role.OpDone)
		if err != nil {
			return 0, 0, err
		}
		handled = l.At
	}
	recorded = handled
	if b.server.Recorded != nil {
		if recorded, err = b.server.Recorded(ctx, n); err != nil {
			return 0, 0, err
		}
	}
	if handled == 0 {
		handled = recorded
	}
	if handled == 0 {
		return 0, 0, errors.New("neither handlers nor records tell an end")
	}
	return handled, recorded, nil
}

// Names of the workloads.
func Names() string {
	var all []string
	for _, w := range All() {
		all = append(all, w.Name)
	}
	return strings.Join(all, ", ")
}
