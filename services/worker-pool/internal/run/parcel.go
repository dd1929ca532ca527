package run

import (
	"context"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/claim"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/lease"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// lookTime is how long a look at the records of a parcel may take.
const lookTime = 2 * time.Second

// takeParcel takes all tasks of a parcel: for so short a time they may wait for each other.
// Each goes on as if it had a message of its own.
func (r *Runner) takeParcel(d claim.Delivery, members []*wire.Envelope) int {
	r.mu.Lock()
	if p := r.parcels[d.Seq]; p != nil && !p.Over() {
		known := p.Renew(d.Reply, d.Since)
		r.mu.Unlock()
		if !known {
			r.cfg.Keeper.NakMessage(d.Reply, busyDelay)
		}
		return 0
	}
	if r.free() <= 0 {
		r.mu.Unlock()
		r.cfg.Keeper.NakMessage(d.Reply, 0)
		return 0
	}
	attempts := make([]*attempt, 0, len(members))
	parcel, parts := r.cfg.Keeper.HoldParcel(d.Reply, d.Since, len(members), func() {
		r.mu.Lock()
		all := attempts
		r.mu.Unlock()
		for _, a := range all {
			r.leaseLost(a)
		}
	})
	r.parcels[d.Seq] = parcel
	old := r.isOld(d.Stored)
	var busy []*lease.Part
	var ready, limited, look []*attempt
	for i, env := range members {
		if r.held[env.ID] != nil {
			busy = append(busy, parts[i])
			continue
		}
		a := &attempt{r: r, env: env, seq: d.Seq, since: d.Since, phase: checking, hold: parts[i], inParcel: true}
		attempts = append(attempts, a)
		r.held[env.ID] = a
		r.unplaced++
		if !r.needsCheck(&d, env) {
			a.fence, a.crashesKnown, a.unchecked = wire.FirstFence(d.Seq), true, true
		}
		switch {
		case r.cfg.Permits.Of(env.Task.Queue, env.Task.Type) != nil:
			limited = append(limited, a)
		case old && a.unchecked:
			look = append(look, a)
		default:
			ready = append(ready, a)
		}
	}
	r.mu.Unlock()
	for _, part := range busy {
		part.Nak(busyDelay)
	}
	for _, a := range limited {
		r.move(a, checking) // each needs a permit of its own
	}
	r.look(look)
	for _, a := range ready {
		r.proceed(a)
	}
	return len(members)
}

// isOld tells whether a cancel of what was stored then may be forgotten here, or was never
// heard. The clocks of this machine and of the server may differ: by how much ours is behind,
// fresh messages tell. It needs the lock.
func (r *Runner) isOld(stored time.Time) bool {
	age := time.Since(stored)
	r.behind = max(r.behind, -age)
	return age+r.behind > min(r.cfg.ParcelTrust, time.Since(r.begun))
}

// look leaves out those that have ended, and checks those that are not as they were when the
// parcel was made: a cancel leaves parcels where they are. It waits for no recorder; what that
// has not folded yet is young enough to be remembered here.
func (r *Runner) look(attempts []*attempt) {
	if len(attempts) == 0 {
		return
	}
	ids := make([]string, len(attempts))
	for i, a := range attempts {
		ids[i] = a.env.ID
	}
	r.spawn(func() {
		ctx, cancel := context.WithTimeout(r.ctx, lookTime)
		recs, err := r.cfg.Records.Latest(ctx, ids...)
		cancel()
		if err != nil {
			r.cfg.Log.Debug("the records of a parcel cannot be read", obs.Err(err))
		}
		for _, a := range attempts {
			if err == nil && asPacked(a.env, recs[a.env.ID]) {
				r.proceed(a)
				continue
			}
			r.mu.Lock()
			a.unchecked, a.crashesKnown = false, false
			r.mu.Unlock()
			r.check(a)
		}
	})
}

// asPacked tells whether a task still waits for its first hand-out. One without a record is
// not known to have ended.
func asPacked(env *wire.Envelope, rec *wire.Record) bool {
	return rec == nil || rec.Status == wire.StatusPending && rec.Fence == 0 && rec.Meta.Round == env.Round && rec.Attempt == env.Attempt &&
		rec.Meta.SubmitSeq == env.SubmitSeq && rec.Meta.Member == env.Member
}
