package run

import (
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// suspects are the tasks that ran in a worker when it died: any of them may have killed it.
// They are kept apart from all other tasks until one of them ends or crashes again, and
// from each other as far as there are empty workers. One that must not see another death is
// kept apart from everybody until it ends, and after the death of a pool process from the
// suspects of that death in its whole pool (see mustWait): so what dies with a poisonous task
// completes.
type suspects struct {
	worker  string
	members map[*attempt]struct{}
}

// company of an attempt in its worker. It needs the lock.
func (r *Runner) company(a *attempt) fleet.Company {
	switch {
	case a.suspects == nil:
		return fleet.Anyone
	case r.lastChance(a):
		return fleet.Nobody
	}
	return fleet.Suspects
}

// mustWait tells whether an attempt has to wait although there may be a worker. One that must
// not see its pool die again never runs beside another such, nor beside a suspect that may
// have been in the same deaths: one of the two may have killed those pools. Of them the
// suspects go first, for they are many when a pool has died, unless one with its last chance
// has waited for very long. It needs the lock.
func (r *Runner) mustWait(a *attempt) bool {
	if !a.poolDied {
		return false
	}
	last := r.lastChance(a)
	if last && time.Since(a.waitSince) < r.cfg.ApartWait {
		return true // the others of the same death come within this time
	}
	for b := range r.risky {
		if b != a && (last && r.lastChance(b) || (last || r.lastChance(b)) && mayShareDeath(a, b)) {
			return true
		}
	}
	return !last && slices.ContainsFunc(r.waiting, func(b *attempt) bool {
		return b.poolDied && r.lastChance(b) && mayShareDeath(a, b) && r.overdue(b)
	})
}

// mayShareDeath tells whether two may have run in the same pool process when it died. What is
// known is the name of the pool that ran a task last.
func mayShareDeath(a, b *attempt) bool {
	return a.diedIn == "" || b.diedIn == "" || a.diedIn == b.diedIn
}

// patience of a task with its last chance, in leases since its record changed.
const patience = 20

func (r *Runner) overdue(a *attempt) bool {
	return wire.Now().Sub(a.diedAt) > patience*r.cfg.Keeper.Lease()
}

// lastChance tells whether another crash ends the task. It needs the lock.
func (r *Runner) lastChance(a *attempt) bool { return a.crashes >= r.cfg.MaxCrashes-1 }

// suspect puts an attempt among those whose worker died: under the worker's name, else, where
// that is not known, by itself. It needs the lock.
func (r *Runner) suspect(a *attempt, worker string) {
	r.unsuspect(a)
	if worker == "" {
		worker = a.env.ID
	}
	s := r.suspects[worker]
	if s == nil {
		s = &suspects{worker: worker, members: map[*attempt]struct{}{}}
		r.suspects[worker] = s
	}
	s.members[a] = struct{}{}
	a.suspects = s
}

// unsuspect takes an attempt out of its suspects. It needs the lock.
func (r *Runner) unsuspect(a *attempt) {
	delete(r.risky, a)
	s := a.suspects
	if s == nil {
		return
	}
	a.suspects = nil
	delete(s.members, a)
	if len(s.members) == 0 && r.suspects[s.worker] == s {
		delete(r.suspects, s.worker)
	}
}

// acquitOthers lifts the suspicion from those who were suspected with an attempt that has
// ended or crashed again. It needs the lock.
func (r *Runner) acquitOthers(a *attempt) {
	s := a.suspects
	if s == nil {
		return
	}
	r.unsuspect(a)
	for b := range s.members {
		if r.lastChance(b) {
			continue
		}
		r.unsuspect(b)
		if b.worker != nil {
			r.fleet.Acquit(b.worker, b)
		}
	}
}
