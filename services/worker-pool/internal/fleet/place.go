package fleet

import (
	"os"
	"slices"
	"sort"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Company says with whom a job may share a worker.
type Company int

const (
	// Anyone but jobs that are to be kept apart.
	Anyone Company = iota
	// Suspects only: each of them may be what killed their worker.
	Suspects
	// Nobody else: the next death of its worker must be told to be of its own making.
	Nobody
)

// seat is a job in a worker.
type seat struct {
	job     Job
	company Company
}

// Place gives a job a slot in a company that it may be in. Nil: there is none. A worker that
// announced the job's type is preferred, and the least used of those; while the fleet
// shrinks the most used, so that others become idle.
func (f *Fleet) Place(j Job, c Company) *Worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	var best *Worker
	shrinking := len(f.workers) > f.target && c == Anyone
	for _, w := range f.workers {
		if _, there := w.jobs[j.TaskID()]; there || !f.admits(w, c) {
			continue
		}
		if best == nil || better(w, best, j.TaskType(), shrinking) {
			best = w
		}
	}
	if best == nil {
		return nil
	}
	best.jobs[j.TaskID()] = seat{j, c}
	best.used = true
	if c != Anyone {
		best.apart++
	}
	best.alone = c == Nobody
	f.rereserve()
	return best
}

// admits needs the lock.
func (f *Fleet) admits(w *Worker, c Company) bool {
	if !w.usable() || len(w.jobs) >= w.concurrency || w.alone || c != Nobody && w == f.reserved {
		return false
	}
	switch c {
	case Nobody:
		return len(w.jobs) == 0
	case Suspects:
		return w.apart == len(w.jobs)
	default:
		return w.apart == 0
	}
}

func better(w, best *Worker, taskType string, shrinking bool) bool {
	if a, b := w.offers(taskType), best.offers(taskType); a != b {
		return a
	}
	if shrinking {
		return len(w.jobs) > len(best.jobs)
	}
	return len(w.jobs) < len(best.jobs)
}

// usable needs the lock.
func (w *Worker) usable() bool {
	return w.ready && w.handle != nil && !w.draining && !w.hung && w.death == nil
}

// free is how many more jobs a worker may be given that tolerate anyone. It needs the lock.
func (w *Worker) free() int {
	if !w.usable() || w.apart > 0 {
		return 0
	}
	return max(w.concurrency-len(w.jobs), 0)
}

// leave frees a job's seat. It needs the lock.
func (w *Worker) leave(id string) {
	if s, there := w.jobs[id]; there {
		delete(w.jobs, id)
		w.keptApart(s, Anyone)
	}
}

// keptApart notes that a seat's company changes. It needs the lock.
func (w *Worker) keptApart(s seat, c Company) {
	if s.company != Anyone && c == Anyone {
		w.apart--
		w.alone = false
	}
}

// Acquit lets others share a worker with a job that was kept apart.
func (f *Fleet) Acquit(w *Worker, j Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, there := w.jobs[j.TaskID()]
	if !there || s.job != j {
		return
	}
	w.keptApart(s, Anyone)
	w.jobs[j.TaskID()] = seat{j, Anyone}
	f.rereserve()
}

// Expecting tells whether a worker is on its way.
func (f *Fleet) Expecting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closing && (len(f.workers) < f.target || slices.ContainsFunc(f.workers, func(w *Worker) bool { return !w.ready }))
}

// Remove takes a job back that its worker was never told of.
func (f *Fleet) Remove(w *Worker, j Job) {
	f.mu.Lock()
	if w.jobs[j.TaskID()].job == j {
		w.leave(j.TaskID())
	}
	f.rereserve()
	f.mu.Unlock()
	f.cfg.Owner.Changed()
}

// FreeSlots is how many jobs the fleet can take that tolerate neighbours.
func (f *Fleet) FreeSlots() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, w := range f.workers {
		if w != f.reserved {
			n += w.free()
		}
	}
	return n
}

// Reserve keeps one worker from being given more jobs, so that it becomes empty for one
// that must run alone.
func (f *Fleet) Reserve(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reserve = on
	f.rereserve()
}

// rereserve chooses the reserved worker: the one that will be empty first, as far as one
// can know. It needs the lock.
func (f *Fleet) rereserve() {
	if !f.reserve {
		f.reserved = nil
		return
	}
	if f.reserved != nil && f.reserved.free() > 0 {
		return
	}
	f.reserved = nil
	for _, w := range f.workers {
		if w.free() > 0 && (f.reserved == nil || len(w.jobs) < len(f.reserved.jobs)) {
			f.reserved = w
		}
	}
}

// Totals of the fleet for the heartbeat of its pool process.
type Totals struct {
	Running, Active, Slots, BusySlots, Concurrency int
	Closing                                        bool
}

// Totals counts workers and slots.
func (f *Fleet) Totals() Totals {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := Totals{Running: len(f.workers), Concurrency: f.concurrency, Closing: f.closing}
	for _, w := range f.workers {
		if !w.ready {
			t.Slots += f.concurrency
			continue
		}
		t.Slots += w.concurrency
		t.BusySlots += len(w.jobs)
		if len(w.jobs) > 0 {
			t.Active++
		}
	}
	return t
}

// Snapshot describes the living workers, without what is measured of them.
func (f *Fleet) Snapshot() []wire.Worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]wire.Worker, 0, len(f.workers))
	for _, w := range f.workers {
		if w.handle != nil {
			out = append(out, w.describe())
		}
	}
	return out
}

// describe needs the lock.
func (w *Worker) describe() wire.Worker {
	d := wire.Worker{
		ID: w.id, Pool: w.fleet.cfg.Pool, Host: w.fleet.host, PID: w.pid, Status: w.status(),
		AssignedTasks: len(w.jobs), Concurrency: w.concurrency, Completed: w.completed, Failed: w.failed,
		StartedAt: wire.At(w.startedAt), LastHeartbeat: wire.At(w.heard()), Tasks: make([]string, 0, len(w.jobs)),
	}
	if !w.ready {
		d.Concurrency = w.fleet.cfg.Concurrency
	}
	if w.pid == os.Getpid() {
		d.LastHeartbeat = wire.At(time.Now()) // handlers in this process need no heartbeat
	}
	for id := range w.jobs {
		d.Tasks = append(d.Tasks, id)
	}
	sort.Strings(d.Tasks)
	return d
}

func (w *Worker) status() wire.WorkerStatus {
	switch {
	case w.hung:
		return wire.WorkerHung
	case w.draining:
		return wire.WorkerDraining
	case !w.ready:
		return wire.WorkerStarting
	case len(w.jobs) == 0:
		return wire.WorkerIdle
	case w.alone || len(w.jobs) >= w.concurrency:
		return wire.WorkerBusy
	}
	return wire.WorkerActive
}
