package scheduler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// short tells schedulers, as a pool does, how many microseconds tasks take in one of 10 slots.
func (b *bench) short(types map[string]int64) {
	b.t.Helper()
	body, err := json.Marshal(wire.Instance{Pool: "p", Instance: "i", Slots: 10, Concurrency: 10, Running: 1, Queues: []string{"none"}, ServiceUs: types})
	require.NoError(b.t, err)
	b.publish(nats.NewMsg(wire.KVSubject(wire.BucketWorkers, wire.InstanceKey("p", "i"))), string(body))
}

// parcels are the lane messages by the ids in them, waited for until they hold n tasks.
func (b *bench) parcels(n int) [][]string {
	b.t.Helper()
	var out [][]string
	natstest.Eventually(b.t, func() error {
		out = nil
		tasks := 0
		for _, m := range b.stored(wire.StreamReady) {
			members, err := wire.DecodeLaneMessage(m.Data)
			if err != nil {
				return err
			}
			ids := make([]string, len(members))
			for i, env := range members {
				ids[i] = env.ID
				if rec := b.fold.record(env.ID); rec == nil || rec.Meta.LaneSeq < m.Sequence {
					return fmt.Errorf("the record of %s does not know lane message %d: %+v", env.ID, m.Sequence, rec)
				}
			}
			out = append(out, ids)
			tasks += len(ids)
		}
		if tasks != n {
			return fmt.Errorf("%d tasks in the lanes", tasks)
		}
		return nil
	})
	return out
}

func sizes(parcels [][]string) []int {
	out := make([]int, len(parcels))
	for i, p := range parcels {
		out[i] = len(p)
	}
	return out
}

// begun is a scheduler that has heard how long tasks take.
func (b *bench) begun(types map[string]int64, change ...func(*scheduler.Config)) {
	b.t.Helper()
	// What a test purges is lost, and would be repaired.
	b.start(append([]func(*scheduler.Config){func(c *scheduler.Config) { c.AuditAfter = time.Hour }}, change...)...)
	// It hears from its start on: what it makes of this submission shows that it has.
	types = maps.Clone(types)
	types["probe"] = 1
	natstest.Eventually(b.t, func() error {
		b.short(types)
		seq := b.submit(`[{"type":"probe"},{"type":"probe"}]`)
		b.dispatched(wire.MakeID(seq, 2))
		together := false
		for _, m := range b.stored(wire.StreamReady) {
			members, err := wire.DecodeLaneMessage(m.Data)
			require.NoError(b.t, err)
			together = together || len(members) == 2
			b.ackLane(laneMsg{seq: m.Sequence})
		}
		if !together {
			return fmt.Errorf("the scheduler has not heard of pools")
		}
		return nil
	})
}

func TestShortTasksGoTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// With 10 slots: 0.01 ms each of the one, 0.25 ms each of the other, 2 ms of the third.
	b.begun(map[string]int64{"instant": 100, "short": 2500, "long": 20_000})

	seq := b.submit(group(150, `{"type":"instant"}`))
	p := b.parcels(150)
	require.Equal(t, []int{64, 64, 22}, sizes(p))
	require.Equal(t, wire.MakeID(seq, 1), p[0][0])
	require.Equal(t, wire.MakeID(seq, 65), p[1][0], "in their order")
	first := b.dispatched(p[0][0]).Meta.LaneSeq
	require.Equal(t, first, b.dispatched(p[0][63]).Meta.LaneSeq)
	require.Equal(t, first+1, b.dispatched(p[1][0]).Meta.LaneSeq)
	b.purgeLanes()

	b.submit(group(10, `{"type":"short"}`))
	require.Equal(t, []int{4, 4, 2}, sizes(b.parcels(10)), "no more than start within a millisecond")
	b.purgeLanes()

	b.submit(group(3, `{"type":"long"}`))
	require.Equal(t, []int{1, 1, 1}, sizes(b.parcels(3)))
	b.purgeLanes()

	b.submit(group(3, `{"type":"never.seen"}`))
	require.Equal(t, []int{1, 1, 1}, sizes(b.parcels(3)), "nobody knows how long they take")
	b.purgeLanes()

	b.submit(`[{"type":"instant"},{"type":"instant","priority":"high"},{"type":"short"},{"type":"instant","queue":"other"},{"type":"instant"}]`)
	require.ElementsMatch(t, []int{3, 1, 1}, sizes(b.parcels(5)), "one lane each, whatever their types")
	b.purgeLanes()

	big := strings.Repeat("x", 50_000)
	b.submit(fmt.Sprintf(`[{"type":"instant","payload":%[1]q},{"type":"instant","payload":%[1]q},{"type":"instant","payload":%[1]q}]`, big))
	require.Equal(t, []int{2, 1}, sizes(b.parcels(3)), "a parcel is bounded by bytes")
}

func (b *bench) purgeLanes() {
	b.t.Helper()
	b.submitted()
	s, err := b.js.Stream(b.t.Context(), wire.StreamReady)
	require.NoError(b.t, err)
	require.NoError(b.t, s.Purge(b.t.Context()))
}

func TestWhoNeedsAMessageOfItsOwnHasOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10})
	b.submit(`[{"type":"instant","id":"mine-1"},{"type":"instant","id":"mine-2"}]`)
	require.Equal(t, []int{1, 1}, sizes(b.parcels(2)), "whoever chose its id may be submitted again")
	b.purgeLanes()
	b.submit(group(2, `{"type":"instant","deadline":"`+wire.At(time.Now().Add(time.Hour)).String()+`"}`))
	require.Equal(t, []int{1, 1}, sizes(b.parcels(2)), "the reminder of a deadline takes the message back")
	b.purgeLanes()

	b.limit("default", wire.QueueSettings{Types: map[string]wire.Limits{"instant": {MaxConcurrent: new(1)}}})
	b.apartFromNowOn(`{"type":"instant"}`)
	b.limit("other", wire.QueueSettings{Limits: wire.Limits{MaxConcurrent: new(1)}})
	b.apartFromNowOn(`{"type":"instant","queue":"other"}`)
}

// apartFromNowOn waits until tasks that are submitted together go alone.
func (b *bench) apartFromNowOn(task string) {
	b.t.Helper()
	natstest.Eventually(b.t, func() error {
		b.purgeLanes()
		b.submit(group(2, task))
		if got := sizes(b.parcels(2)); len(got) != 2 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

// limit sets a limit as the API does.
func (b *bench) limit(queue string, set wire.QueueSettings) {
	b.t.Helper()
	body, err := json.Marshal(set)
	require.NoError(b.t, err)
	b.publish(nats.NewMsg(wire.KVSubject(wire.BucketSettings, wire.QueueSettingsKey(queue))), string(body))
	require.NoError(b.t, topology.ApplyLimits(b.t.Context(), b.js, queue))
}

func TestWhatAPoolNoLongerSaysIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10})
	b.publish(nats.NewMsg(wire.KVSubject(wire.BucketWorkers, wire.InstanceKey("p", "i"))), "") // as its end does
	b.apartFromNowOn(`{"type":"instant"}`)
}

func TestACancelledMemberLeavesItsParcel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10})
	b.submit(group(3, `{"type":"instant"}`))
	p := b.parcels(3)
	require.Equal(t, []int{3}, sizes(p))
	b.cancel(p[0][1])
	b.status(p[0][1], wire.StatusCancelled)
	b.commanded()
	require.Equal(t, p, b.parcels(3), "the others still have their message")

	// A retry by hand has a message of its own.
	b.retry(p[0][1])
	m := b.alone(p[0][1], 1)
	require.Greater(t, b.record(p[0][1], func(r *wire.Record) bool { return r.Meta.LaneSeq == m.seq }).Meta.LaneSeq, b.dispatched(p[0][0]).Meta.LaneSeq)
}

// alone waits for a message of a task alone, of a round.
func (b *bench) alone(id string, round int) (found laneMsg) {
	b.t.Helper()
	natstest.Eventually(b.t, func() error {
		for _, m := range b.stored(wire.StreamReady) {
			if env, err := wire.DecodeEnvelope(m.Data); err == nil && env.ID == id && env.Round == round {
				found = laneMsg{env, m.Sequence, m.Header}
				return nil
			}
		}
		return fmt.Errorf("no message of %s in round %d", id, round)
	})
	return found
}

func TestTheAuditFindsTasksInParcels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10}, func(c *scheduler.Config) { c.AuditAfter = 300 * time.Millisecond })
	b.submit(group(3, `{"type":"instant"}`))
	p := b.parcels(3)
	lone := wire.MakeID(b.submit(`{"type":"long"}`), 0)
	b.ackLane(b.alone(lone, 0)) // lost: its repair shows that the audit has been here
	repaired := b.alone(lone, 1)
	for _, id := range p[0] {
		require.Zero(t, b.fold.record(id).Meta.Round, "nothing is repaired that has a message")
	}
	b.ackLane(repaired)

	seq := b.dispatched(p[0][0]).Meta.LaneSeq
	b.ackLane(laneMsg{seq: seq}) // lost, with all three
	for _, id := range p[0] {
		b.alone(id, 1) // each runs by itself then
	}
}

// A stranded parcel is removed once all its tasks have ended, not before.
func TestAStrandedParcelIsRemovedWhenAllOfItHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10})
	b.submit(group(2, `{"type":"instant"}`))
	p := b.parcels(2)[0]
	witness := wire.MakeID(b.submit(`{"type":"long"}`), 0)
	alone := b.alone(witness, 0)
	st, err := b.js.Stream(t.Context(), wire.StreamReady)
	require.NoError(t, err)
	_, err = st.ResetConsumerToSequence(t.Context(), wire.LaneConsumer("default", wire.PriorityMedium), alone.seq+1)
	require.NoError(t, err)

	seq := b.dispatched(p[0]).Meta.LaneSeq
	end := func(id string, seq uint64) {
		m := laneMsg{Envelope: envelopeOf(b.fold.record(id)), seq: seq}
		b.emit(began(m, wire.FirstFence(seq)), completed(m, wire.FirstFence(seq)))
		b.status(id, wire.StatusCompleted)
	}
	end(p[0], seq)
	end(witness, alone.seq)
	gone := func(seq uint64) error {
		for _, m := range b.stored(wire.StreamReady) {
			if m.Sequence == seq {
				return fmt.Errorf("lane message %d is there", seq)
			}
		}
		return nil
	}
	natstest.Eventually(t, func() error { return gone(alone.seq) })
	require.Error(t, gone(seq), "one of its tasks is open")
	end(p[1], seq)
	natstest.Eventually(t, func() error { return gone(seq) })
}

// envelopeOf is the envelope of a task as its record has it.
func envelopeOf(rec *wire.Record) *wire.Envelope {
	return &wire.Envelope{
		ID: rec.ID, Attempt: rec.Attempt, SubmitSeq: rec.Meta.SubmitSeq, Member: rec.Meta.Member, SubmittedAt: rec.SubmittedAt,
		DueAt: rec.SubmittedAt, Task: wire.Compact(rec.Definition),
	}
}

// Two lane messages are not two tasks where they are parcels.
func TestPoolsAreSizedByTheTasksInParcels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begun(map[string]int64{"instant": 10})
	b.put(wire.BucketWorkers, wire.InstanceKey("q", "a"), wire.Instance{
		Pool: "q", Instance: "a", Queues: []string{"default"}, Min: 1, Max: 50, Running: 1, Concurrency: 1, Slots: 1,
		Finished: 100, BusyMs: 1000, ScaleTargetMs: 100, ScaleDownAfterMs: 60_000, // 10 ms a task: ten of them in a tenth of a second
	})
	b.submit(group(100, `{"type":"instant"}`))
	require.Equal(t, []int{64, 36}, sizes(b.parcels(100)))
	b.put(wire.BucketTasks, wire.KeyTotals, wire.Totals{Waiting: map[string]int64{wire.WaitingKey("default", wire.PriorityMedium): 100}})
	natstest.Eventually(t, func() error {
		var d wire.Desired
		if err := b.living(wire.DesiredKey("q"), &d); err != nil {
			return err
		}
		if d.Desired < 10 {
			return fmt.Errorf("desired is %+v", d)
		}
		return nil
	})
}
