package workerpool_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestARateHoldsOverPools(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	const rate, n = 20.0, 60
	sys.limit("default", "gauge", perSecond(rate))
	for range 3 {
		sys.pool(inProcess, size(1, 8))
	}
	g := natstest.StartGauge(t)
	began := time.Now()
	envs := sys.tasks(n, "gauge", measure(g, "x", 1))
	others := sys.tasks(20, "echo", 1)
	sys.submitLimited(envs...)
	sys.submit(others...)
	sys.awaitCompleted(append(envs, others...)...)
	starts := g.Starts("")
	require.Len(t, starts, n)
	for i, s := range starts {
		// Whatever holds a start up makes it later: none may be early.
		least := time.Duration((float64(i+1) - wire.RateBurst(rate)) / rate * float64(time.Second))
		require.GreaterOrEqual(t, s.At.Sub(began), least-time.Millisecond, "start %d", i+1)
	}
	sys.awaitAcknowledged()
	sys.awaitNoPermits("gauge")
}

// However an attempt ends, and where it never begins, its permit comes back.
func TestPermitsComeBack(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	types := []string{"finishes", "obstinate", "fail", "exit", "fatal", "sleep", "strange", "echo"}
	for _, taskType := range types {
		sys.limit("default", taskType, atMost(1))
	}
	sys.limit("default", "", atMost(1))
	sys.pool(size(2, 2), func(c *workerpool.Config) { c.MaxCrashes = 2 })
	runs := func(s wire.Status, env *wire.Envelope) {
		t.Helper()
		sys.submitLimited(env)
		sys.await(env.ID, s)
	}
	cancelled := sys.task("obstinate", nil)
	sys.submitLimited(cancelled)
	sys.await(cancelled.ID, wire.StatusInProgress)
	waits := sys.task("obstinate", nil)
	sys.submitLimited(waits)
	sys.cancel(cancelled.ID) // it does not yield: its worker is killed
	sys.await(waits.ID, wire.StatusInProgress)
	sys.cancel(waits.ID)
	runs(wire.StatusRetrying, sys.task("finishes", nil, timeout(50)))
	runs(wire.StatusRetrying, sys.task("obstinate", nil, timeout(50)))
	runs(wire.StatusRetrying, sys.task("fail", nil))
	runs(wire.StatusFailed, sys.task("exit", nil))
	runs(wire.StatusFailed, sys.task("fatal", nil))
	runs(wire.StatusRetrying, sys.task("strange", nil))
	runs(wire.StatusFailed, sys.task("sleep", 60_000, func(e *wire.Envelope) { e.Task.Deadline = wire.Now().Add(50 * time.Millisecond) }))
	runs(wire.StatusFailed, sys.task("sleep", 1, func(e *wire.Envelope) { e.Task.Deadline = wire.Now() }))
	runs(wire.StatusCompleted, sys.task("echo", 1))
	for _, taskType := range append(types, "") {
		sys.awaitNoPermits(taskType)
	}
	sys.awaitAcknowledged()
}

// wireTap counts what goes over NATS, but for heartbeats.
type wireTap struct {
	requests, writes, permits atomic.Int64
}

func (sys *system) tap() *wireTap {
	sys.t.Helper()
	tap := &wireTap{}
	sub, err := sys.s.Conn(sys.t).Subscribe(">", func(m *nats.Msg) {
		switch {
		case strings.HasPrefix(m.Subject, "$JS.API."):
			tap.requests.Add(1)
		case strings.Contains(m.Subject, wire.BucketPermits), strings.HasPrefix(m.Subject, "batuta.permits."):
			tap.permits.Add(1)
		case strings.HasPrefix(m.Subject, "batuta."), strings.HasPrefix(m.Subject, "$JS.ACK."):
			tap.writes.Add(1)
		}
	})
	require.NoError(sys.t, err)
	require.NoError(sys.t, sub.SetPendingLimits(-1, -1))
	return tap
}

// With limits set for others, a task without one costs not a message more.
func TestLimitsCostOthersNothing(t *testing.T) {
	t.Parallel()
	run := func(limited bool) (perTask float64, permits int64) {
		sys := newSystem(t)
		if limited {
			sys.limit("default", "gauge", atMost(2))
			sys.limit("other", "", atMost(2))
		}
		sys.pool(inProcess, size(1, 1))
		sys.run(wire.StatusCompleted, sys.task("echo", 1))
		tap := sys.tap()
		// One by one, so that nothing is gathered.
		const n = 30
		for range n {
			sys.run(wire.StatusCompleted, sys.task("echo", 1))
			sys.awaitAcknowledged()
		}
		return float64(tap.writes.Load()) / n, tap.permits.Load()
	}
	plain, _ := run(false)
	beside, permits := run(true)
	require.Zero(t, permits, "ledgers are neither read nor written")
	require.InDelta(t, plain, beside, 0.5, "messages a task")
}

// A busy limit costs no writes either: what one task gives back serves the next.
func TestABusyLimitRarelyChangesItsLedger(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.limit("default", "gauge", atMost(2))
	g := natstest.StartGauge(t)
	envs := sys.tasks(100, "gauge", measure(g, "x", 1))
	sys.submitLimited(envs...)
	before := sys.lastOf(wire.StreamPermits, wire.KVSubject(wire.BucketPermits, wire.PermitsKey("default", "gauge"))).Sequence
	sys.pool(inProcess, size(1, 2))
	sys.awaitCompleted(envs...)
	sys.awaitNoPermits("gauge")
	after := sys.lastOf(wire.StreamPermits, wire.KVSubject(wire.BucketPermits, wire.PermitsKey("default", "gauge"))).Sequence
	require.Less(t, after-before, uint64(len(envs)/2), "writes for %d tasks", len(envs))
	require.LessOrEqual(t, g.Most(""), 2)
}

// Of the tasks of one limit the higher priority runs first, over all pools.
func TestPrioritiesHoldUnderALimit(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.limit("default", "gauge", atMost(1))
	g := natstest.StartGauge(t)
	for range 2 {
		sys.pool(inProcess, size(1, 4))
	}
	first := sys.task("gauge", measure(g, "first", held))
	sys.submitLimited(first)
	awaitHeld(t, g, "first", 1)
	var envs []*wire.Envelope
	for _, p := range []wire.Priority{wire.PriorityLow, wire.PriorityMedium, wire.PriorityHigh, wire.PriorityCritical} {
		envs = append(envs, sys.tasks(3, "gauge", measure(g, string(p), 5), func(e *wire.Envelope) { e.Task.Priority = p })...)
	}
	sys.submitLimited(envs...)
	sys.awaitNoPulls("gauge")
	g.Release("first", 1)
	sys.awaitCompleted(append(envs, first)...)
	var order []string
	for _, s := range g.Starts("")[1:] {
		order = append(order, s.Label)
	}
	want := []string{"critical", "critical", "critical", "high", "high", "high", "medium", "medium", "medium", "low", "low", "low"}
	require.Equal(t, want, order, fmt.Sprint(order))
}

// awaitNoPulls waits until no pool asks a type's lanes. What came to a pull that stood there
// from before goes back; where a permit came free at that moment it would run, whatever else
// waits by now.
func (sys *system) awaitNoPulls(taskType string) {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		for _, lane := range wire.Lanes("default", taskType) {
			c, err := sys.js.Consumer(sys.t.Context(), wire.StreamReady, lane.Consumer())
			if err != nil {
				return err
			}
			if n := c.CachedInfo().NumWaiting; n > 0 {
				return fmt.Errorf("%d pulls stand on %s", n, lane.Consumer())
			}
		}
		return nil
	})
}
