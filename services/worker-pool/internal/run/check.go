package run

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// verdict is what a task's record says about a lane message.
type verdict int

const (
	// runIt: nothing speaks against a hand-out.
	runIt verdict = iota
	// drop: acknowledge, there is nothing to run.
	dropIt
	// later: hand back; what it depends on is not known yet, or it runs elsewhere.
	later
	// reschedule: the attempt failed, but its next one may not have been scheduled.
	reschedule
)

const (
	// unsettled is how long a message is believed although its record does not say so:
	// the scheduler stores events beside the lane messages, not before.
	unsettled     = time.Minute
	unsettledWait = 250 * time.Millisecond
	elsewhereWait = time.Second
)

// check decides by the task's record, behind the barrier, whether an attempt is to run.
func (r *Runner) check(a *attempt) {
	r.checks.Go(func(_ int, rec *wire.Record, err error) {
		r.spawn(func() { r.checked(a, rec, err) })
	}, a.env.ID)
}

func (r *Runner) checked(a *attempt, rec *wire.Record, err error) {
	if err != nil {
		r.handBack(a, checking, 0) // only while this process ends
		return
	}
	v, delay := r.judge(a, rec)
	if v == runIt && rec.Status == wire.StatusInProgress {
		alive, err := r.workerAlive(rec.Worker)
		if err != nil {
			r.cfg.Log.Warn("a worker cannot be looked up", obs.KeyWorker, rec.Worker, obs.Err(err))
		}
		if alive || err != nil {
			v, delay = later, min(elsewhereWait, r.cfg.Keeper.Lease())
		}
	}
	switch v {
	case dropIt:
		r.drop(a, checking)
	case later:
		r.handBack(a, checking, delay)
	case reschedule:
		r.rescheduleFrom(a, rec)
	case runIt:
		r.runChecked(a, rec)
	}
}

// judge reads a record that has folded every event of before the delivery.
func (r *Runner) judge(a *attempt, rec *wire.Record) (verdict, time.Duration) {
	env := a.env
	fresh := wire.Now().Sub(max(env.DueAt, env.SubmittedAt)) < unsettled
	unknown := func() (verdict, time.Duration) {
		if fresh {
			return later, unsettledWait
		}
		return dropIt, 0
	}
	switch {
	case rec == nil:
		return unknown()
	case rec.Meta.SubmitSeq != env.SubmitSeq || rec.Meta.Member != env.Member:
		return dropIt, 0 // the id belongs to another submission
	case rec.Meta.Round > env.Round || rec.Status.Ended() && rec.Meta.Round == env.Round:
		return dropIt, 0
	case rec.Meta.Round < env.Round:
		return unknown()
	case rec.Attempt > env.Attempt || rec.Fence/wire.FencePerLane > a.seq:
		return dropIt, 0 // a newer message runs the task
	case rec.Status == wire.StatusRetrying && rec.Attempt == env.Attempt:
		return reschedule, 0
	case rec.Attempt < env.Attempt && (rec.Status != wire.StatusRetrying || rec.Attempt != env.Attempt-1):
		return unknown()
	case r.awaitsCancel(env, rec):
		return later, unsettledWait
	}
	return runIt, 0
}

// awaitsCancel tells whether a cancel was heard that may still get into the record. Once it has
// taken long, the schedulers' consumer says whether they are done with it: the record must be
// read once more then.
func (r *Runner) awaitsCancel(env *wire.Envelope, rec *wire.Record) bool {
	r.mu.Lock()
	m, heard := r.cancelled[env.ID]
	awaits := heard && !m.settled && m.seq > rec.Meta.ControlSeq && m.seq > env.ControlSeq
	if awaits {
		m.waited = time.Now()
		r.cancelled[env.ID] = m
	}
	r.mu.Unlock()
	if !awaits || time.Since(m.at) < r.cfg.CancelSettles {
		return awaits
	}
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	handled, err := r.cfg.HandledCommands(ctx)
	if err != nil {
		r.cfg.Log.Debug("whether a cancel was carried out is not known yet", obs.KeyTaskID, env.ID, obs.Err(err))
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.cancelled[env.ID]; now.seq == m.seq && handled >= m.seq {
		now.settled = true
		r.cancelled[env.ID] = now
	}
	return true
}

// workerAlive tells whether a worker of another pool process still works on a task. Dead is
// one whose key got a marker, or has been absent for a lease on this connection.
func (r *Runner) workerAlive(id string) (bool, error) {
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	found, err := natsx.LastOf(ctx, r.cfg.JS, wire.StreamWorkers, []string{wire.KVSubject(wire.BucketWorkers, id)})
	if err != nil {
		return false, fmt.Errorf("look up worker %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(found) == 0 {
		since, seen := r.absent[id]
		if !seen {
			since = time.Now()
			r.absent[id] = since
		}
		return time.Since(since) < r.cfg.Keeper.Lease(), nil
	}
	delete(r.absent, id)
	if len(found[0].Data) == 0 {
		return false, nil
	}
	var w wire.Worker
	if err := json.Unmarshal(found[0].Data, &w); err != nil {
		return false, fmt.Errorf("read worker %s: %w", id, err)
	}
	return w.Instance != r.cfg.Instance, nil // one of ours that ran the task would hold it
}

func (r *Runner) runChecked(a *attempt, rec *wire.Record) {
	r.mu.Lock()
	crashes := rec.Meta.Crashes
	if rec.Status == wire.StatusInProgress {
		crashes++ // neither ended nor handed back: the fold counts it with the next start
	}
	a.crashes, a.crashesKnown, a.confirm = crashes, true, true
	if crashes > 0 {
		a.poolDied = true // or it was handed back since, and the record does not say what died
		a.diedIn, a.diedAt = rec.Pool, rec.Meta.UpdatedAt
		r.suspect(a, rec.Worker)
	}
	a.fence = wire.NextFence(a.seq, max(rec.Fence, a.fence))
	fatal := crashes >= r.cfg.MaxCrashes
	r.mu.Unlock()
	if fatal {
		r.failCrashed(a)
		return
	}
	r.prepare(a)
}

// confirmStart reads the record again behind the stored start of a checked hand-out, and only
// then gives the task to its worker. An earlier holder that was cut off may have had its
// outcome under way: stored before the start it counts, and the start is void; stored after
// it it is refused.
func (r *Runner) confirmStart(a *attempt, handOut int) {
	r.checks.Go(func(_ int, rec *wire.Record, err error) {
		r.spawn(func() { r.confirmed(a, handOut, rec, err) })
	}, a.env.ID)
}

func (r *Runner) confirmed(a *attempt, handOut int, rec *wire.Record, err error) {
	if err != nil {
		return // only while this process ends
	}
	r.mu.Lock()
	if a.phase != starting || a.handOut != handOut {
		r.mu.Unlock()
		return
	}
	ours := rec != nil && rec.Status == wire.StatusInProgress && rec.Fence == a.fence && rec.Meta.Round == a.env.Round
	if ours {
		a.confirm = false // who holds the lease and the newest fence is the only one
		r.mu.Unlock()
		r.deliver(a, handOut)
		return
	}
	w := a.worker
	a.told, a.worker, a.phase = false, nil, checking
	delete(r.risky, a)
	r.unsuspect(a)
	r.unplaced++
	r.mu.Unlock()
	r.cfg.Log.Info("a start came too late: the task has moved on", obs.KeyTaskID, a.env.ID, obs.KeyFence, a.fence)
	r.fleet.Remove(w, a)
	r.check(a)
}

// rescheduleFrom publishes the schedule of the next attempt as the record has it.
func (r *Runner) rescheduleFrom(a *attempt, rec *wire.Record) {
	next := *a.env
	next.Attempt, next.Retries, next.After, next.DueAt = rec.Attempt+1, rec.Retries, rec.Fence, rec.ScheduledFor
	if err := r.schedule(&next); err != nil {
		r.cfg.Log.Warn("a retry is not scheduled yet", obs.KeyTaskID, next.ID, obs.Err(err))
		r.handBack(a, checking, unsettledWait)
		return
	}
	r.drop(a, checking)
}
