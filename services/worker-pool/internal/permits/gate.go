package permits

import "github.com/batuta-tasks/batuta/shared/wire"

// Begin starts a round of the claim loop, in which lanes are asked from the top down.
func (b *Book) Begin() {
	if b.Version() == 0 {
		return
	}
	b.mu.Lock()
	b.round++
	b.mu.Unlock()
}

// Room is for how many tasks of a lane permits can be had, at most want. Where that is none
// the loop is woken when it changes. It never waits: where permits have to be reserved
// first, that is begun.
func (b *Book) Room(queue, taskType string, want int) int {
	limits := b.Of(queue, taskType)
	if limits == nil {
		return want
	}
	b.mu.Lock()
	defer b.unlock()
	now := wire.Now()
	n, possible := want, want
	reserving := false
	for _, l := range limits {
		if !l.inForce {
			continue
		}
		room := l.room(now)
		here := room
		if l.contended {
			here = l.spare()
		}
		n, possible = min(n, here), min(possible, room)
		reserving = reserving || l.reserving
		if room <= 0 {
			l.await(now)
		}
	}
	if n <= 0 && possible > 0 && !reserving {
		b.reserve(limits, possible)
	}
	return max(n, 0)
}

// reserve asks for permits before their lanes are asked. It needs the lock.
func (b *Book) reserve(limits []*Limit, n int) {
	mark := func(on bool) {
		for _, l := range limits {
			l.reserving = on
		}
	}
	mark(true)
	b.ask(&request{limits: limits, n: n, done: func(n int, counted []*Limit) {
		mark(false)
		if n == 0 {
			return
		}
		for _, l := range counted {
			b.unuse(l, n)
		}
		b.calls = append(b.calls, b.cfg.Wake)
	}})
}

// Open tells whether a pull may be left standing on a lane.
func (b *Book) Open(queue, taskType string) bool {
	limits := b.Of(queue, taskType)
	if limits == nil {
		return true
	}
	b.mu.Lock()
	defer b.unlock()
	now := wire.Now()
	for _, l := range limits {
		if l.inForce && (l.contended || l.room(now) <= 0) {
			return false
		}
	}
	return true
}

// Settle ends a round: what was in hand when it began, and was not used, is given back.
func (b *Book) Settle() {
	if b.Version() == 0 {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	for _, l := range b.limits {
		if l.doc == nil || l.keep >= b.round || l.reserving {
			continue
		}
		idle := l.granted() - l.used
		if idle <= 0 && l.tokens <= 0 {
			continue
		}
		// There was a permit, and nobody who wanted it.
		if l.contended {
			l.contended = false
			b.calls = append(b.calls, b.cfg.Wake)
		}
		l.settle = true
		b.kick(l)
	}
}
