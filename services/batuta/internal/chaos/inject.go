package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proc"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proxy"
)

// injector carries a plan out.
type injector struct {
	sys *system
	log *slog.Logger
	// running tells how many tasks run; enough is how many make a system at work.
	running func() int
	enough  int

	mu      sync.Mutex
	done    []*injected
	busy    map[string]bool // victims under a fault
	skipped int
	broken  []string
	wg      sync.WaitGroup
}

// injected is a fault that was carried out.
type injected struct {
	check.Fault
	victim string
	// running tasks when it began.
	running int
	over    bool
}

func newInjector(s *system, running func() int, slots int, log *slog.Logger) *injector {
	return &injector{sys: s, running: running, enough: min(busy, slots/4), log: log, busy: map[string]bool{}}
}

// run injects the faults at their times and waits for the end of the last. Each waits for
// some seconds for a system at work, and what follows moves on by as much: else many
// would meet one that earlier faults have brought to a standstill.
func (i *injector) run(ctx context.Context, faults []plan.Fault) {
	begun := time.Now()
	for _, f := range faults {
		if !sleepUntil(ctx, begun.Add(f.At)) {
			break
		}
		begun = begun.Add(i.awaitWork(ctx))
		i.wg.Go(func() { i.inject(ctx, f) })
	}
	i.wg.Wait()
}

// workMost is how long a fault waits for a system at work.
const workMost = 4 * time.Second

// awaitWork waits until enough tasks run, and returns how long that took.
func (i *injector) awaitWork(ctx context.Context) time.Duration {
	began := time.Now()
	for i.running() < i.enough && time.Since(began) < workMost {
		if !sleepUntil(ctx, time.Now().Add(20*time.Millisecond)) {
			break
		}
	}
	return time.Since(began)
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// takeTimeout bounds how long a fault waits for a victim that is not under another.
const takeTimeout = 15 * time.Second

func (i *injector) inject(ctx context.Context, f plan.Fault) {
	for end := time.Now().Add(takeTimeout); time.Now().Before(end); {
		if i.try(ctx, f) {
			return
		}
		if !sleepUntil(ctx, time.Now().Add(20*time.Millisecond)) {
			return
		}
	}
	i.mu.Lock()
	i.skipped++
	i.mu.Unlock()
}

// try carries a fault out where there is a victim for it.
func (i *injector) try(ctx context.Context, f plan.Fault) bool {
	switch f.Target {
	case plan.Worker:
		return i.worker(ctx, f)
	case plan.NATS:
		return i.server(ctx, f)
	default:
		return i.service(ctx, f)
	}
}

// claim picks a victim that is alive and under no fault.
func claim[T interface {
	Name() string
	PID() int
}](i *injector, f plan.Fault, all []T) (victim T, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := range all {
		one := all[(int(f.Pick%uint64(len(all)))+k)%len(all)]
		if !i.busy[one.Name()] && one.PID() != 0 {
			i.busy[one.Name()] = true
			return one, true
		}
	}
	return victim, false
}

func (i *injector) release(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.busy, name)
}

// begin notes a fault just before it is carried out.
func (i *injector) begin(f plan.Fault, victim string, fault check.Fault) *injected {
	fault.Kind = f.String()
	n := i.running()
	i.mu.Lock()
	defer i.mu.Unlock()
	fault.Begun = time.Now()
	fault.Ended = fault.Begun.Add(f.For)
	in := &injected{Fault: fault, victim: victim, running: n}
	i.done = append(i.done, in)
	i.log.Info("fault", "kind", fault.Kind, "victim", victim, "for", f.For)
	return in
}

// end notes how a fault went.
func (i *injector) end(in *injected, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	in.Ended, in.over = time.Now(), true
	if err != nil {
		i.log.Warn("fault", "kind", in.Kind, "victim", in.victim, "err", err)
	}
}

// fail notes that something did not go as it must.
func (i *injector) fail(format string, args ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = append(i.broken, fmt.Sprintf(format, args...))
}

// takesWorkers tells whether a fault takes all workers of a pool away for good.
func takesWorkers(k plan.Kind) bool {
	switch k.Act {
	case plan.Kill, plan.Restart:
		return k.Target == plan.Worker || k.Target == plan.Pool
	case plan.Hang, plan.Cut:
		return k.Target == plan.Worker || k.Target == plan.Pool
	default:
		return false
	}
}

// worker does something to one worker process of some pool.
func (i *injector) worker(ctx context.Context, f plan.Fault) bool {
	pool, pid, victim := i.claimWorker(ctx, f)
	if pool == nil {
		return false
	}
	defer i.release(victim)
	var err error
	in := i.begin(f, victim, check.Fault{Workers: []int{pid}, Pool: pool.pool, Measure: takesWorkers(f.Kind)})
	switch f.Act {
	case plan.Kill:
		err = proc.Kill(pid)
	case plan.Restart:
		err = proc.Terminate(pid)
	default:
		if err = proc.Freeze(pid); err == nil {
			sleepUntil(ctx, in.Begun.Add(f.For))
			err = proc.Thaw(pid)
		}
	}
	i.end(in, err)
	return true
}

// claimWorker picks a worker under no fault, of the pool that is to lose one or, where that has
// none, of the next.
func (i *injector) claimWorker(ctx context.Context, f plan.Fault) (pool *service, pid int, victim string) {
	pools := i.sys.of(plan.Pool)
	for k := range pools {
		pool = pools[(int(f.Pick%uint64(len(pools)))+k)%len(pools)]
		if pool.PID() == 0 {
			continue
		}
		children, err := proc.Children(ctx, pool.PID())
		if err != nil || len(children) == 0 {
			continue // it has just ended, or starts
		}
		pid = children[(f.Pick>>16)%uint64(len(children))]
		victim = fmt.Sprintf("worker %d of %s", pid, pool.Name())
		i.mu.Lock()
		taken := i.busy[victim]
		i.busy[victim] = true
		i.mu.Unlock()
		if !taken {
			return pool, pid, victim
		}
	}
	return nil, 0, ""
}

// of lists the replicas of a service.
func (s *system) of(t plan.Target) []*service {
	var out []*service
	for _, svc := range s.services {
		if svc.target == t {
			out = append(out, svc)
		}
	}
	return out
}

// service does something to one replica of a service.
func (i *injector) service(ctx context.Context, f plan.Fault) bool {
	svc, ok := claim(i, f, i.sys.of(f.Target))
	if !ok {
		return false
	}
	defer i.release(svc.Name())
	var workers []int
	if f.Target == plan.Pool {
		workers, _ = proc.Children(ctx, svc.PID()) // it may have ended just now
	}
	in := i.begin(f, svc.Name(), check.Fault{Workers: workers, Pool: svc.pool, Measure: takesWorkers(f.Kind)})
	err := i.act(ctx, f, in, svc.Process, svc.ways)
	if err == nil && (f.Act == plan.Kill || f.Act == plan.Restart) {
		i.requireGone(ctx, svc.Name(), workers)
	}
	i.end(in, err)
	return true
}

// goneWithin is how soon the workers of a dead pool must be gone.
const goneWithin = 5 * time.Second

// requireGone: no worker outlives its pool.
func (i *injector) requireGone(ctx context.Context, pool string, workers []int) {
	err := eventually(ctx, goneWithin, func(context.Context) error {
		for _, pid := range workers {
			if proc.Alive(pid) {
				return fmt.Errorf("process %d", pid)
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		i.fail("a worker of %s outlived it: %v", pool, err)
	}
}

// server does something to a NATS server.
func (i *injector) server(ctx context.Context, f plan.Fault) bool {
	srv, ok := claim(i, f, i.sys.servers)
	if !ok {
		return false
	}
	defer i.release(srv.Name())
	ways := srv.routes
	if f.Act == plan.Drop {
		ways = i.sys.waysTo(srv)
	}
	in := i.begin(f, srv.Name(), check.Fault{Everybody: true})
	i.end(in, i.act(ctx, f, in, srv.Process, ways))
	return true
}

// waysTo are the ways of all services to a server.
func (s *system) waysTo(srv *server) []*proxy.Proxy {
	var out []*proxy.Proxy
	for n, one := range s.servers {
		if one != srv {
			continue
		}
		for _, svc := range s.services {
			out = append(out, svc.ways[n])
		}
	}
	return out
}

// act carries out a fault of a process and its ways, and undoes it after its time.
func (i *injector) act(ctx context.Context, f plan.Fault, in *injected, p *proc.Process, ways []*proxy.Proxy) error {
	wait := func() { sleepUntil(ctx, in.Begun.Add(f.For)) }
	switch f.Act {
	case plan.Kill:
		defer p.Revive()
		if err := p.Kill(); err != nil {
			return err
		}
		wait()
	case plan.Restart:
		defer p.Revive()
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := p.Terminate(one); err != nil {
			i.fail("%v", err)
			return err
		}
	case plan.Pause, plan.Hang:
		if err := p.Freeze(); err != nil {
			return err
		}
		wait()
		return p.Thaw()
	case plan.Drop, plan.Cut, plan.Isolate:
		cut := proxy.BlackHole
		if f.Act == plan.Drop {
			cut = proxy.Reset
		}
		for _, w := range ways {
			w.Set(cut)
		}
		wait()
		for _, w := range ways {
			w.Set(proxy.Open)
		}
	}
	return nil
}

// faults are those carried out so far, in the order of their begin.
func (i *injector) faults() []injected {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make([]injected, len(i.done))
	for n, in := range i.done {
		out[n] = *in
	}
	return out
}

// current names the faults that are under way.
func (i *injector) current() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []string
	for _, in := range i.done {
		if !in.over {
			out = append(out, in.Kind+" "+in.victim)
		}
	}
	return out
}
