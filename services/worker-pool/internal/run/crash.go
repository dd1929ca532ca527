package run

import (
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Lost implements fleet.Owner: the jobs of a dead worker are handed out again at once.
func (r *Runner) Lost(w *fleet.Worker, jobs []fleet.Job, d fleet.Death) {
	for _, j := range jobs {
		if a, ok := j.(*attempt); ok {
			r.lost(a, w, d)
		}
	}
}

func (r *Runner) lost(a *attempt, w *fleet.Worker, d fleet.Death) {
	r.mu.Lock()
	if a.worker != w || a.phase != running && a.phase != starting {
		r.mu.Unlock()
		return
	}
	why := a.stop
	switch {
	case why == stopLease:
		r.forget(a)
		r.mu.Unlock()
	case why == stopCancel:
		r.end(a)
		r.mu.Unlock()
		r.flushLogs(a, func() { a.hold.Ack(func() { r.done(a) }) })
	case a.phase == running && why != stopNone:
		r.end(a)
		r.mu.Unlock()
		r.count(a)
		r.fail(a, overTime(a, why))
	default:
		r.crashed(a, d)
	}
}

// crashed hands a task out again whose worker died. It is called with the lock and gives it
// back. The pool's own end, a neighbour that did not yield, and a worker that had not been
// given the task yet, are not counted against the task.
func (r *Runner) crashed(a *attempt, d fleet.Death) {
	counted := a.phase == running && (d.Guilty == nil || d.Guilty == fleet.Job(a)) && !r.draining
	reason := wire.ReasonDrain
	if counted {
		reason = wire.ReasonCrash
		a.crashes++
		r.acquitOthers(a)
		r.suspect(a, a.worker.ID())
	}
	a.stopTimers()
	var tell []wire.Event
	if a.told {
		tell = append(tell, a.event(wire.EventReassigned, wire.EventData{Reason: reason}))
	}
	a.told, a.worker, a.sentAt = false, nil, time.Time{}
	delete(r.risky, a)
	a.progress.end()
	if !a.hold.Valid() {
		r.forget(a)
		r.mu.Unlock()
		r.cfg.Events.PublishAsync(nil, tell...)
		return
	}
	if r.draining {
		r.end(a)
		r.mu.Unlock()
		r.cfg.Events.PublishAsync(func(err error) {
			if err == nil {
				a.hold.Nak(0)
			}
			a.hold.Drop()
			r.done(a)
		}, tell...)
		return
	}
	a.phase = checking
	r.unplaced++
	fence := a.fence
	a.fence = wire.NextFence(a.seq, a.fence)
	known, fatal := a.crashesKnown || !counted, a.crashesKnown && a.crashes >= r.cfg.MaxCrashes
	r.mu.Unlock()
	r.cfg.Log.Info("a task is handed out again", obs.KeyTaskID, a.env.ID, obs.KeyFence, fence, "reason", d.Reason)
	r.cfg.Events.PublishAsync(nil, tell...)
	switch {
	case fatal:
		r.failCrashed(a)
	case known:
		r.admit(a)
	default:
		r.check(a) // earlier attempts may have crashed too: the record knows
	}
}

func (r *Runner) failCrashed(a *attempt) {
	times := "times"
	if a.crashes == 1 {
		times = "time"
	}
	r.failBeforeStart(a, wire.CodeCrashed,
		fmt.Sprintf("the worker died %d %s while it ran the task", a.crashes, times), false)
}

// leaseLost gives a task up whose lease could not be kept: somebody else may have it.
func (r *Runner) leaseLost(a *attempt) {
	r.mu.Lock()
	was := a.phase
	a.hold.Drop()
	var tell []wire.Event
	if a.told && (was == running || was == starting) {
		tell = append(tell, a.event(wire.EventReassigned, wire.EventData{Reason: wire.ReasonLease}))
	}
	w, handOut := a.worker, a.handOut
	switch was {
	case checking, waiting, starting:
		r.forget(a)
	case running:
		a.told = false
	case ending, over: // the outcome is on its way; the next taker finds the record ended
	}
	r.mu.Unlock()
	switch was {
	case starting:
		r.fleet.Remove(w, a)
	case running:
		r.cfg.Log.Warn("a lease is lost; its task is stopped", obs.KeyTaskID, a.env.ID)
		r.stopRunning(a, handOut, stopLease)
	case checking, waiting, ending, over:
	}
	r.cfg.Events.PublishAsync(nil, tell...)
	r.cfg.Wake()
}

// stopRunning tells the worker to yield a task, and kills it where it does not in time.
func (r *Runner) stopRunning(a *attempt, handOut int, why stop) {
	r.mu.Lock()
	if a.phase != running || a.handOut != handOut || a.stop == why || a.stop != stopNone && why != stopLease {
		r.mu.Unlock()
		return
	}
	a.stop = why
	a.stopTimers()
	w := a.worker
	grace := r.cfg.CancelGrace
	if why == stopLease && len(a.permits) > 0 {
		grace = min(grace, permitGrace) // its permits will be somebody else's
	}
	a.grace = time.AfterFunc(grace, func() { r.killFor(a, w, handOut) })
	r.mu.Unlock()
	reason := string(why)
	if why == stopLease {
		reason = wire.CancelCancelled
	}
	r.send(a, w, &wire.LineToWorker{Op: wire.OpCancel, ID: a.env.ID, Reason: reason})
}

func (r *Runner) killFor(a *attempt, w *fleet.Worker, handOut int) {
	r.mu.Lock()
	still := a.phase == running && a.handOut == handOut
	why := a.stop
	r.mu.Unlock()
	if still {
		w.Kill(a, fmt.Sprintf("killed: it did not yield %s (%s) within %s", a.env.ID, why, r.cfg.CancelGrace))
	}
}
