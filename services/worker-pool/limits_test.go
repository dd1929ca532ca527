package workerpool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// tellLimits logs, deferred, where limited tasks stand when a test has failed.
func (sys *system) tellLimits() {
	if !sys.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := natsx.LastOf(ctx, sys.js, wire.StreamPermits, []string{wire.KVSubject(wire.BucketPermits, ">")})
	sys.t.Logf("ledgers at %s: %v", wire.Now(), err)
	for _, m := range found {
		sys.t.Logf("%s %d: %s", m.Subject, m.Seq, m.Data)
	}
	st, err := sys.js.Stream(ctx, wire.StreamReady)
	if err != nil {
		return
	}
	lanes := st.ListConsumers(ctx)
	for i := range lanes.Info() {
		sys.t.Logf("%s: %d pending, %d handed out, %d redelivered, %d pulls", i.Name, i.NumPending, i.NumAckPending, i.NumRedelivered, i.NumWaiting)
	}
}

// limit sets the limits of a queue, or of a type in it, as an operator does.
func (sys *system) limit(queue, taskType string, l wire.Limits) {
	sys.t.Helper()
	kv, err := sys.js.KeyValue(sys.t.Context(), wire.BucketSettings)
	require.NoError(sys.t, err)
	var s wire.QueueSettings
	if e, err := kv.Get(sys.t.Context(), wire.QueueSettingsKey(queue)); err == nil {
		require.NoError(sys.t, json.Unmarshal(e.Value(), &s))
	}
	if taskType == "" {
		s.Limits = l
	} else {
		if s.Types == nil {
			s.Types = map[string]wire.Limits{}
		}
		s.Types[taskType] = l
	}
	_, err = kv.Put(sys.t.Context(), wire.QueueSettingsKey(queue), mustJSON(s))
	require.NoError(sys.t, err)
	require.NoError(sys.t, topology.ApplyLimits(sys.t.Context(), sys.js, queue))
}

func atMost(n int) wire.Limits { return wire.Limits{MaxConcurrent: &n} }

func perSecond(r float64) wire.Limits { return wire.Limits{RatePerSecond: &r} }

// ledger reads the permits of a limit.
func (sys *system) ledger(queue, taskType string) wire.Permits {
	sys.t.Helper()
	var p wire.Permits
	m := sys.lastOf(wire.StreamPermits, wire.KVSubject(wire.BucketPermits, wire.PermitsKey(queue, taskType)))
	require.NoError(sys.t, json.Unmarshal(m.Data, &p))
	return p
}

// awaitNoPermits waits until nobody holds permits of a limit of the queue default.
func (sys *system) awaitNoPermits(taskType string) {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if p := sys.ledger("default", taskType); p.Total() != 0 {
			return fmt.Errorf("permits are held: %s", mustJSON(p))
		}
		return nil
	})
}

// submitLimited puts tasks where a scheduler does that knows of their limit.
func (sys *system) submitLimited(envs ...*wire.Envelope) {
	sys.t.Helper()
	for _, env := range envs {
		sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
			Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt,
		}}))
		m := nats.NewMsg(wire.Lane{Queue: env.Task.Queue, Priority: env.Task.Priority, Type: env.Task.Type}.Subject(env.Task.Type))
		m.Data = env.Encode()
		_, err := sys.js.PublishMsg(sys.t.Context(), m)
		require.NoError(sys.t, err)
	}
}

// typed and common are the lanes where a task of a limited type belongs, and any other.
func typed(env *wire.Envelope) wire.Lane {
	return wire.Lane{Queue: env.Task.Queue, Priority: env.Task.Priority, Type: env.Task.Type}
}

func common(env *wire.Envelope) wire.Lane {
	return wire.Lane{Queue: env.Task.Queue, Priority: env.Task.Priority}
}

// mover does what the scheduler does with tasks that lie in the wrong lane message.
func (sys *system) mover(to func(*wire.Envelope) wire.Lane) {
	sys.t.Helper()
	c, err := sys.js.CreateOrUpdateConsumer(sys.t.Context(), wire.StreamLater, jetstream.ConsumerConfig{
		Durable: wire.ConsumerDue, FilterSubject: wire.SubjectDueAll, AckPolicy: jetstream.AckExplicitPolicy,
	})
	require.NoError(sys.t, err)
	consume, err := c.Consume(func(m jetstream.Msg) {
		env, err := wire.DecodeEnvelope(m.Data())
		if err != nil {
			return
		}
		moved := nats.NewMsg(to(env).Subject(env.Task.Type))
		moved.Data = env.Encode()
		moved.Header.Set(wire.HeaderCheck, "1")
		if _, err := sys.js.PublishMsg(context.Background(), moved); err == nil {
			_ = m.Ack()
		}
	})
	require.NoError(sys.t, err)
	sys.t.Cleanup(func() { consume.Stop(); <-consume.Closed() })
}

func (sys *system) tasks(n int, taskType string, payload any, change ...func(*wire.Envelope)) []*wire.Envelope {
	envs := make([]*wire.Envelope, n)
	for i := range envs {
		envs[i] = sys.task(taskType, payload, change...)
	}
	return envs
}

func (sys *system) awaitCompleted(envs ...*wire.Envelope) {
	sys.t.Helper()
	for _, env := range envs {
		sys.await(env.ID, wire.StatusCompleted)
	}
}

// load is the payload of a measured task.
type load struct {
	Addr  string `json:"addr"`
	Label string `json:"label"`
	Ms    int    `json:"ms"`
	// FailFirst makes the first attempt fail.
	FailFirst bool `json:"failFirst,omitempty"`
}

// held is a measured task that runs until it is let go.
const held = -1

func measure(g *natstest.Gauge, label string, ms int) load {
	return load{Addr: g.Addr(), Label: label, Ms: ms}
}

// measured is the handler of measured tasks.
func measured(ctx context.Context, t *worker.Task) (any, error) {
	var l load
	if err := t.Bind(&l); err != nil {
		return nil, err
	}
	entered, err := natstest.Enter(ctx, l.Addr, l.Label)
	if err != nil {
		return nil, err
	}
	defer entered.Leave()
	if l.Ms < 0 { // until the test lets it go
		return nil, entered.Wait(ctx)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(l.Ms) * time.Millisecond):
	}
	if l.FailFirst && t.Attempt == 1 {
		return nil, errors.New("the first attempt fails")
	}
	return nil, nil
}

func inProcess(c *workerpool.Config) { c.Handlers, c.Command = testMux(), nil }

// awaitHeld waits until exactly n tasks with a label run.
func awaitHeld(t *testing.T, g *natstest.Gauge, label string, n int) {
	t.Helper()
	natstest.Eventually(t, func() error {
		if now, waiting := g.Now(label), g.Held(label); now != n || waiting != n {
			return fmt.Errorf("%d %s run and %d of them wait, not %d", now, label, waiting, n)
		}
		return nil
	})
}

func TestALimitHoldsOverPools(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.limit("default", "gauge", atMost(3))
	for range 3 {
		sys.pool(inProcess, size(1, 4))
	}
	g := natstest.StartGauge(t)
	envs := sys.tasks(30, "gauge", measure(g, "x", held))
	sys.submitLimited(envs...)
	for left := 30; left > 0; left -= 3 {
		awaitHeld(t, g, "x", 3)
		if left == 15 { // what is held up stands in nobody's way
			others := sys.tasks(20, "echo", 1)
			sys.submit(others...)
			sys.awaitCompleted(others...)
		}
		g.Release("x", 3)
	}
	sys.awaitCompleted(envs...)
	require.Equal(t, 3, g.Most(""))
	require.Len(t, g.Starts(""), 30)
	sys.awaitAcknowledged()
	sys.awaitNoPermits("gauge")
}

// What was put into the common lane before its type became limited, or by a scheduler that
// did not know, neither escapes the limit nor stands before others.
func TestALimitOverABacklogInTheCommonLane(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.mover(typed)
	g := natstest.StartGauge(t)
	// Both run before there is a limit, and count once there is one.
	sys.pool(inProcess, size(1, 2))
	sys.submit(sys.tasks(2, "gauge", measure(g, "x", held))...)
	awaitHeld(t, g, "x", 2)
	blocked := sys.tasks(12, "gauge", measure(g, "x", held))
	sys.submit(blocked...)
	sys.limit("default", "gauge", atMost(1))
	natstest.Eventually(t, func() error {
		if p := sys.ledger("default", "gauge"); p.Total() != 2 || p.Settling {
			return fmt.Errorf("what runs is not counted: %s", mustJSON(p))
		}
		return nil
	})
	sys.pool(inProcess, size(1, 4))
	others := sys.tasks(40, "echo", 1)
	sys.submit(others...)
	sys.awaitCompleted(others...)
	require.Equal(t, 2, g.Most("x"))
	g.Release("x", 1)
	awaitHeld(t, g, "x", 1)
	one := sys.task("echo", 1)
	sys.run(wire.StatusCompleted, one)
	require.Len(t, g.Starts("x"), 2, "one runs, which is all that may")
	g.Reset()
	for range len(blocked) + 1 {
		awaitHeld(t, g, "x", 1)
		g.Release("x", 1)
	}
	sys.awaitCompleted(blocked...)
	require.Equal(t, 1, g.Most("x"))
	sys.awaitAcknowledged()
	sys.awaitNoPermits("gauge")
}

func TestAQueuesLimitAndATypesLimitHoldTogether(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.limit("default", "", atMost(4))
	sys.limit("default", "gauge", atMost(2))
	for range 2 {
		sys.pool(inProcess, size(1, 8))
	}
	g := natstest.StartGauge(t)
	typed := sys.tasks(10, "gauge", measure(g, "typed", held))
	common := sys.tasks(22, "gauge.other", measure(g, "common", held))
	sys.submitLimited(typed...)
	sys.submit(common...)
	// Which kind gets the permits of a round is open: where common tasks got more, the typed
	// ones that are left at the end run two at a time.
	for typedLeft, commonLeft := len(typed), len(common); typedLeft+commonLeft > 0; {
		most := min(4, min(2, typedLeft)+commonLeft)
		natstest.Eventually(t, func() error {
			if now := g.Held("typed") + g.Held("common"); now != most {
				return fmt.Errorf("%d run of the %d that may (%d typed and %d common left)", now, most, typedLeft, commonLeft)
			}
			return nil
		})
		typedLeft -= g.Held("typed")
		commonLeft -= g.Held("common")
		g.Release("typed", 2)
		g.Release("common", 4)
	}
	sys.awaitCompleted(append(typed, common...)...)
	require.LessOrEqual(t, g.Most("typed"), 2)
	require.Equal(t, 4, g.Most(""))
	require.Len(t, g.Starts(""), 32)
	sys.awaitAcknowledged()
	sys.awaitNoPermits("")
	sys.awaitNoPermits("gauge")
}

func TestALimitIsRaisedLoweredAndLifted(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	defer sys.tellLimits()
	sys.limit("default", "gauge", atMost(6))
	for range 2 {
		sys.pool(inProcess, size(1, 8))
	}
	g := natstest.StartGauge(t)
	envs := sys.tasks(40, "gauge", measure(g, "x", held))
	sys.submitLimited(envs...)
	awaitHeld(t, g, "x", 6)
	sys.limit("default", "gauge", atMost(2))
	g.Release("x", 4)
	awaitHeld(t, g, "x", 2)
	require.Len(t, g.Starts("x"), 6, "permits are taken away as they come back")
	g.Reset()
	for range 4 {
		awaitHeld(t, g, "x", 2)
		g.Release("x", 2)
	}
	awaitHeld(t, g, "x", 2)
	require.Equal(t, 2, g.Most("x"))
	sys.limit("default", "gauge", atMost(9))
	awaitHeld(t, g, "x", 9)
	require.Equal(t, 9, g.Most("x"))
	sys.limit("default", "gauge", wire.Limits{})
	awaitHeld(t, g, "x", 16) // all that the pools can do
	sys.limit("default", "gauge", atMost(1))
	g.Release("x", 15)
	awaitHeld(t, g, "x", 1)
	g.Reset()
	for range 13 { // the one that runs, and the 12 of 40 that have not begun
		awaitHeld(t, g, "x", 1)
		g.Release("x", 1)
	}
	sys.awaitCompleted(envs...)
	require.Equal(t, 1, g.Most("x"))
	sys.awaitNoPermits("gauge")
}
