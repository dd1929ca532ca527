package tick

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// burstTasks is how many tasks, where nothing waited before, are worth a decision of their
	// own instead of that of the next tick.
	burstTasks = 16
	// burstGather is how long the rest of a burst may take to arrive.
	burstGather = 30 * time.Millisecond
)

// burst wakes the autoscaler between ticks: when tasks arrive in a system in which nothing
// waited, and when an operator changes a pool. It is armed by a decision that saw nothing
// wait, and fires once; so a system under load decides by its ticks alone.
type burst struct {
	left atomic.Int64
	wake chan struct{}
}

func newBurst() *burst { return &burst{wake: make(chan struct{}, 1)} }

func (b *burst) arm(idle bool) {
	if idle {
		b.left.Store(burstTasks)
	} else {
		b.left.Store(0)
	}
}

// Dispatched counts tasks that were put into lanes. It never waits.
func (b *burst) dispatched(n int) {
	before := b.left.Load()
	if before <= 0 {
		return
	}
	if after := b.left.Add(-int64(n)); after <= 0 && after > -int64(n) {
		b.now()
	}
}

func (b *burst) now() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Dispatched tells of tasks that were put into lanes.
func (t *Tick) Dispatched(n int) { t.burst.dispatched(n) }

// onBurst decides when woken, until ctx ends: by a burst, or by a change of a pool's settings.
func (t *Tick) onBurst(ctx context.Context) {
	subject := wire.KVSubject(wire.BucketSettings, wire.PoolSettingsKey("*"))
	sub, err := t.core.JS.Conn().Subscribe(subject, func(*nats.Msg) { t.burst.now() })
	if err == nil { // else the connection is closed for good
		defer func() { _ = sub.Unsubscribe() }()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.burst.wake:
		}
		pause := time.NewTimer(burstGather)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		t.try(ctx, "scale the pools", t.scale)
	}
}
