// Package fleet supervises the workers of one pool process: it keeps as many as are wanted,
// knows their slots, replaces those that die, hang or break the protocol, and drains those
// that are too many.
package fleet

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/proc"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Job is a task that runs in a worker.
type Job interface {
	TaskID() string
	TaskType() string
}

// Owner hears what workers say and do. It is called without any lock held and must not block.
type Owner interface {
	// Line brings what a worker says of a job. After a result or an error the job's slot
	// is free already.
	Line(w *Worker, j Job, l *wire.LineFromWorker)
	// Lost brings the jobs of a worker that has ended.
	Lost(w *Worker, jobs []Job, d Death)
	// Changed says that slots may have become free.
	Changed()
}

// Death says why a worker ended.
type Death struct {
	Reason string
	// Guilty is the job for whose sake the pool killed the worker; the others did not
	// crash it. Nil: any of them may have.
	Guilty Job
}

// Config of a fleet.
type Config struct {
	Launcher proc.Launcher
	Pool     string
	// Concurrency is the slots of a worker that does not say.
	Concurrency int
	// HungAfter is the silence after which a worker is killed; 0 is never.
	HungAfter time.Duration
	// NextID makes the id of a new worker.
	NextID func(context.Context) (string, error)
	// Publish takes events; it must not block.
	Publish func(...wire.Event)
	// Noted is called when a worker's status changed in a way that people should see at
	// once, Gone when it has ended. They must not block.
	Noted func()
	Gone  func(id string)
	Owner Owner
	Log   *slog.Logger
}

// Fleet is the workers of one pool process.
type Fleet struct {
	cfg  Config
	host string
	wake chan struct{}

	mu       sync.Mutex
	workers  []*Worker // in the order of their start
	target   int
	closing  bool
	empty    chan struct{} // closed when closing and the last worker is gone
	reserve  bool
	reserved *Worker
	// quick counts workers that ended before they were of any use, one after the other.
	quick     int
	notBefore time.Time
	// concurrency is what a worker announced last.
	concurrency int
}

// New makes a fleet without workers.
func New(cfg Config) *Fleet {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Fleet{cfg: cfg, host: host, wake: make(chan struct{}, 1), empty: make(chan struct{}), concurrency: cfg.Concurrency}
}

// Host is this machine's name.
func (f *Fleet) Host() string { return f.host }

// SetTarget says how many workers there should be.
func (f *Fleet) SetTarget(n int) {
	f.mu.Lock()
	f.target = n
	f.mu.Unlock()
	f.poke()
}

// Target is what was last set.
func (f *Fleet) Target() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.target
}

func (f *Fleet) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run keeps the fleet at its size until ctx ends; workers go on after that.
func (f *Fleet) Run(ctx context.Context) {
	period := min(max(f.cfg.HungAfter/8, 10*time.Millisecond), 500*time.Millisecond)
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		f.checkHung()
		f.adjust(ctx)
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-t.C:
		}
	}
}

// adjust starts what is missing and drains what is too much.
func (f *Fleet) adjust(ctx context.Context) {
	for f.shouldLaunch() {
		if !f.launch(ctx) || ctx.Err() != nil {
			break
		}
	}
	f.shrink()
}

func (f *Fleet) shouldLaunch() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closing && len(f.workers) < f.target && !time.Now().Before(f.notBefore)
}

func (f *Fleet) shrink() {
	f.mu.Lock()
	target := f.target
	if f.closing {
		target = 0
	}
	active := 0
	for _, w := range f.workers {
		if !w.draining {
			active++
		}
	}
	var drained []*Worker
	for i := len(f.workers) - 1; i >= 0 && active > target; i-- {
		if w := f.workers[i]; w.ready && !w.draining && len(w.jobs) == 0 {
			w.draining, w.drainedAt = true, time.Now()
			drained = append(drained, w)
			active--
		}
	}
	f.rereserve()
	f.mu.Unlock()
	for _, w := range drained {
		w.send(&wire.LineToWorker{Op: wire.OpDrain})
	}
	if len(drained) > 0 {
		f.cfg.Noted()
	}
}

// launch starts one worker; false where that failed, so that it is not tried again at once.
func (f *Fleet) launch(ctx context.Context) bool {
	one, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	id, err := f.cfg.NextID(one)
	if err != nil {
		if ctx.Err() == nil {
			f.cfg.Log.Warn("no number for a new worker", obs.Err(err))
			f.delay(500 * time.Millisecond)
		}
		return false
	}
	w := newWorker(f, id)
	f.mu.Lock()
	if f.closing {
		f.mu.Unlock()
		return false
	}
	f.workers = append(f.workers, w)
	f.mu.Unlock()
	h, err := f.cfg.Launcher.Launch(id, w)
	if err != nil {
		f.failedLaunch(w, err)
		return false
	}
	f.mu.Lock()
	w.handle, w.pid = h, h.PID()
	f.mu.Unlock()
	f.event(w, wire.EventWorkerNew, wire.EventData{})
	close(w.launched)
	f.cfg.Noted()
	f.cfg.Owner.Changed()
	return true
}

func (f *Fleet) failedLaunch(w *Worker, err error) {
	f.mu.Lock()
	f.remove(w)
	wait := f.countQuick()
	f.mu.Unlock()
	reason := "cannot be started: " + err.Error() + again(wait)
	f.cfg.Log.Error("a worker cannot be started", obs.KeyWorker, w.id, obs.Err(err), "retry_in", wait)
	f.event(w, wire.EventWorkerLost, wire.EventData{Reason: reason})
	f.cfg.Gone(w.id)
}

func (f *Fleet) delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notBefore = time.Now().Add(d)
}

const (
	// freeDeaths is how many workers in a row may end at once before the next one waits.
	freeDeaths  = 2
	firstWait   = 100 * time.Millisecond
	longestWait = 10 * time.Second
	// settled is how long a worker lives that is not broken from the start.
	settled = time.Second
)

// countQuick notes that a worker ended before it was of use, and says how long the next
// one waits. It needs the lock.
func (f *Fleet) countQuick() time.Duration {
	f.quick++
	if f.quick <= freeDeaths {
		return 0
	}
	wait := min(firstWait<<min(f.quick-freeDeaths-1, 10), longestWait)
	f.notBefore = time.Now().Add(wait)
	return wait
}

func again(wait time.Duration) string {
	if wait == 0 {
		return ""
	}
	return "; the next one is started in " + wait.String() + ", since several ended at once"
}

// checkHung kills workers that have been silent for too long.
func (f *Fleet) checkHung() {
	if f.cfg.HungAfter == 0 {
		return
	}
	f.mu.Lock()
	var hung, stuck []*Worker
	now := time.Now()
	for _, w := range f.workers {
		switch {
		case w.handle == nil || w.hung:
		case now.Sub(w.heard()) >= f.cfg.HungAfter:
			w.hung = true
			hung = append(hung, w)
		case w.draining && len(w.jobs) == 0 && !w.drainedAt.IsZero() && now.Sub(w.drainedAt) >= f.cfg.HungAfter:
			stuck = append(stuck, w)
		}
	}
	f.mu.Unlock()
	for _, w := range hung {
		f.cfg.Log.Warn("a worker is hung", obs.KeyWorker, w.id)
		f.event(w, wire.EventWorkerHung, wire.EventData{Reason: "silent for " + f.cfg.HungAfter.String()})
		f.cfg.Noted()
		w.kill(Death{Reason: "hung: silent for " + f.cfg.HungAfter.String()}, false)
	}
	for _, w := range stuck {
		w.kill(Death{Reason: "did not end when it was drained"}, true)
	}
}

// event publishes what happened to a worker.
func (f *Fleet) event(w *Worker, name wire.EventName, d wire.EventData) {
	d.Host, d.PID = f.host, w.pid
	f.cfg.Publish(wire.NewEvent(wire.Event{Event: name, WorkerID: w.id, Pool: f.cfg.Pool, Data: d}))
}

// remove needs the lock.
func (f *Fleet) remove(w *Worker) {
	for i, v := range f.workers {
		if v == w {
			f.workers = append(f.workers[:i:i], f.workers[i+1:]...)
			break
		}
	}
	if f.reserved == w {
		f.reserved = nil
	}
	if f.closing && len(f.workers) == 0 {
		f.closeEmpty()
	}
}

func (f *Fleet) closeEmpty() {
	select {
	case <-f.empty:
	default:
		close(f.empty)
	}
}

// Close starts no more workers and drains those that are idle, now and as they become so.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closing = true
	if len(f.workers) == 0 {
		f.closeEmpty()
	}
	f.mu.Unlock()
	f.shrink()
}

// KillAll ends every worker.
func (f *Fleet) KillAll(reason string) {
	f.mu.Lock()
	all := append([]*Worker(nil), f.workers...)
	f.mu.Unlock()
	for _, w := range all {
		w.kill(Death{Reason: reason}, true)
	}
}

// Empty is closed when the fleet was closed and its last worker has ended.
func (f *Fleet) Empty() <-chan struct{} { return f.empty }

// Command carries out what an operator wants of one worker; false where it is not here, or
// was told before.
func (f *Fleet) Command(id, command string) bool {
	f.mu.Lock()
	w := f.find(id)
	drain := w != nil && command == wire.CommandDrain && !w.draining
	kill := w != nil && command == wire.CommandKill && w.death == nil
	if drain {
		w.draining, w.drainedAt = true, time.Now()
		f.rereserve()
	}
	f.mu.Unlock()
	if drain {
		w.send(&wire.LineToWorker{Op: wire.OpDrain})
		f.cfg.Noted()
	}
	if kill {
		w.kill(Death{Reason: "killed by an operator"}, false)
	}
	return drain || kill
}

func (f *Fleet) find(id string) *Worker {
	for _, w := range f.workers {
		if w.id == id {
			return w
		}
	}
	return nil
}
