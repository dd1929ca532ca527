package readmodel

import (
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// expiryEntry says when the row in a slot is hidden. Entries are not taken out one by one:
// when its turn comes the row must still expire at that time.
type expiryEntry struct {
	at   wire.Time
	slot uint32
}

// expiryHeap has the earliest entry first.
type expiryHeap []expiryEntry

func (h expiryHeap) due(now wire.Time) bool { return len(h) > 0 && h[0].at <= now }

func (h *expiryHeap) push(e expiryEntry) {
	q := append(*h, e)
	i := len(q) - 1
	for i > 0 {
		up := (i - 1) / 2
		if q[up].at <= e.at {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = e
	*h = q
}

func (h *expiryHeap) pop() expiryEntry {
	q := *h
	first, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	if len(q) > 0 {
		q.sink(0, last)
	}
	*h = q
	return first
}

// sink puts e where it belongs below i.
func (h expiryHeap) sink(i int, e expiryEntry) {
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].at < h[down].at {
			down++
		}
		if e.at <= h[down].at {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = e
}

// keep throws out the entries that are not to be kept.
func (h *expiryHeap) keep(kept func(expiryEntry) bool) {
	var q expiryHeap
	for _, e := range *h {
		if kept(e) {
			q = append(q, e)
		}
	}
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.sink(i, q[i])
	}
	*h = q
}

const (
	// goneFor is how long a removed id is remembered; what may arrive late of it takes no
	// longer than a follower lags.
	goneFor = 30 * time.Second
	goneMax = 100_000
)

// goneSet remembers the last removals, within bounds.
type goneSet struct {
	ids   map[string]uint64
	queue []goneID
}

type goneID struct {
	id string
	at time.Time
}

func (g *goneSet) add(id string, seq uint64, now time.Time) {
	if _, known := g.ids[id]; !known {
		g.queue = append(g.queue, goneID{id, now})
	}
	g.ids[id] = max(g.ids[id], seq)
	n := 0
	for n < len(g.queue) && (len(g.queue)-n > goneMax || now.Sub(g.queue[n].at) > goneFor) {
		delete(g.ids, g.queue[n].id)
		n++
	}
	g.queue = g.queue[n:]
}

// has tells whether the task of this id and submission, or a later one, has gone.
func (g *goneSet) has(id []byte, seq uint64) bool {
	last, known := g.ids[string(id)]
	return known && seq <= last
}
