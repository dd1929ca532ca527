package permits

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// holderLease is the name under which this process holds permits, and until when it may.
type holderLease struct {
	// taking keeps two from making the key.
	taking sync.Mutex
	holder string
	length time.Duration
	// seq of the key, 0 while there is none; the lease counts from the time from.
	seq  uint64
	from time.Time
	// used is when a permit was last taken.
	used     time.Time
	renewing bool
}

func (h *holderLease) valid(now time.Time) bool { return h.seq != 0 && now.Sub(h.from) < h.length }

func (h *holderLease) expired(now time.Time) bool { return h.seq != 0 && now.Sub(h.from) >= h.length }

// idleLeases is after how many lengths without use a lease is let go.
const idleLeases = 2

// takeLease makes the holder's key where it has none.
func (b *Book) takeLease(ctx context.Context) error {
	b.lease.taking.Lock()
	defer b.lease.taking.Unlock()
	b.mu.Lock()
	holder, seq := b.lease.holder, b.lease.seq
	b.mu.Unlock()
	if seq != 0 {
		return nil
	}
	sent := time.Now()
	seq, err := b.putLease(ctx, holder, 0)
	if natsx.IsConflict(err) { // an earlier try got through after all, at an unknown time
		b.rename(holder)
		return err
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.unlock()
	if b.lease.holder == holder {
		b.lease.seq, b.lease.from, b.lease.used = seq, sent, time.Now()
	}
	return nil
}

// putLease makes or renews the key; the server removes it when it is not renewed.
func (b *Book) putLease(ctx context.Context, holder string, after uint64) (uint64, error) {
	m := nats.NewMsg(wire.KVSubject(wire.BucketPermits, wire.PermitLeaseKey(holder)))
	m.Header.Set(wire.HeaderTTL, strconv.Itoa(int(math.Ceil((b.cfg.Lease + wire.PermitMargin).Seconds()))))
	m.Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(after, 10))
	m.Data = []byte(holder)
	ack, err := b.cfg.JS.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// Run renews the lease while it is needed, and tells when it is lost, until ctx ends.
func (b *Book) Run(ctx context.Context) {
	t := time.NewTicker(min(max(b.cfg.Lease/16, 10*time.Millisecond), 250*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			b.keep(false) //nolint:contextcheck // a renewal under way outlives Run: Close waits for it
		}
	}
}

// Renew renews the lease at once: the first thing to do after a reconnection.
func (b *Book) Renew() { b.keep(true) }

func (b *Book) keep(now bool) {
	b.mu.Lock()
	h := &b.lease
	age := time.Since(h.from)
	switch {
	case h.seq == 0:
	case age >= h.length:
		holder := h.holder
		b.mu.Unlock()
		b.cfg.Log.Warn("the lease of the permits is lost; their tasks are stopped")
		b.rename(holder)
		return
	case h.renewing || !now && age < h.length/3:
	case !b.needed():
		b.forget() // the key expires by itself
	default:
		h.renewing = true
		holder, seq := h.holder, h.seq
		b.bg.Go(func() { b.renew(holder, seq) })
	}
	b.unlock()
}

// needed tells whether anything is held, or was a moment ago. It needs the lock.
func (b *Book) needed() bool {
	if time.Since(b.lease.used) < idleLeases*b.lease.length {
		return true
	}
	for _, l := range b.limits {
		if l.used > 0 || l.granted() > 0 || l.busy {
			return true
		}
	}
	return false
}

func (b *Book) renew(holder string, after uint64) {
	ctx, cancel := context.WithTimeout(b.ctx, max(b.cfg.Lease/4, 100*time.Millisecond))
	defer cancel()
	sent := time.Now()
	seq, err := b.putLease(ctx, holder, after)
	if natsx.IsConflict(err) {
		b.settleRenewal(ctx, holder)
		return
	}
	b.mu.Lock()
	defer b.unlock()
	b.lease.renewing = false
	if err != nil {
		b.cfg.Log.Debug("the lease of the permits is not renewed yet", obs.Err(err))
		return
	}
	if b.lease.holder == holder {
		b.lease.seq, b.lease.from = seq, sent
	}
}

// settleRenewal finds out about a key that has moved on: an earlier renewal had got through,
// or it has expired.
func (b *Book) settleRenewal(ctx context.Context, holder string) {
	found, err := natsx.LastOf(ctx, b.cfg.JS, wire.StreamPermits, []string{wire.KVSubject(wire.BucketPermits, wire.PermitLeaseKey(holder))})
	b.mu.Lock()
	b.lease.renewing = false
	if err == nil && len(found) > 0 && b.lease.holder == holder {
		b.lease.seq = max(b.lease.seq, found[0].Seq)
	}
	b.unlock()
	if err == nil && len(found) == 0 {
		b.rename(holder)
	}
}

// rename gives a name up, with all that is held under it, and takes another. The permits
// come back when the old one's key has expired.
func (b *Book) rename(holder string) {
	b.mu.Lock()
	if b.lease.holder != holder {
		b.unlock()
		return
	}
	b.forget()
	for h := range b.holds {
		if h.holder == holder {
			b.calls = append(b.calls, func() { b.cfg.Lost(h.owner) })
		}
	}
	b.unlock()
}

// forget needs the lock.
func (b *Book) forget() {
	b.lease.holder, b.lease.seq, b.lease.renewing = nuid.Next(), 0, false
	for _, l := range b.limits {
		l.used, l.tokens, l.settle = 0, 0, false
	}
}
