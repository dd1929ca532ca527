package workerpool_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestATaskRunsAndIsAcknowledged(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := sys.pool()
	require.NoError(t, p.Ready())
	rec := sys.run(wire.StatusCompleted, sys.task("echo", map[string]any{"n": json.Number("1.10")}))
	require.Equal(t, `{"n":1.10}`, string(rec.Result))
	require.Equal(t, wire.FirstFence(1), rec.Fence)
	require.Equal(t, "worker-1", rec.Worker)
	require.Equal(t, "default", rec.Pool)
	require.NotNil(t, rec.WaitTimeMs)
	require.NotNil(t, rec.ExecutionTimeMs)
	sys.awaitAcknowledged()
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventCompleted}, sys.names(rec.ID))
}

func TestHandlersInThisProcess(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.Handlers, c.Command = testMux(), nil })
	rec := sys.run(wire.StatusCompleted, sys.task("echo", 7))
	require.Equal(t, "7", string(rec.Result))
	rec = sys.run(wire.StatusRetrying, sys.task("fail", nil))
	require.Equal(t, "attempt 1", rec.Error.Message)
	rec = sys.run(wire.StatusRetrying, sys.task("finishes", nil, timeout(50)))
	require.Equal(t, wire.CodeTimeout, rec.Error.Code)
	sys.awaitAcknowledged()
}

func TestAFailedAttemptSchedulesTheNext(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("fail", strings.Repeat("p", 20_000), func(e *wire.Envelope) { e.Task.Backoff = wire.DefaultBackoff })
	rec := sys.run(wire.StatusRetrying, env)
	require.Equal(t, 1, rec.Retries)
	require.Equal(t, wire.TaskError{Message: "attempt 1", Code: wire.CodeHandler, Attempt: 1, At: rec.Error.At}, *rec.Error)
	require.Equal(t, rec.Error.At.Add(wire.DefaultBackoff.Delay(env.ID, 1)), rec.ScheduledFor)
	header, next := sys.scheduled(env.ID, rec.Fence)
	require.Equal(t, "@at "+rec.ScheduledFor.Time().Format("2006-01-02T15:04:05.999999999Z07:00"), header.Get(wire.HeaderSchedule))
	require.Equal(t, wire.DueRunSubject(env.ID), header.Get(wire.HeaderScheduleTarget))
	require.Equal(t, 2, next.Attempt)
	require.Equal(t, 1, next.Retries)
	require.Equal(t, rec.Fence, next.After)
	require.Equal(t, rec.ScheduledFor, next.DueAt)
	require.Empty(t, next.Payload, "too large for a schedule")
	require.Equal(t, wire.PayloadObject(env.ID), next.PayloadObject)
	sys.awaitAcknowledged()

	sys.lane(next)
	rec = sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Retries == 2 })
	require.Equal(t, "attempt 2", rec.Error.Message)
	last := *next
	last.Attempt, last.Retries, last.Task.MaxRetries = 3, 2, 2
	sys.lane(&last)
	rec = sys.await(env.ID, wire.StatusFailed)
	require.Equal(t, 3, rec.Attempt)
	require.Equal(t, 2, rec.Retries)
	sys.awaitAcknowledged()
}

func TestAShortBackoffFallsDueWithoutASchedule(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("fail", nil, func(e *wire.Envelope) {
		e.Task.Backoff = wire.Backoff{Policy: wire.BackoffFixed, BaseMs: 10, MaxMs: 10}
	})
	rec := sys.run(wire.StatusRetrying, env)
	m := sys.lastOf(wire.StreamLater, wire.DueRunSubject(env.ID))
	require.Equal(t, rec.ScheduledFor.String(), m.Header.Get(wire.HeaderNotBefore))
}

func TestWhatAWorkerSaysOfRetries(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	rec := sys.run(wire.StatusFailed, sys.task("fatal", nil))
	require.Equal(t, "hopeless", rec.Error.Message)
	require.Equal(t, 0, rec.Retries)
	rec = sys.run(wire.StatusRetrying, sys.task("later", nil, func(e *wire.Envelope) { e.Task.Backoff.BaseMs = 1 }))
	require.Equal(t, rec.Error.At+3_600_000, rec.ScheduledFor)
	rec = sys.run(wire.StatusFailed, sys.task("fail", nil, func(e *wire.Envelope) { e.Task.MaxRetries = 0 }))
	require.Equal(t, wire.CodeHandler, rec.Error.Code)
	sys.awaitAcknowledged()
}

func TestATypeThatTheWorkersDoNotOffer(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	rec := sys.run(wire.StatusRetrying, sys.task("strange", nil))
	require.Equal(t, wire.CodeUnknownType, rec.Error.Code)
	require.Contains(t, rec.Error.Message, "strange")
	require.Contains(t, rec.Error.Message, "default")
	sys.awaitAcknowledged()
}

func TestProgressAndLogsAreGathered(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("talk", nil)
	rec := sys.run(wire.StatusCompleted, env)
	require.Equal(t, &wire.Progress{Percent: new(100.0), Message: "step 19"}, rec.Progress)
	require.LessOrEqual(t, len(sys.eventsOf(wire.EventProgress)), 10, "20 steps were taken at once")
	var lines []wire.LogLine
	for seq := uint64(1); len(lines) < 20; seq++ {
		m := sys.at(wire.StreamLogs, seq)
		require.Equal(t, wire.LogsSubject(env.ID), m.Subject)
		var some []wire.LogLine
		require.NoError(t, json.Unmarshal(m.Data, &some))
		lines = append(lines, some...)
	}
	require.Len(t, lines, 20)
	require.Equal(t, "line 19", lines[19].Message)
	require.Equal(t, 1, lines[19].Attempt)
}

func TestLargePayloadsAndResults(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	objects, err := sys.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	for _, size := range []int{100_000, 3 << 20} {
		name := wire.IncomingObject(strings.Repeat("x", size%7+1))
		_, err = objects.PutBytes(t.Context(), name, mustJSON(strings.Repeat("p", size)))
		require.NoError(t, err)
		rec := sys.run(wire.StatusCompleted, sys.task("size", nil, func(e *wire.Envelope) { e.Payload, e.PayloadObject = nil, name }))
		require.Equal(t, string(mustJSON(size+2)), string(rec.Result))

		rec = sys.run(wire.StatusCompleted, sys.task("big", size))
		require.Empty(t, rec.Result)
		require.Equal(t, wire.ResultObject(rec.ID, rec.Fence), rec.Meta.ResultObject)
		b, err := objects.GetBytes(t.Context(), rec.Meta.ResultObject)
		require.NoError(t, err)
		require.Len(t, b, size+2)
	}
	rec := sys.run(wire.StatusFailed, sys.task("size", nil, func(e *wire.Envelope) { e.Payload, e.PayloadObject = nil, "payload.gone" }))
	require.Contains(t, rec.Error.Message, "payload is gone")
	sys.awaitAcknowledged()
}

// A payload whose content is not what its description says, as a client's library may leave one,
// fails its task with the reason. It is waited for first: a replica that lags may lack a piece.
func TestACorruptPayloadFailsItsTask(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(shortLease)
	objects, err := sys.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	name := wire.IncomingObject("corrupt")
	info, err := objects.PutBytes(t.Context(), name, mustJSON(strings.Repeat("p", 300_000)))
	require.NoError(t, err)
	_, err = sys.js.Publish(t.Context(), wire.ObjectChunksSubject(info.NUID), []byte("more"))
	require.NoError(t, err)
	rec := sys.run(wire.StatusFailed, sys.task("size", nil, func(e *wire.Envelope) { e.Payload, e.PayloadObject = nil, name }))
	require.Contains(t, rec.Error.Message, "the payload is corrupt")
	require.Equal(t, wire.CodeHandler, rec.Error.Code)
	require.Equal(t, 1, rec.Attempt, "no attempt would go better")
	sys.awaitAcknowledged()
}

func TestWorkersSeeNoSecrets(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) {
		c.Env = append(c.Env, "BATUTA_NATS_URL=nats://user:password@host", "BATUTA_TOKEN=abc", "PLAIN=seen")
	})
	rec := sys.run(wire.StatusCompleted, sys.task("env", nil))
	require.NotContains(t, string(rec.Result), "password")
	require.NotContains(t, string(rec.Result), "BATUTA_TOKEN")
	require.Contains(t, string(rec.Result), "PLAIN=seen")
	require.Contains(t, string(rec.Result), "BATUTA_WORKER_ID=worker-1")
	require.Contains(t, string(rec.Result), "BATUTA_HEARTBEAT_MS=200")
}

func TestStrictPriorityWithOneSlot(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	var want []string
	for _, p := range []wire.Priority{wire.PriorityLow, wire.PriorityHigh, wire.PriorityMedium, wire.PriorityCritical} {
		for range 4 {
			sys.submit(sys.task("echo", 1, func(e *wire.Envelope) { e.Task.Priority = p }))
		}
	}
	for _, first := range []int{13, 5, 9, 1} {
		for i := range 4 {
			want = append(want, wire.MakeID(uint64(first+i), 0))
		}
	}
	sys.pool(size(1, 1))
	require.Equal(t, want, sys.startOrder(16))
}

func TestTheLowestLaneDoesNotStarve(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	low := sys.task("echo", 1, func(e *wire.Envelope) { e.Task.Priority = wire.PriorityLow })
	sys.submit(low)
	for range 60 {
		sys.submit(sys.task("echo", 1, func(e *wire.Envelope) { e.Task.Priority = wire.PriorityHigh }))
	}
	sys.pool(size(1, 1))
	order := sys.startOrder(61)
	require.Contains(t, order[15:30], low.ID, "one task in twenty comes from the lowest lane")
}

// Priorities are those of the lanes, not of a pool: over several pools, too, what is critical
// overtakes all that does not run yet, and one task in twenty comes from the lowest lane.
func TestPrioritiesHoldOverPools(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	of := func(n int, p wire.Priority) map[string]bool {
		ids := map[string]bool{}
		for range n {
			env := sys.task("sleep", 10, func(e *wire.Envelope) { e.Task.Priority = p })
			sys.submit(env)
			ids[env.ID] = true
		}
		return ids
	}
	among := func(order []string, ids map[string]bool) (n int) {
		for _, id := range order {
			if ids[id] {
				n++
			}
		}
		return n
	}
	low, high := of(30, wire.PriorityLow), of(120, wire.PriorityHigh)
	sys.pool(size(1, 1))
	sys.pool(size(1, 1))
	sys.startOrder(20)
	begun := len(sys.eventsOf(wire.EventStarted))
	critical := of(10, wire.PriorityCritical)

	order := sys.startOrder(len(low) + len(high) + len(critical))
	last := 0
	for i, id := range order {
		if critical[id] {
			last = i
		}
	}
	between := last + 1 - len(critical) - begun
	require.LessOrEqual(t, between, 12, "starts between the submission of the first and the start of the last critical task")
	// While a high task waits, the lowest lane gets its share of each pool, and no more.
	for i := range order {
		if among(order[:i], high) == len(high) {
			n := among(order[:i], low)
			require.GreaterOrEqual(t, n, i/20-2, "of the first %d starts", i)
			require.LessOrEqual(t, n, i/20+2, "of the first %d starts", i)
			break
		}
	}
}

func TestManyTasksInManyWorkers(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(3, 4))
	var all []*wire.Envelope
	for i := range 300 {
		all = append(all, sys.task("echo", i, func(e *wire.Envelope) { e.Task.Priority = wire.Priorities[i%4] }))
	}
	sys.submit(all...)
	sys.awaitAcknowledged()
	for _, env := range all {
		sys.await(env.ID, wire.StatusCompleted)
		require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventCompleted}, sys.names(env.ID))
	}
}
