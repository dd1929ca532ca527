package permits

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// writeTimeout bounds one change of a ledger.
	writeTimeout = 2 * time.Second
	retryPause   = 50 * time.Millisecond
)

// change is a new state of a ledger that is on its way.
type change struct {
	doc    *wire.Permits
	after  uint64
	holder string
	// takes tokens, or gives permits and tokens back.
	tokens, out, outTokens int
}

// kick has a limit dealt with where there is something to do. It needs the lock.
func (b *Book) kick(l *Limit) {
	if l.busy || len(l.queue) == 0 && !l.settle && l.used <= l.granted() {
		return
	}
	l.busy = true
	b.bg.Go(func() { b.serve(l) })
}

// serve gives out what is in hand and changes the ledger, until nothing is left to do.
func (b *Book) serve(l *Limit) {
	for {
		b.mu.Lock()
		b.assign(l)
		c := b.plan(l)
		if c == nil {
			l.busy = false
			b.unlock()
			return
		}
		l.out, l.outTokens = c.out, c.outTokens
		b.unlock()
		seq, err := b.write(l, c)
		b.mu.Lock()
		b.written(l, c, seq, err)
		b.unlock()
		if err == nil {
			continue
		}
		if !b.again(l, err) {
			b.mu.Lock()
			l.busy = false
			b.refuse(l)
			b.unlock()
			return
		}
	}
}

// plan is the next change of a ledger: nil where there is none to make. What is asked for
// and cannot be had is refused. It needs the lock.
func (b *Book) plan(l *Limit) *change {
	if l.doc == nil {
		l.used, l.tokens, l.settle = 0, 0, false
		return nil
	}
	now := wire.Now()
	if l.used > l.granted() { // adopted: they run already, whatever the limit
		return b.changed(l, l.used, 0, now)
	}
	if len(l.queue) > 0 {
		if c := b.claim(l, now); c != nil {
			return c
		}
		b.refuse(l)
	}
	if !l.settle {
		return nil
	}
	l.settle = false
	idle := l.granted() - l.used
	if idle <= 0 && l.tokens <= 0 {
		return nil
	}
	c := b.changed(l, l.used, -l.tokens, now)
	c.out, c.outTokens = max(idle, 0), l.tokens
	return c
}

// claim asks for what the queued requests want, as far as there is room.
func (b *Book) claim(l *Limit, now wire.Time) *change {
	if b.lease.expired(time.Now()) || l.doc.Settling || l.doc.Over() {
		return nil
	}
	idle := max(l.granted()-l.used, 0)
	n := min(l.asked, addUp(l.doc.Free(), idle))
	tokens := 0
	if l.doc.RatePerSecond != nil {
		have := max(l.tokens, 0)
		n = min(n, wholeTokens(l.doc.TokensAt(now))+have)
		tokens = max(n-have, 0)
	}
	if n <= 0 {
		return nil
	}
	c := b.changed(l, l.granted()+max(n-idle, 0), tokens, now)
	c.tokens = tokens
	return c
}

func (b *Book) changed(l *Limit, held, tokens int, now wire.Time) *change {
	c := &change{doc: l.doc.Clone(), after: l.seq, holder: b.lease.holder}
	c.doc.Held[c.holder] = held
	if held == 0 {
		delete(c.doc.Held, c.holder)
	}
	if tokens != 0 {
		c.doc.TakeTokens(tokens, now)
	}
	return c
}

// write changes a ledger; a holder must have a lease before it can hold anything.
func (b *Book) write(l *Limit, c *change) (uint64, error) {
	ctx, cancel := context.WithTimeout(b.ctx, writeTimeout)
	defer cancel()
	if c.doc.Held[c.holder] > 0 {
		if err := b.takeLease(ctx); err != nil {
			return 0, err
		}
	}
	body, err := json.Marshal(c.doc)
	if err != nil {
		return 0, fmt.Errorf("encode a ledger: %w", err)
	}
	m := nats.NewMsg(wire.KVSubject(wire.BucketPermits, wire.PermitsKey(l.name.queue, l.taskType)))
	m.Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(c.after, 10))
	m.Data = body
	ack, err := b.cfg.JS.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// written takes in what became of a change. It needs the lock.
func (b *Book) written(l *Limit, c *change, seq uint64, err error) {
	l.out, l.outTokens = 0, 0
	if err != nil {
		if c.out > 0 || c.outTokens > 0 {
			l.settle = true
		}
		return
	}
	if c.holder == b.lease.holder {
		l.tokens += c.tokens - c.outTokens
	}
	b.take(l, c.doc, seq)
}

// again reads a ledger that could not be changed; false when the book is closed.
func (b *Book) again(l *Limit, err error) bool {
	conflict := natsx.IsConflict(err)
	for {
		if !conflict {
			b.cfg.Log.Debug("a ledger could not be changed", "queue", l.name.queue, "type", l.taskType, obs.Err(err))
			t := time.NewTimer(retryPause)
			select {
			case <-b.ctx.Done():
				t.Stop()
				return false
			case <-t.C:
			}
		}
		if err = b.reread(l); err == nil {
			return true
		}
		conflict = false
	}
}

// reread waits for a ledger as it is now. On three replicas the answer may lag: then the
// next change is refused too, and it is read again.
func (b *Book) reread(l *Limit) error {
	ctx, cancel := context.WithTimeout(b.ctx, writeTimeout)
	defer cancel()
	found, err := natsx.LastOf(ctx, b.cfg.JS, wire.StreamPermits, []string{wire.KVSubject(wire.BucketPermits, wire.PermitsKey(l.name.queue, l.taskType))})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		b.mu.Lock()
		l.doc, l.inForce = nil, false
		b.publishView()
		b.unlock()
		return nil
	}
	b.see(l.name, found[0].Data, found[0].Seq)
	return nil
}
