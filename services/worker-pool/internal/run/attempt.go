package run

import (
	"os"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/permits"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// phase of an attempt, as in the package documentation.
type phase int

const (
	checking phase = iota
	waiting
	starting
	running
	ending
	over
)

// stop is why a running attempt is to end.
type stop string

const (
	stopNone     stop = ""
	stopCancel   stop = wire.CancelCancelled
	stopTimeout  stop = wire.CancelTimeout
	stopDeadline stop = wire.CancelDeadline
	stopLease    stop = "lease"
)

// hold is the lease of a lane message, or a task's part in that of a parcel.
type hold interface {
	Valid() bool
	Renew(reply string, from time.Time) bool
	Ack(done func())
	Nak(delay time.Duration)
	Drop() bool
}

// attempt is one task of a lane message held by this process. Its fields are guarded by the runner's
// lock, but for those that never change.
type attempt struct {
	r    *Runner
	env  *wire.Envelope
	seq  uint64
	hold hold
	// inParcel: the message has other tasks too.
	inParcel bool
	// since is when the pull was sent that brought it.
	since time.Time

	phase   phase
	fence   uint64
	handOut int // grows with every worker that is tried
	worker  *fleet.Worker
	stop    stop
	// unchecked: the first hand-out of a message never seen before; its start need not be
	// stored before the worker sees it.
	unchecked bool
	// confirm: an earlier holder's outcome may reach the books between the check and the start.
	confirm bool
	// told: task.started of the present fence was published.
	told bool
	// suspects it is one of; nil: it is under no suspicion.
	suspects     *suspects
	poolDied     bool      // a pool process died while it ran, for all that is known
	diedIn       string    // the pool it was in then; empty where that is not known
	diedAt       wire.Time // not before that
	crashes      int
	crashesKnown bool
	waitSince    time.Time
	startedAt    wire.Time
	sentAt       time.Time
	timer        *time.Timer
	grace        *time.Timer
	payloadFile  string // to be removed in the end
	// limits that the task was under when it was taken, and the permits it holds.
	limits  []*permits.Limit
	permits []*permits.Hold

	logs     logs
	progress progress
	// lastProgress was not published before the end.
	lastProgress *wire.EventData
}

// TaskID implements fleet.Job.
func (a *attempt) TaskID() string { return a.env.ID }

// TaskType implements fleet.Job.
func (a *attempt) TaskType() string { return a.env.Task.Type }

// event is an event of this hand-out.
func (a *attempt) event(name wire.EventName, d wire.EventData) wire.Event {
	d.Round, d.Fence = a.env.Round, a.fence
	e := wire.Event{Event: name, TaskID: a.env.ID, Pool: a.r.cfg.Pool, Attempt: a.env.Attempt, Data: d}
	if a.worker != nil {
		e.WorkerID = a.worker.ID()
	}
	return wire.NewEvent(e)
}

// started is the start of this hand-out, with all that a record needs.
func (a *attempt) started() wire.Event {
	env := a.env
	d := wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, Member: env.Member, SubmittedAt: env.SubmittedAt, Hash: env.Hash,
		PayloadObject: env.PayloadObject, LaneSeq: a.seq, ControlSeq: env.ControlSeq, DueAt: env.DueAt,
	}
	if env.Retries > 0 {
		d.Retries = new(env.Retries)
	}
	e := a.event(wire.EventStarted, d)
	a.startedAt, a.told = e.Timestamp, true
	return e
}

// stopTimers needs the lock.
func (a *attempt) stopTimers() {
	for _, t := range []*time.Timer{a.timer, a.grace} {
		if t != nil {
			t.Stop()
		}
	}
	a.timer, a.grace = nil, nil
}

// forget ends an attempt; it needs the lock.
func (r *Runner) forget(a *attempt) {
	if a.phase == checking || a.phase == waiting {
		r.unplaced--
	}
	if a.phase == ending {
		r.ending--
	}
	a.phase = over
	r.unsuspect(a)
	a.stopTimers()
	r.releasePermits(a)
	a.progress.end()
	if r.held[a.env.ID] == a {
		delete(r.held, a.env.ID)
	}
	r.unwait(a)
	if a.payloadFile != "" {
		_ = os.Remove(a.payloadFile) // a leftover in the temporary folder
	}
	if r.draining && len(r.held) == 0 {
		r.closeEmpty()
	}
}

// unwait takes an attempt out of the line for slots. It needs the lock.
func (r *Runner) unwait(a *attempt) {
	i := slices.Index(r.waiting, a)
	if i < 0 {
		return
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.reserve()
}

// reserve keeps a worker free for those that must run alone, while there are any. It needs
// the lock.
func (r *Runner) reserve() {
	r.fleet.Reserve(slices.ContainsFunc(r.waiting, func(a *attempt) bool { return r.company(a) == fleet.Nobody && !r.mustWait(a) }))
}

// done forgets an attempt, without the lock.
func (r *Runner) done(a *attempt) {
	r.mu.Lock()
	r.forget(a)
	r.mu.Unlock()
	r.cfg.Wake()
}

// handBackDelay keeps a task that found no slot from going round and round.
const handBackDelay = 100 * time.Millisecond

// handBack returns the message of an attempt that has no slot, if it still is in that phase.
// A task of a parcel goes by itself, by way of the scheduler: the others may run on.
func (r *Runner) handBack(a *attempt, in phase, delay time.Duration) {
	if a.inParcel && r.ctx.Err() == nil {
		r.move(a, in)
		return
	}
	r.mu.Lock()
	if a.phase != in {
		r.mu.Unlock()
		return
	}
	r.forget(a)
	r.mu.Unlock()
	a.hold.Nak(delay)
	r.cfg.Wake()
}

// drop acknowledges the message of an attempt that is not to run, if it still is in that phase.
func (r *Runner) drop(a *attempt, in phase) {
	r.mu.Lock()
	if a.phase != in {
		r.mu.Unlock()
		return
	}
	r.end(a)
	r.mu.Unlock()
	a.hold.Ack(func() { r.done(a) })
}

// end moves an attempt to its last phase: nothing is left but to store and acknowledge. It
// needs the lock.
func (r *Runner) end(a *attempt) {
	if a.phase == checking || a.phase == waiting {
		r.unplaced--
		r.unwait(a)
	}
	if a.phase != ending {
		r.ending++
	}
	a.phase = ending
	r.acquitOthers(a)
	a.stopTimers()
	r.releasePermits(a)
}
