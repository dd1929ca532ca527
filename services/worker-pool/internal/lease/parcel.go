package lease

import (
	"sync"
	"time"
)

// Parcel is the lease of one lane message with several tasks. It is kept until each of them
// is settled; what the server is told then is the worst of what was said of any: without a
// word of one the message must come again, and whoever gets it leaves out those that ended.
type Parcel struct {
	hold *Hold

	mu    sync.Mutex
	left  int
	fate  fate
	delay time.Duration
}

type fate int

const (
	acknowledged fate = iota
	handedBack
	dropped
)

// Part is the share of one task in the lease of a parcel.
type Part struct {
	of      *Parcel
	settled bool // guarded by the parcel's lock
}

// HoldParcel begins to keep the lease of a message with n tasks, as Hold does.
func (k *Keeper) HoldParcel(reply string, from time.Time, n int, lost func()) (*Parcel, []*Part) {
	p := &Parcel{hold: k.Hold(reply, from, lost), left: n}
	parts := make([]*Part, n)
	for i := range parts {
		parts[i] = &Part{of: p}
	}
	return p, parts
}

// Over tells whether all is settled.
func (p *Parcel) Over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left == 0
}

// Renew is that of Hold.
func (p *Parcel) Renew(reply string, from time.Time) bool { return p.hold.Renew(reply, from) }

// Renew is that of Hold, for the whole parcel.
func (t *Part) Renew(reply string, from time.Time) bool { return t.of.Renew(reply, from) }

// Valid tells whether the task is not settled and the lease holds.
func (t *Part) Valid() bool {
	t.of.mu.Lock()
	settled := t.settled
	t.of.mu.Unlock()
	return !settled && t.of.hold.Valid()
}

// Ack says that nothing is left to do for the task. Done, where it is not nil, is called at
// once; for the last task when the message is acknowledged.
func (t *Part) Ack(done func()) { t.settle(acknowledged, 0, done) }

// Nak has the message delivered again once all its tasks are settled.
func (t *Part) Nak(delay time.Duration) { t.settle(handedBack, delay, nil) }

// Drop says nothing of the task: the message is left to run out of its lease once the others
// are settled. False where the task was settled before.
func (t *Part) Drop() bool { return t.settle(dropped, 0, nil) }

func (t *Part) settle(f fate, delay time.Duration, done func()) bool {
	p := t.of
	p.mu.Lock()
	before := t.settled
	if !before {
		t.settled = true
		p.left--
		p.fate, p.delay = max(p.fate, f), max(p.delay, delay)
	}
	last := !before && p.left == 0
	f, delay = p.fate, p.delay
	p.mu.Unlock()
	switch {
	case last && f == acknowledged:
		p.hold.Ack(done)
		return true
	case last && f == handedBack:
		p.hold.Nak(delay)
	case last:
		p.hold.Drop()
	}
	if done != nil {
		done()
	}
	return !before
}
