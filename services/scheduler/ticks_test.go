package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// put writes a key of a bucket; a server that was restarted may lose a request.
func (b *bench) put(bucket, key string, v any) {
	b.t.Helper()
	body, err := json.Marshal(v)
	require.NoError(b.t, err)
	natstest.Eventually(b.t, func() error {
		ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
		defer cancel()
		_, err := b.js.Publish(ctx, wire.KVSubject(bucket, key), body)
		return err
	})
}

// living reads a key of the bucket of the living.
func (b *bench) living(key string, v any) error {
	b.t.Helper()
	kv, err := b.js.KeyValue(b.t.Context(), wire.BucketWorkers)
	if err != nil {
		return err
	}
	e, err := kv.Get(b.t.Context(), key)
	if err != nil {
		return err
	}
	return json.Unmarshal(e.Value(), v)
}

func TestPoolsAreSizedByTheirBacklog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.start() // two replicas share the ticks
	one := wire.Instance{Pool: "p", Instance: "a", Queues: []string{"default"}, Min: 1, Max: 4, Running: 1, Concurrency: 2, Slots: 2, BusySlots: 2, Finished: 10, BusyMs: 20000, ScaleTargetMs: 1000, ScaleDownAfterMs: 60000}
	two := one
	two.Instance = "b"
	b.put(wire.BucketWorkers, wire.InstanceKey("p", "a"), one)
	b.put(wire.BucketWorkers, wire.InstanceKey("p", "b"), two)
	b.submit(group(100, `{"type":"a"}`))
	natstest.Eventually(t, func() error {
		var d wire.Desired
		if err := b.living(wire.DesiredKey("p"), &d); err != nil {
			return err
		}
		if d.Desired != 8 || d.Max != 8 || d.Instances["a"] != 4 || d.Instances["b"] != 4 || d.Reason == "" {
			return fmt.Errorf("desired is %+v", d)
		}
		return nil
	})
	e := b.event("", wire.EventPoolScaled)
	require.Equal(t, "p", e.Pool)
	require.Less(t, *e.Data.From, *e.Data.To)

	b.put(wire.BucketSettings, wire.PoolSettingsKey("p"), wire.PoolSettings{Max: new(3), Paused: true})
	natstest.Eventually(t, func() error {
		var d wire.Desired
		if err := b.living(wire.DesiredKey("p"), &d); err != nil {
			return err
		}
		if d.Desired != 3 || !d.Paused {
			return fmt.Errorf("desired is %+v", d)
		}
		return nil
	})
}

func TestSamplesAreKeptOncePerSlot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(wire.BucketWorkers, "worker-1", wire.Worker{ID: "worker-1", CPUPercent: new(12.5), MemoryMb: new(64.0)})
	b.put(wire.BucketTasks, wire.KeyTotals, wire.Totals{Submitted: 41})
	b.start()
	b.start()
	seq := b.submit(`[{"type":"a","priority":"high"},{"type":"a","priority":"high"}]`)
	b.dispatched(wire.MakeID(seq, 2))
	var samples []*jetstream.RawStreamMsg
	natstest.Eventually(t, func() error {
		if samples = b.stored(wire.StreamSeries); len(samples) < 3 {
			return fmt.Errorf("%d samples", len(samples))
		}
		return nil
	})
	seen := map[string]bool{}
	for _, m := range samples {
		id := m.Header.Get(wire.HeaderMsgID)
		require.False(t, seen[id], id)
		seen[id] = true
		require.NotEmpty(t, m.Header.Get(wire.HeaderTTL))
	}
	var last wire.Sample
	require.NoError(t, json.Unmarshal(samples[len(samples)-1].Data, &last))
	require.Equal(t, uint64(41), last.Totals.Submitted)
	require.Equal(t, int64(2), last.Waiting[wire.PriorityHigh])
	require.Equal(t, wire.WorkerSample{CPUPercent: 12.5, MemoryMb: 64}, last.Workers["worker-1"])
}

func TestAuditRepairsWhatNoMessageRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	short := func(c *scheduler.Config) { c.AuditAfter = time.Millisecond }
	b.start(short)
	b.start(short)
	seq := b.submit(`[{"type":"a","payload":1},{"type":"a"},{"type":"a","delayMs":3600000},{"type":"a"},{"type":"a"}]`)
	ids := make([]string, 6)
	for i := 1; i <= 5; i++ {
		ids[i] = wire.MakeID(seq, i)
	}
	b.submitted()
	for _, i := range []int{1, 2, 4, 5} {
		b.dispatched(ids[i])
	}
	kept, running, retrying := b.run(ids[2], 1, 0), b.run(ids[4], 1, 0), b.run(ids[5], 1, 0)
	b.emit(began(running, wire.FirstFence(running.seq)))
	b.status(ids[4], wire.StatusInProgress)
	b.emit(began(retrying, wire.FirstFence(retrying.seq)), failedAttempt(retrying, wire.FirstFence(retrying.seq), wire.Now()))
	b.ackLane(b.run(ids[1], 1, 0))
	b.ackLane(running)
	b.ackLane(retrying)
	later, err := b.js.Stream(t.Context(), wire.StreamLater)
	require.NoError(t, err)
	require.NoError(t, later.Purge(t.Context(), jetstream.WithPurgeSubject(wire.LaterRunSubject(ids[3], 0))))

	again := b.run(ids[1], 1, 1)
	require.Equal(t, "1", string(again.Payload))
	require.Equal(t, "1", again.header.Get(wire.HeaderCheck))
	b.record(ids[1], func(r *wire.Record) bool { return r.Status == wire.StatusPending && r.Meta.Round == 1 })
	require.Equal(t, wire.ReasonRepair, b.event(ids[1], wire.EventScheduled).Data.Reason)
	b.run(ids[4], 1, 1)
	b.run(ids[5], 2, 1)
	natstest.Eventually(t, func() error {
		if len(b.schedules(wire.LaterRunSubject(ids[3], 0))) != 1 {
			return errors.New("the schedule is not there again")
		}
		return nil
	})
	require.Equal(t, wire.StatusScheduled, b.fold.record(ids[3]).Status)
	require.Equal(t, kept.seq, b.fold.record(ids[2]).Meta.LaneSeq)
	require.Len(t, b.lane(ids[2]), 1, "what is in its lane is left alone")
}

// What was audited is not read again before it could be due.
func TestAuditRestsAfterItsLastStretch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var walks atomic.Int64
	sub, err := b.js.Conn().Subscribe("$JS.API.DIRECT.GET."+wire.StreamTasks, func(m *nats.Msg) {
		if strings.Contains(string(m.Data), `"batch"`) {
			walks.Add(1)
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sub.Unsubscribe()) })
	b.start(func(c *scheduler.Config) { c.AuditAfter = time.Hour })
	later, err := b.js.Stream(t.Context(), wire.StreamLater)
	require.NoError(t, err)
	begin := later.CachedInfo().State.LastSeq
	natstest.Eventually(t, func() error {
		info, err := later.Info(t.Context())
		if err == nil && (walks.Load() < 1 || info.State.LastSeq < begin+4) {
			err = fmt.Errorf("%d walks, %d ticks", walks.Load(), info.State.LastSeq-begin)
		}
		return err
	})
	require.Equal(t, int64(1), walks.Load())
}

func TestAuditEndsWhatCannotBeRepaired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	s := b.start(func(c *scheduler.Config) { c.AuditAfter = time.Hour })
	b.dispatched(id)
	m := b.run(id, 1, 0)
	b.emit(began(m, wire.FirstFence(m.seq)))
	b.status(id, wire.StatusInProgress)
	b.submitted()
	require.NoError(t, s.Stop(t.Context()))
	st, err := b.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.NoError(t, st.Purge(t.Context()))
	b.ackLane(m)
	b.start(func(c *scheduler.Config) { c.AuditAfter = time.Millisecond })
	rec := b.status(id, wire.StatusFailed)
	require.Equal(t, "payload is gone", rec.Error.Message)
	require.Equal(t, wire.CodeHandler, rec.Error.Code)
}

func TestServiceIsSeenAndTicksKeepTheirPhase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	tick := func() *jetstream.RawStreamMsg {
		s, err := b.js.Stream(t.Context(), wire.StreamLater)
		require.NoError(t, err)
		m, err := s.GetLastMsgForSubject(t.Context(), wire.SubjectLaterTick)
		require.NoError(t, err)
		return m
	}
	first := tick()
	require.Equal(t, "@every 1s", first.Header.Get(wire.HeaderSchedule))
	b.start()
	require.Equal(t, first.Sequence, tick().Sequence)
	natstest.Eventually(t, func() error {
		kv, err := b.js.KeyValue(t.Context(), wire.BucketWorkers)
		if err != nil {
			return err
		}
		keys, err := kv.ListKeysFiltered(t.Context(), "service.scheduler.*")
		if err != nil {
			return err
		}
		n := 0
		for range keys.Keys() {
			n++
		}
		if n != 2 {
			return fmt.Errorf("%d services", n)
		}
		return nil
	})
}

func TestHeartbeatsAndTicksComeBackAfterARestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	b.server.Restart(t)
	natstest.Eventually(t, s.Ready)
	b.put(wire.BucketWorkers, wire.InstanceKey("p", "a"), wire.Instance{Pool: "p", Instance: "a", Queues: []string{"default"}, Min: 2, Max: 4})
	natstest.Eventually(t, func() error {
		var d wire.Desired
		if err := b.living(wire.DesiredKey("p"), &d); err != nil {
			return err
		}
		if d.Desired != 2 {
			return fmt.Errorf("desired is %d", d.Desired)
		}
		return nil
	})
}

func TestConnectionOfAnotherIsUsed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	nc, err := nats.Connect("", nats.InProcessServer(b.server.NATS()))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s := b.start(func(c *scheduler.Config) { c.Conn = nc })
	b.dispatched(wire.MakeID(b.submit(`{"type":"a"}`), 0))
	require.NoError(t, s.Stop(t.Context()))
	require.True(t, nc.IsConnected(), "it is not the scheduler's to close")
}

// A pool gives up the message of a cancelled task before the books know of the cancel: the
// audit must not take the task for lost meanwhile.
func TestAuditWaitsForCommandsThatAreNotHandled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start(func(c *scheduler.Config) { c.AuditAfter = time.Hour })
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	b.emit(began(m, wire.FirstFence(m.seq)))
	b.status(id, wire.StatusInProgress)
	b.submitted()
	require.NoError(t, s.Stop(t.Context()))
	b.cancel(id)
	c, err := b.js.Consumer(t.Context(), wire.StreamControl, wire.ConsumerControl)
	require.NoError(t, err)
	held, err := c.Next()
	require.NoError(t, err)
	b.ackLane(m)
	walks := map[uint64]bool{b.auditRevision(): true}

	b.start(func(c *scheduler.Config) { c.AuditAfter = time.Millisecond })
	natstest.Eventually(t, func() error {
		if err := held.InProgress(); err != nil {
			return err
		}
		if walks[b.auditRevision()] = true; len(walks) < 4 {
			return fmt.Errorf("%d walks of the audit", len(walks)-1)
		}
		return nil
	})
	require.NoError(t, held.Nak())
	require.Zero(t, b.status(id, wire.StatusCancelled).Meta.Round)
}

// auditRevision is another one after every walk of the audit.
func (b *bench) auditRevision() uint64 {
	b.t.Helper()
	kv, err := b.js.KeyValue(b.t.Context(), wire.BucketSettings)
	require.NoError(b.t, err)
	e, err := kv.Get(b.t.Context(), wire.KeyAudit)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0
	}
	require.NoError(b.t, err)
	return e.Revision()
}

// While no scheduler runs ticks go on being made, but they do not pile up: an hour of them
// would all be worked off at the next start.
func TestTicksDoNotPileUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	b.submit(`{"type":"a"}`)
	b.submitted()
	require.NoError(t, s.Stop(t.Context()))
	st, err := b.js.Stream(t.Context(), wire.StreamLater)
	require.NoError(t, err)
	from := st.CachedInfo().State.LastSeq
	natstest.Eventually(t, func() error { // several have been made
		st, err := b.js.Stream(t.Context(), wire.StreamLater)
		if err == nil && st.CachedInfo().State.LastSeq < from+4 {
			err = fmt.Errorf("at %d", st.CachedInfo().State.LastSeq)
		}
		return err
	})
	require.LessOrEqual(t, len(b.schedules(wire.SubjectDueTick)), 2)
}
