// Package chaos is `batuta chaos`: it starts a system of many processes, runs a mixed
// workload on it, kills, stops, cuts and restarts every kind of process at random, and then
// checks from the streams, and from a ledger that the handlers kept, that nothing was lost
// and nothing counted twice.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/load"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Run runs the command and returns its exit status: 0, 1 where something was broken or the
// run could not be carried out. The client is of the system to join, nil where one is started.
func Run(ctx context.Context, o options.Options, client *apiclient.Client, out, errOut *term.Screen) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r := &run{opts: o, out: out, err: errOut}
	carryOut := r.run
	if client != nil {
		carryOut = (&joined{run: r, c: client}).drive
	}
	rep, err := carryOut(ctx)
	if err != nil {
		fmt.Fprintf(errOut, "batuta chaos: seed %d: %v\n", o.Seed, err)
		return 1
	}
	if err := r.print(rep); err != nil || len(rep.Broken) > 0 || len(rep.Findings) > 0 {
		return 1
	}
	return 0
}

// run is one run of the command.
type run struct {
	opts     options.Options
	out, err *term.Screen
	log      *slog.Logger
	dir      string

	sys   *system
	watch *watcher
	load  *load.Load
	inj   *injector
	begun time.Time
	plan  []plan.Fault
	// tamper, in tests, changes what the system holds before it is read.
	tamper func(context.Context, jetstream.JetStream) error
}

// settleTimeout bounds how long open tasks may take to end once everything is whole again.
const settleTimeout = 3 * time.Minute

// tellEvery is how often it is said what has not ended yet.
const tellEvery = 10 * time.Second

func (r *run) run(ctx context.Context) (rep *Report, err error) {
	if err := r.makeDir(); err != nil {
		return nil, err
	}
	keep := true // until all is well
	defer func() {
		if keep || r.opts.Keep {
			fmt.Fprintf(r.err, "what is left of the run: %s\n", r.dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(r.dir))
	}()
	logs, err := os.Create(filepath.Join(r.dir, "chaos.log"))
	if err != nil {
		return nil, err
	}
	defer logs.Close() //nolint:errcheck // a log
	r.log = slog.New(slog.NewTextHandler(logs, nil))
	if r.sys, err = newSystem(r.opts, r.dir, r.log); err != nil {
		return nil, err
	}
	defer r.sys.close()
	rep, err = r.drive(ctx)
	keep = err != nil || len(rep.Broken) > 0 || len(rep.Findings) > 0
	return rep, err
}

func (r *run) makeDir() (err error) {
	if r.dir = r.opts.Dir; r.dir == "" {
		r.dir, err = os.MkdirTemp("", "batuta-chaos-")
		return err
	}
	if r.dir, err = filepath.Abs(r.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o750); err != nil {
		return err
	}
	// What an earlier run of the seed left stays, and is not mixed with this one.
	name := filepath.Join(r.dir, "batuta-chaos-"+strconv.FormatUint(r.opts.Seed, 10))
	r.dir = name
	for n := 2; ; n++ {
		err := os.Mkdir(r.dir, 0o750)
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		r.dir = name + "-" + strconv.Itoa(n)
	}
}

// drive takes the system through the run.
func (r *run) drive(ctx context.Context) (*Report, error) {
	r.say("seed %d: %s, %d faults of %d kinds over %s; %d NATS server(s), %d pools of %d workers with %d slots", r.opts.Seed,
		tasksText(r.opts.Tasks), r.opts.Faults, len(r.opts.Kinds), r.opts.Duration, r.opts.Servers, r.opts.Pools, r.opts.Workers, r.opts.Concurrency)
	if err := r.sys.start(ctx); err != nil {
		return nil, err
	}
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: r.sys.urls(), Name: "batuta chaos", Log: r.log})
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	r.begun = time.Now()
	loadErr := r.stress(ctx, js)
	if ctx.Err() != nil {
		return nil, errors.New("stopped before its end")
	}
	rep := &Report{Seed: r.opts.Seed, Servers: r.opts.Servers}
	r.end(ctx, js, rep, loadErr)
	if ctx.Err() != nil {
		return nil, errors.New("stopped before its end")
	}
	if r.tamper != nil {
		if err := r.tamper(ctx, js); err != nil {
			return nil, err
		}
	}
	err = r.judge(ctx, js, rep)
	rep.Broken = append(rep.Broken, r.sys.stop(ctx)...)
	rep.Broken = append(rep.Broken, r.sys.strange()...)
	return rep, err
}

func tasksText(n int) string {
	if n == 0 {
		return "as many tasks as keep it busy"
	}
	return fmt.Sprintf("%d tasks", n)
}

// stress submits and injects until both are over.
func (r *run) stress(ctx context.Context, js jetstream.JetStream) error {
	r.plan = plan.Make(plan.Config{
		Seed: r.opts.Seed, Duration: r.opts.Duration, Faults: r.opts.Faults, Kinds: r.opts.Kinds, Lease: r.opts.Lease, HungAfter: r.opts.HungAfter,
	})
	slots := r.opts.Pools * r.opts.Workers * r.opts.Concurrency
	r.watch = newWatcher(js, filepath.Join(r.dir, ledgerDir), r.log)
	r.load = load.New(load.Config{
		Seed: r.opts.Seed, Run: strconv.FormatUint(r.opts.Seed, 36), Queues: queues, Tasks: r.opts.Tasks, Duration: r.opts.Duration,
		Slots: slots, Open: r.watch.openNow, Accepted: r.watch.accepted, Cancelled: r.watch.cancelled,
		APIs: r.sys.apis, Publish: natsx.NewPublisher(js),
	})
	r.inj = newInjector(r.sys, r.watch.runningNow, slots, r.log)
	background, cancel := context.WithCancel(ctx)
	var followers sync.WaitGroup
	followers.Go(func() { r.watch.run(background) })
	followers.Go(func() { r.progress(background) })
	defer followers.Wait()
	defer cancel()

	var loadErr error
	var both sync.WaitGroup
	both.Go(func() { loadErr = r.load.Run(ctx) })
	both.Go(func() {
		if r.warmUp(ctx) {
			r.inj.run(ctx, r.plan)
			r.sys.heal()
		}
	})
	both.Wait()
	return loadErr
}

// warmUp waits until the system is busy, but not for ever.
func (r *run) warmUp(ctx context.Context) bool {
	for end := time.Now().Add(warmUpMost); time.Now().Before(end); {
		if r.watch.runningNow() >= busy {
			return true
		}
		if !sleepUntil(ctx, time.Now().Add(50*time.Millisecond)) {
			return false
		}
	}
	return true
}

// warmUpMost is how long the first fault waits for the system to be busy.
const warmUpMost = 10 * time.Second

// busy is how many tasks should run while faults are injected.
const busy = 100

// end waits until all tasks have ended and the system is stable.
func (r *run) end(ctx context.Context, js jetstream.JetStream, rep *Report, loadErr error) {
	rep.StressedFor = time.Since(r.begun)
	rep.Running = r.watch.meanRunning()
	if loadErr != nil {
		rep.Broken = append(rep.Broken, loadErr.Error())
	}
	from := time.Now()
	told := from
	err := eventually(ctx, settleTimeout, func(ctx context.Context) error {
		err := settled(ctx, js)
		if err != nil && time.Since(told) > tellEvery {
			told = time.Now()
			r.say("%s after the last fault: %v", time.Since(from).Round(time.Second), err)
		}
		return err
	})
	if err != nil {
		rep.Broken = append(rep.Broken, fmt.Sprintf("not everything has ended %s after the last fault: %v", settleTimeout, err))
	}
	rep.SettledAfter = time.Since(from)
	from = time.Now()
	for n, c := range r.sys.apis {
		err := eventually(ctx, stableTimeout, func(ctx context.Context) error {
			st, err := c.Stats(ctx)
			if err != nil {
				return err
			}
			if st.Value.SystemStatus != wire.SystemStable {
				return fmt.Errorf("it is %s: %s", st.Value.SystemStatus, st.Value.Reason)
			}
			return nil
		})
		if err != nil {
			rep.Broken = append(rep.Broken, fmt.Sprintf("API %d does not say Stable: %v", n+1, err))
		}
	}
	rep.StableAfter = time.Since(from)
}

// stableTimeout: a loss is remembered for 15 s.
const stableTimeout = 45 * time.Second

// judge reads the books and checks them.
func (r *run) judge(ctx context.Context, js jetstream.JetStream, rep *Report) error {
	faults := r.inj.faults()
	cfg := check.Config{Lease: r.opts.Lease, Tasks: r.load.Tasks()}
	for i := range faults {
		cfg.Faults = append(cfg.Faults, faults[i].Fault)
		if faults[i].running >= busy {
			rep.WhileBusy++
		}
	}
	rep.Faults, rep.Skipped = len(faults), r.inj.skipped
	rep.Broken = append(rep.Broken, r.inj.broken...)
	_, rep.Unheard = r.load.Accepted()
	c := check.New(cfg)
	if err := readBooks(ctx, js, c); err != nil {
		return err
	}
	if err := r.watch.readLedger(); err != nil {
		return err
	}
	c.Ledger(r.watch.entries...)
	rep.Report = c.Finish()
	return nil
}
