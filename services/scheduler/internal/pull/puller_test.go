package pull_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/pull"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
)

type rig struct {
	t      *testing.T
	server *natstest.Server
	js     jetstream.JetStream
	cfg    pull.Config
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, server: natstest.Start(t)}
	r.js = r.server.JS(t)
	_, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	r.cfg = pull.Config{
		JS: r.server.JS(t), Stream: "S", Consumer: "c", Batch: 10, MaxHeld: 25, AckWait: 600 * time.Millisecond,
		Log: obs.NewTestLogger(t.Output()),
	}
	r.consumer()
	return r
}

func (r *rig) consumer() {
	r.t.Helper()
	_, err := r.js.CreateOrUpdateConsumer(r.t.Context(), "S", jetstream.ConsumerConfig{
		Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.cfg.AckWait, MaxAckPending: -1,
	})
	require.NoError(r.t, err)
}

// run starts a puller; stop ends the pulling and waits for it.
func (r *rig) run() (p *pull.Puller, stop func()) {
	r.t.Helper()
	p = pull.New(r.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	keep, end := context.WithCancel(context.Background())
	done, extended := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	go func() { defer close(extended); p.Extend(keep) }()
	stop = func() { cancel(); <-done }
	r.t.Cleanup(func() { stop(); end(); <-extended })
	return p, stop
}

func (r *rig) publish(n int) {
	r.t.Helper()
	for i := range n {
		_, err := r.js.Publish(r.t.Context(), "s.x", fmt.Append(nil, i))
		require.NoError(r.t, err)
	}
}

func (r *rig) take(p *pull.Puller, n int) []*pull.Msg {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	var all []*pull.Msg
	for len(all) < n {
		msgs, err := p.Next(ctx, n-len(all))
		require.NoError(r.t, err)
		all = append(all, msgs...)
	}
	return all
}

func (r *rig) info() *jetstream.ConsumerInfo {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), "S", "c")
	require.NoError(r.t, err)
	return c.CachedInfo()
}

// never fails where bad becomes true within a time.
func (r *rig) never(within time.Duration, bad func() bool) {
	r.t.Helper()
	over := time.NewTimer(within)
	defer over.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		require.False(r.t, bad())
		select {
		case <-over.C:
			return
		case <-tick.C:
		}
	}
}

func TestPullerHoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(100)
	p, _ := r.run()
	msgs := r.take(p, 30)
	require.Equal(t, 30, r.info().NumAckPending, "full pulls until the bound is passed")
	for i, m := range msgs {
		require.Equal(t, uint64(i+1), m.Seq)
		require.Equal(t, uint64(1), m.Deliveries)
		require.Equal(t, "s.x", m.Subject())
		m.Ack()
	}
	for range 70 {
		r.take(p, 1)[0].Ack()
	}
	require.Eventually(t, func() bool { return r.info().NumAckPending == 0 }, 20*time.Second, 10*time.Millisecond)
	require.Zero(t, p.Held())
}

func TestHeldMessagesAreExtended(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(1)
	p, _ := r.run()
	m := r.take(p, 1)[0]
	r.never(3*r.cfg.AckWait, func() bool { return r.info().NumRedelivered > 0 })
	m.Nak(0)
	m.Ack() // of no effect: it is no longer held
	again := r.take(p, 1)[0]
	require.Equal(t, uint64(2), again.Deliveries)
	require.False(t, again.Stale())
	again.Ack()
}

func TestWithoutAnswersAHoldGrowsStale(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(1)
	p, _ := r.run()
	m := r.take(p, 1)[0]
	require.False(t, m.Stale())
	r.server.Stop()
	require.Eventually(t, m.Stale, 20*time.Second, 10*time.Millisecond)
}

func TestLargeMessagesAreTakenFewAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Batch, r.cfg.MaxHeld, r.cfg.MaxBytes = 1000, 1000, 100_000
	for range 200 {
		_, err := r.js.Publish(t.Context(), "s.x", make([]byte, 10_000))
		require.NoError(t, err)
	}
	p, _ := r.run()
	msgs := r.take(p, 16)
	r.never(300*time.Millisecond, func() bool { return p.Held() > 26 })
	for _, m := range msgs {
		m.Ack()
	}
	for range 184 {
		r.take(p, 1)[0].Ack()
	}
}

func TestBlockedPullerTakesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var blocked atomic.Bool
	blocked.Store(true)
	r.cfg.Blocked = blocked.Load
	r.publish(5)
	p, _ := r.run()
	r.never(300*time.Millisecond, func() bool { return p.Held() > 0 })
	blocked.Store(false)
	r.take(p, 5)
}

func TestStopStrandsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(200)
	r.cfg.MaxHeld, r.cfg.Batch = 1000, 100
	p, stop := r.run()
	r.take(p, 1)
	stop()
	left, err := p.Next(t.Context(), 1000)
	require.NoError(t, err)
	_, err = p.Next(t.Context(), 1000)
	require.ErrorIs(t, err, pull.ErrEnded)
	require.Equal(t, p.Held(), 1+len(left))
	require.Equal(t, p.Held(), r.info().NumAckPending, "whatever the server has sent is in hand")
	p.HandBack()
	require.Zero(t, p.Held())
	q, _ := r.run()
	for _, m := range r.take(q, 200) {
		m.Ack()
	}
}

func TestPullerGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.run()
	r.publish(1)
	r.take(p, 1)[0].Ack()
	r.server.Restart(t)
	natstest.Eventually(t, func() error {
		_, err := r.js.Publish(t.Context(), "s.x", nil)
		return err
	})
	r.take(p, 1)[0].Ack()
}

func TestMissingConsumerIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	missing := make(chan struct{}, 100)
	r.cfg.Missing = func() {
		select {
		case missing <- struct{}{}:
		default:
		}
	}
	p, _ := r.run()
	require.NoError(t, r.js.DeleteConsumer(t.Context(), "S", "c"))
	natstest.Eventually(t, func() error {
		select {
		case <-missing:
			return nil
		default:
			return errors.New("not told")
		}
	})
	r.consumer()
	r.publish(1)
	r.take(p, 1)[0].Ack()
}
