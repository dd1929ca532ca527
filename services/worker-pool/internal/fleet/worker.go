package fleet

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/proc"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Worker is one worker of the fleet. Its fields are guarded by the fleet's lock.
type Worker struct {
	id        string
	fleet     *Fleet
	launched  chan struct{} // closed once its creation was told
	startedAt time.Time
	last      atomic.Int64 // when it was last heard, in nanoseconds since startedAt

	handle      proc.Worker
	pid         int
	ready       bool
	types       []string
	concurrency int
	jobs        map[string]seat // by task
	apart       int             // how many of its jobs are kept apart from others
	alone       bool            // its one job tolerates no neighbour
	used        bool            // it has been given a job
	draining    bool
	drainedAt   time.Time // when it was told to drain, and had nothing to do since
	hung        bool
	death       *Death
	orderly     bool // its end was wanted
	completed   int64
	failed      int64
}

func newWorker(f *Fleet, id string) *Worker {
	return &Worker{id: id, fleet: f, launched: make(chan struct{}), startedAt: time.Now(), jobs: map[string]seat{}}
}

// ID of the worker.
func (w *Worker) ID() string { return w.id }

// Offers tells whether the worker announced a type, or none.
func (w *Worker) Offers(taskType string) bool {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return w.offers(taskType)
}

func (w *Worker) offers(taskType string) bool {
	return len(w.types) == 0 || slices.Contains(w.types, taskType)
}

func (w *Worker) hear()            { w.last.Store(int64(time.Since(w.startedAt))) }
func (w *Worker) heard() time.Time { return w.startedAt.Add(time.Duration(w.last.Load())) }

// Send hands a line to the worker. It never blocks.
func (w *Worker) Send(l *wire.LineToWorker) error {
	w.fleet.mu.Lock()
	h := w.handle
	w.fleet.mu.Unlock()
	if h == nil {
		return proc.ErrGone
	}
	return h.Send(l)
}

func (w *Worker) send(l *wire.LineToWorker) {
	if err := w.Send(l); err != nil {
		w.fleet.cfg.Log.Debug("a line was not sent", obs.KeyWorker, w.id, "op", l.Op, obs.Err(err))
	}
}

// Kill ends the worker for the sake of one of its jobs.
func (w *Worker) Kill(guilty Job, reason string) {
	w.kill(Death{Reason: reason, Guilty: guilty}, false)
}

// kill ends the worker; the first reason counts.
func (w *Worker) kill(d Death, orderly bool) {
	w.fleet.mu.Lock()
	if w.death == nil {
		w.death, w.orderly = &d, orderly
	}
	h := w.handle
	w.fleet.mu.Unlock()
	if h != nil {
		h.Kill()
	}
}

// Busy implements proc.Handler.
func (w *Worker) Busy() bool {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return len(w.jobs) > 0
}

// Line implements proc.Handler. What is said of a task that has ended is passed over, but a
// second outcome, or one of a task it was never given, shows that the worker mixes up its
// tasks: no outcome of it can be believed.
func (w *Worker) Line(l *wire.LineFromWorker) error {
	w.hear()
	switch l.Op {
	case wire.OpReady:
		<-w.launched
		w.announced(l)
	case wire.OpProgress, wire.OpLog:
		if j := w.job(l.ID); j != nil {
			w.fleet.cfg.Owner.Line(w, j, l)
		}
	case wire.OpResult, wire.OpError:
		j := w.release(l.ID, l.Op == wire.OpResult)
		if j == nil {
			return fmt.Errorf("worker protocol: %s of %s, which it does not have", l.Op, l.ID)
		}
		w.fleet.cfg.Owner.Line(w, j, l)
		w.fleet.cfg.Owner.Changed()
	}
	return nil
}

func (w *Worker) announced(l *wire.LineFromWorker) {
	f := w.fleet
	f.mu.Lock()
	w.ready, w.types, w.concurrency = true, l.Types, l.Concurrency
	if w.concurrency == 0 {
		w.concurrency = f.cfg.Concurrency
	}
	f.concurrency = w.concurrency
	f.rereserve()
	f.mu.Unlock()
	f.event(w, wire.EventWorkerReady, wire.EventData{})
	f.cfg.Noted()
	f.cfg.Owner.Changed()
	f.poke() // it may be one too many by now
}

func (w *Worker) job(id string) Job {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return w.jobs[id].job
}

// release frees the slot of a job that has ended.
func (w *Worker) release(id string, completed bool) Job {
	f := w.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	j := w.jobs[id].job
	if j == nil {
		return nil
	}
	w.leave(id)
	f.quick = 0
	if completed {
		w.completed++
	} else {
		w.failed++
	}
	if len(w.jobs) == 0 {
		w.drainedAt = time.Now()
		if f.closing || len(f.workers) > f.target {
			f.poke()
		}
	}
	f.rereserve()
	return j
}

// Exited implements proc.Handler.
func (w *Worker) Exited(e proc.Exit) {
	select {
	case <-w.launched:
	default:
		<-w.launched
	}
	f := w.fleet
	f.mu.Lock()
	jobs := make([]Job, 0, len(w.jobs))
	tasks := make([]string, 0, len(w.jobs))
	for id, s := range w.jobs {
		jobs, tasks = append(jobs, s.job), append(tasks, id)
	}
	w.jobs, w.apart, w.alone = map[string]seat{}, 0, false
	w.handle = nil
	var wait time.Duration
	switch {
	case w.orderly || w.draining:
	case !w.ready || !w.used && time.Since(w.startedAt) < settled:
		wait = f.countQuick()
	default:
		f.quick = 0
	}
	d := w.deathOf(e)
	orderly := len(jobs) == 0 && (w.orderly || w.draining && e.Clean())
	f.remove(w)
	f.rereserve()
	f.mu.Unlock()

	f.tellEnd(w, e, d, orderly, tasks, wait)
	f.cfg.Gone(w.id)
	f.cfg.Owner.Lost(w, jobs, d)
	f.cfg.Owner.Changed()
	f.poke()
}

// deathOf needs the lock.
func (w *Worker) deathOf(e proc.Exit) Death {
	if w.death != nil {
		return *w.death
	}
	return Death{Reason: e.String()}
}

func (f *Fleet) tellEnd(w *Worker, e proc.Exit, d Death, orderly bool, tasks []string, wait time.Duration) {
	data := wire.EventData{Reason: d.Reason + again(wait), Signal: e.Signal, Tasks: tasks}
	if e.Signal == "" {
		data.ExitCode = new(e.Code)
	}
	if orderly {
		if e.Clean() {
			data.Reason = "drained"
		}
		f.event(w, wire.EventWorkerStop, data)
		return
	}
	f.cfg.Log.Warn("a worker was lost", obs.KeyWorker, w.id, "reason", data.Reason, "tasks", len(tasks))
	f.event(w, wire.EventWorkerLost, data)
}
