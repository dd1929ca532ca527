package permits

import (
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Hold is what one task holds: a permit of each of its limits.
type Hold struct {
	owner  any
	holder string
	limits []*Limit
}

// request asks for n permits of each of several limits, one limit after the other: always
// the queue's before the type's, and nobody waits for one while holding another.
type request struct {
	limits []*Limit
	at     int
	n      int
	// counted are the limits whose permits it has.
	counted []*Limit
	// holder under whose name permits of the earlier limits are held.
	holder string
	done   func(n int, counted []*Limit)
}

// Take gives a task its permits from what is in hand; false where there are none.
func (b *Book) Take(owner any, limits []*Limit) (*Hold, bool) {
	b.mu.Lock()
	defer b.unlock()
	for _, l := range limits {
		if l.inForce && l.spare() == 0 {
			return nil, false
		}
	}
	var counted []*Limit
	for _, l := range limits {
		if l.inForce {
			l.use(1)
			counted = append(counted, l)
		}
	}
	return b.hold(owner, counted), true
}

// Acquire asks for a task's permits; done is called once, with nil where there are none.
func (b *Book) Acquire(owner any, limits []*Limit, done func(*Hold)) {
	b.mu.Lock()
	b.ask(&request{limits: limits, n: 1, done: func(n int, counted []*Limit) {
		var h *Hold
		if n > 0 {
			h = b.hold(owner, counted)
		}
		b.calls = append(b.calls, func() { done(h) })
	}})
	b.unlock()
}

// Adopt gives a task that runs already a permit of a limit that is new, also where there is
// none left; nil where the limit is gone again.
func (b *Book) Adopt(owner any, l *Limit) *Hold {
	b.mu.Lock()
	defer b.unlock()
	if !l.inForce {
		return nil
	}
	l.used++
	b.kick(l)
	return b.hold(owner, []*Limit{l})
}

// Release gives a task's permits back; they stay in hand for the next task.
func (b *Book) Release(h *Hold) {
	if h == nil {
		return
	}
	b.mu.Lock()
	delete(b.holds, h)
	if h.holder == b.lease.holder {
		for _, l := range h.limits {
			l.used--
			b.spared(l)
		}
		b.calls = append(b.calls, b.cfg.Wake)
	}
	h.limits = nil
	b.unlock()
}

// hold needs the lock; the permits have been counted.
func (b *Book) hold(owner any, counted []*Limit) *Hold {
	h := &Hold{owner: owner, holder: b.lease.holder, limits: counted}
	b.holds[h] = struct{}{}
	b.lease.used = time.Now()
	return h
}

// use counts n permits, and the tokens of their starts, as used.
func (l *Limit) use(n int) {
	l.used += n
	if l.doc.RatePerSecond != nil {
		l.tokens -= n
	}
}

// unuse undoes use: no task has been started.
func (b *Book) unuse(l *Limit, n int) {
	if n == 0 {
		return
	}
	l.used -= n
	if l.doc != nil && l.doc.RatePerSecond != nil {
		l.tokens += n
	}
	b.spared(l)
}

// spared notes that something is in hand: for the claim loop to use, or to be given back.
// It needs the lock.
func (b *Book) spared(l *Limit) {
	l.keep = b.round
	if b.closing || !l.inForce || l.doc.Over() {
		l.settle = true
	}
	b.kick(l)
}

// ask needs the lock.
func (b *Book) ask(r *request) {
	l := r.limits[r.at]
	l.queue = append(l.queue, r)
	l.asked += r.n
	b.kick(l)
}

// advance takes a request on that got n permits of the limit it stands at. It needs the lock.
func (b *Book) advance(r *request, n int) {
	for _, l := range r.counted {
		if l != r.limits[r.at] && n < r.n {
			l.settle = true
			b.unuse(l, r.n-n)
		}
	}
	r.n, r.holder = n, b.lease.holder
	if r.at++; n > 0 && r.at < len(r.limits) {
		b.ask(r)
		return
	}
	r.done(n, r.counted)
}

// assign gives what is in hand to those who asked. It needs the lock.
func (b *Book) assign(l *Limit) {
	for len(l.queue) > 0 {
		r := l.queue[0]
		lost := r.holder != "" && r.holder != b.lease.holder
		n := r.n
		if l.inForce && !lost {
			n = min(n, l.spare())
		}
		if n == 0 {
			return
		}
		l.queue = l.queue[1:]
		l.asked -= r.n
		if lost { // what it had before is lost with the holder's name
			r.done(0, nil)
			continue
		}
		if l.inForce {
			l.use(n)
			r.counted = append(r.counted, l)
		}
		b.advance(r, n)
	}
	l.queue = nil
}

// refuse tells all who asked that there is nothing. It needs the lock.
func (b *Book) refuse(l *Limit) {
	queue := l.queue
	l.queue, l.asked = nil, 0
	l.contended = true
	l.await(wire.Now())
	for _, r := range queue {
		if r.holder != "" && r.holder != b.lease.holder {
			r.done(0, nil)
			continue
		}
		b.advance(r, 0)
	}
}
