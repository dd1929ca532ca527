package run

import (
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/permits"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// permitGrace is how long a worker may take to yield a task whose permits are lost: it ends
// before they can be given to others.
const permitGrace = wire.PermitMargin / 2

// askPermits takes an attempt on once it has its permits. Without them it goes back where it
// came from; out of a common lane, into the lane of its type.
func (r *Runner) askPermits(a *attempt, limits []*permits.Limit, fromLimited bool) {
	if h, ok := r.cfg.Permits.Take(a, limits); ok {
		r.permitted(a, h)
		return
	}
	typed := limits[len(limits)-1].Typed()
	r.cfg.Permits.Acquire(a, limits, func(h *permits.Hold) {
		switch {
		case h != nil:
			r.permitted(a, h)
		case typed && !fromLimited:
			r.move(a, checking)
		default:
			r.handBack(a, checking, 0)
		}
	})
}

func (r *Runner) permitted(a *attempt, h *permits.Hold) {
	r.mu.Lock()
	if a.phase != checking {
		r.mu.Unlock()
		r.cfg.Permits.Release(h)
		return
	}
	a.permits = append(a.permits, h)
	r.mu.Unlock()
	r.proceed(a)
}

// releasePermits needs the lock.
func (r *Runner) releasePermits(a *attempt) {
	for _, h := range a.permits {
		r.cfg.Permits.Release(h)
	}
	a.permits = nil
}

// move asks the scheduler to put a task, if it still is in that phase, into the lane where it
// belongs, in a message of its own: it lay in a common lane when a limit was set, and would
// stand in the way of others there, or in a parcel whose other tasks stay here.
func (r *Runner) move(a *attempt, in phase) {
	r.mu.Lock()
	if a.phase != in {
		r.mu.Unlock()
		return
	}
	r.end(a)
	r.mu.Unlock()
	m := nats.NewMsg(wire.DueMoveSubject(a.env.ID))
	m.Header.Set(wire.HeaderLane, strconv.FormatUint(a.seq, 10))
	m.Header.Set(wire.HeaderMsgID, m.Subject+"."+strconv.FormatUint(a.seq, 10))
	m.Data = a.env.Encode()
	r.spawn(func() {
		if _, err := r.cfg.Pub.Publish(r.ctx, m); err != nil {
			r.cfg.Log.Warn("a task is not moved to another lane message yet", obs.KeyTaskID, a.env.ID, obs.Err(err))
			a.hold.Drop()
			r.done(a)
			return
		}
		a.hold.Ack(func() { r.done(a) })
	})
}

// Adopt gives a permit to each task here that is under a limit which has just come into force.
func (r *Runner) Adopt(l *permits.Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.held {
		if a.phase == ending || a.phase == over || !l.Covers(a.env.Task.Queue, a.env.Task.Type) || a.under(l) {
			continue
		}
		a.limits = append(slices.Clip(a.limits), l) // the old ones may be being asked for
		if h := r.cfg.Permits.Adopt(a, l); h != nil {
			a.permits = append(a.permits, h)
		}
	}
}

func (a *attempt) under(l *permits.Limit) bool {
	return slices.Contains(a.limits, l)
}

// PermitLost gives a task up whose permits could not be kept: others will have them.
func (r *Runner) PermitLost(owner any) {
	if a, ok := owner.(*attempt); ok {
		r.leaseLost(a)
	}
}
