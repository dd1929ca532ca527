package check

import (
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// The check of priorities must never accuse wrongly, so it looks only at what is certain:
//
//   - Both tasks were handed out for the first time, straight from their lanes, and lie in
//     one queue. What was handed back or checked first has a history of its own.
//   - The higher one lay in its lane for a lease before the lower one was started, and was
//     started more than a lease after: a task is pulled some time before it starts, and in a
//     cluster the server that leads a lane may learn late of what is stored.
//   - The times are quiet for the pool that started the lower one: neither its workers, nor
//     it itself, nor the NATS server were disturbed shortly before. What a pool had taken
//     before a disturbance may start after it.
//   - The lowest lane's guaranteed share, one in twenty, is no inversion: a start from the
//     lowest lane that holds work, ten starts of that pool after the one before. It is a lane
//     message: of a parcel all tasks come.
const shareStarts = 10

// start is a task.started event.
type start struct {
	at    wire.Time
	id    string
	pool  string
	fence uint64
}

// moment is where something changes in the sweep over time.
type moment struct {
	at   wire.Time
	rank int
	// step is +1 where a task certainly waits from here on, -1 where no longer, 0 for a start.
	step int
	id   string
	pool string
	lane uint64
}

// given is the lowest lane's share that a pool gave last: which lane message, and as which start.
type given struct {
	lane uint64
	nth  int
}

func (c *Checker) priorities(r *Report) {
	byQueue := map[string][]moment{}
	sinceStart := map[string]int{} // starts of a pool up to each, in the order of time
	slices.SortStableFunc(c.starts, func(a, b start) int { return int(a.at - b.at) })
	nth := map[string][]int{}
	for _, s := range c.starts {
		sinceStart[s.pool]++
		h := c.tasks[s.id]
		if lane, stored, ok := h.straight(); ok && wire.FirstFence(lane) == s.fence {
			rank := h.priority.Rank()
			margin := wire.Time(c.cfg.Lease.Milliseconds())
			q := byQueue[h.queue]
			if from, to := stored+margin, s.at-margin; from < to {
				q = append(q, moment{at: from, rank: rank, step: 1, id: s.id}, moment{at: to, rank: rank, step: -1, id: s.id})
			}
			byQueue[h.queue] = append(q, moment{at: s.at, rank: rank, id: s.id, pool: s.pool, lane: lane})
			nth[s.id] = append(nth[s.id], sinceStart[s.pool])
		}
	}
	for _, moments := range byQueue {
		c.sweep(r, moments, nth)
	}
}

// straight tells whether a task was handed out once only, and never checked or handed back:
// from which lane message, and when that was known to be stored.
func (h *history) straight() (lane uint64, stored wire.Time, ok bool) {
	starts := 0
	for i := range h.events {
		e := &h.events[i]
		switch e.name {
		case wire.EventDispatched:
			if e.attempt != 1 || e.round != 0 || lane != 0 {
				return 0, 0, false
			}
			lane, stored = e.laneSeq, e.at
		case wire.EventStarted:
			starts++
		case wire.EventReassigned, wire.EventScheduled, wire.EventRefused:
			return 0, 0, false
		}
	}
	return lane, stored, lane != 0 && starts == 1 && h.priority.Valid()
}

// sweep walks through one queue's time and keeps what certainly waits.
func (c *Checker) sweep(r *Report, moments []moment, nth map[string][]int) {
	slices.SortStableFunc(moments, func(a, b moment) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.step - b.step
	})
	waiting := make([]map[string]bool, len(wire.Priorities))
	for i := range waiting {
		waiting[i] = map[string]bool{}
	}
	share := map[string]given{} // by pool
	for _, m := range moments {
		switch {
		case m.step > 0:
			waiting[m.rank][m.id] = true
		case m.step < 0:
			delete(waiting[m.rank], m.id)
		case c.quiet(m.pool, m.at.Time()):
			c.count.Compared++
			higher := someOf(waiting[:m.rank])
			if higher == "" {
				continue
			}
			n := nth[m.id][0]
			last, before := share[m.pool]
			if someOf(waiting[m.rank+1:]) == "" && (!before || n-last.nth >= shareStarts || last.lane == m.lane) {
				share[m.pool] = given{m.lane, n}
				c.count.Shares++
				continue
			}
			h := c.tasks[higher]
			r.add(c, RulePriority, m.id, "%s of pool %s, %s, was started at %s while %s, %s, had been waiting", m.id, m.pool,
				wire.Priorities[m.rank], m.at, higher, h.priority)
		}
	}
}

func someOf(sets []map[string]bool) string {
	for _, s := range sets {
		for id := range s {
			return id
		}
	}
	return ""
}

// quiet tells whether nothing disturbed a pool at a time or shortly before.
func (c *Checker) quiet(pool string, at time.Time) bool {
	for i := range c.cfg.Faults {
		f := &c.cfg.Faults[i]
		if !f.Everybody && f.Pool != pool {
			continue
		}
		if at.After(f.Begun.Add(-c.cfg.Lease)) && at.Before(f.Ended.Add(3*c.cfg.Lease)) {
			return false
		}
	}
	return true
}
