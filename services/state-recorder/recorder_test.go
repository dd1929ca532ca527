package recorder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

type bundle struct {
	js      jetstream.JetStream
	server  *natstest.Server
	records *natsx.Records
	events  *natsx.Events
}

func setup(t *testing.T) *bundle {
	t.Helper()
	s := natstest.Start(t)
	js := s.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	records, err := natsx.NewRecords(t.Context(), js)
	require.NoError(t, err)
	t.Cleanup(records.Close)
	return &bundle{js: js, server: s, records: records, events: natsx.NewEvents(natsx.NewPublisher(js))}
}

func (b *bundle) start(t *testing.T, change func(*recorder.Config)) *recorder.Recorder {
	t.Helper()
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: b.server.URL(), Name: "recorder"})
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	cfg := recorder.Config{JS: js, Takeover: 400 * time.Millisecond, Log: obs.NewTestLogger(t.Output())}
	if change != nil {
		change(&cfg)
	}
	r, err := recorder.New(cfg)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() {
		require.NoError(t, r.Stop(context.Background()))
		nc.Close()
	})
	return r
}

func submitted(id string, seq uint64) wire.Event {
	def := wire.Compact{
		Type: "sleep", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3,
		Backoff: wire.DefaultBackoff, TimeoutMs: 1000, RetentionMs: 86_400_000, Tags: map[string]string{},
	}
	return wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: id, Data: wire.EventData{Task: &def, SubmitSeq: seq, SubmittedAt: wire.Now()}})
}

func started(id string, seq, fence uint64) wire.Event {
	e := submitted(id, seq)
	e.Event, e.Attempt, e.WorkerID, e.Pool = wire.EventStarted, 1, "worker-1", "default"
	e.Data.Fence, e.Data.LaneSeq = fence, fence/wire.FencePerLane
	return wire.NewEvent(e)
}

func completed(id string, fence uint64) wire.Event {
	return wire.NewEvent(wire.Event{
		Event: wire.EventCompleted, TaskID: id, WorkerID: "worker-1", Attempt: 1,
		Data: wire.EventData{Fence: fence, Result: json.RawMessage(`{"n":12345678901234567890}`), ExecutionTimeMs: new(int64(7))},
	})
}

func (b *bundle) publish(t *testing.T, events ...wire.Event) {
	t.Helper()
	_, err := b.events.Publish(t.Context(), events...)
	require.NoError(t, err)
}

func (b *bundle) behind(t *testing.T, ids ...string) map[string]*wire.Record {
	t.Helper()
	got, err := b.records.Behind(t.Context(), ids...)
	require.NoError(t, err)
	return got
}

func (b *bundle) totals(t *testing.T) wire.Totals {
	t.Helper()
	kv, err := b.js.KeyValue(t.Context(), wire.BucketTasks)
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), wire.KeyTotals)
	require.NoError(t, err)
	var totals wire.Totals
	require.NoError(t, json.Unmarshal(e.Value(), &totals))
	return totals
}

func TestFoldsATaskFromSubmissionToEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	b.publish(t, submitted("a", 1), started("a", 1, 1025), completed("a", 1025))
	rec := b.behind(t, "a")["a"]
	require.Equal(t, wire.StatusCompleted, rec.Status)
	require.JSONEq(t, `{"n":12345678901234567890}`, string(rec.Result))
	require.Contains(t, string(rec.Result), "12345678901234567890")
	require.Len(t, rec.Meta.History, 3)
	totals := b.totals(t)
	require.EqualValues(t, 1, totals.Submitted)
	require.EqualValues(t, 1, totals.Finished[wire.StatusCompleted]["sleep"])
	require.Zero(t, totals.Open)
	require.Empty(t, totals.Waiting)
	require.EqualValues(t, 1, totals.DurationMs.Count)

	st, err := b.js.Stream(t.Context(), wire.StreamTasks)
	require.NoError(t, err)
	m, err := st.GetLastMsgForSubject(t.Context(), wire.KVSubject(wire.BucketTasks, "a"))
	require.NoError(t, err)
	ttl, err := time.ParseDuration(m.Header.Get(wire.HeaderTTL) + "s")
	require.NoError(t, err)
	require.InDelta(t, (24 * time.Hour).Seconds(), ttl.Seconds(), 60)
}

func TestRefusesLateOutcomesAndTellsDuplicates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	b.publish(t, submitted("a", 1), started("a", 1, 1025), started("a", 1, 1026), completed("a", 1025), submitted("a", 2))
	rec := b.behind(t, "a")["a"]
	require.Equal(t, wire.StatusInProgress, rec.Status)
	require.Equal(t, 1, rec.Meta.Crashes)
	b.publish(t, completed("a", 1026))
	require.Equal(t, wire.StatusCompleted, b.behind(t, "a")["a"].Status)
	names := map[wire.EventName]int{}
	natstest.Eventually(t, func() error {
		clear(names)
		for _, e := range b.allEvents(t) {
			names[e.Event]++
		}
		if names[wire.EventRefused] != 1 || names[wire.EventDuplicate] != 1 {
			return fmt.Errorf("told: %v", names)
		}
		return nil
	})
	require.EqualValues(t, 1, b.totals(t).Refused)
}

func (b *bundle) allEvents(t *testing.T) []wire.Event {
	t.Helper()
	st, err := b.js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	var all []wire.Event
	for seq := st.CachedInfo().State.FirstSeq; seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // trimmed meanwhile
		}
		require.NoError(t, err)
		events, err := wire.DecodeEvents(seq, m.Data)
		require.NoError(t, err)
		all = append(all, events...)
	}
	return all
}

// Many tasks, through replicas that are stopped and started under load: each event is
// applied once, whoever commits it.
func TestReplicasApplyEachEventOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	second := b.start(t, nil)
	const tasks = 3000
	for i := range tasks {
		id := fmt.Sprintf("t%d", i)
		fence := uint64(i+1)*wire.FencePerLane + 1
		b.events.PublishAsync(nil, submitted(id, uint64(i+1)), started(id, uint64(i+1), fence), completed(id, fence))
		if i == tasks/3 {
			require.NoError(t, second.Stop(t.Context()))
			require.NoError(t, second.Start(t.Context()))
		}
	}
	b.events.Close(t.Context())
	b.behind(t)
	totals := b.totals(t)
	require.EqualValues(t, tasks, totals.Submitted)
	require.EqualValues(t, tasks, totals.Finished[wire.StatusCompleted]["sleep"])
	require.Zero(t, totals.Open)
	require.Empty(t, totals.Waiting)
	require.Zero(t, totals.Refused)
}

func TestCountsWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	key := wire.WaitingKey("default", wire.PriorityMedium)
	waiting := func(want int64, e ...wire.Event) {
		t.Helper()
		b.publish(t, e...)
		b.behind(t)
		require.Equal(t, want, b.totals(t).Waiting[key], "after %s", e[len(e)-1].Event)
	}
	waiting(2, submitted("a", 1), submitted("b", 2))
	waiting(1, started("a", 1, 1025))
	waiting(2, wire.NewEvent(wire.Event{Event: wire.EventReassigned, TaskID: "a", Attempt: 1, Data: wire.EventData{Fence: 1025, Reason: wire.ReasonDrain}}))
	waiting(1, wire.NewEvent(wire.Event{Event: wire.EventCancelled, TaskID: "b", Data: wire.EventData{ControlSeq: 1}}))
	waiting(0, started("a", 1, 1026), completed("a", 1026))
	require.Empty(t, b.totals(t).Waiting)
}

func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.start(t, nil)
	second := b.start(t, nil)
	b.publish(t, submitted("a", 1))
	require.Contains(t, b.behind(t, "a"), "a")
	for _, r := range []*recorder.Recorder{first, second} { // whichever of them folds
		require.NoError(t, r.Stop(t.Context()))
		b.publish(t, submitted("b", 2), submitted(fmt.Sprintf("%p", r)[2:], 3))
		require.Contains(t, b.behind(t, "b"), "b")
		require.NoError(t, r.Start(t.Context()))
	}
}

// The oldest go, and no more than those: the markers they leave are not taken for records.
func TestDeletesRecordsBeyondMaxFinished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, func(c *recorder.Config) { c.MaxFinished, c.Keep, c.MarkerTTL = 5, 50*time.Millisecond, time.Second })
	finish := func(from, to int) {
		for i := from; i < to; i++ {
			id, fence := fmt.Sprintf("t%d", i), uint64(i+2)*wire.FencePerLane+1
			b.publish(t, submitted(id, uint64(i+2)), started(id, uint64(i+2), fence), completed(id, fence))
		}
		b.behind(t)
	}
	ids := []string{"open"}
	for i := range 25 {
		ids = append(ids, fmt.Sprintf("t%d", i))
	}
	kept := func() []string {
		got, err := b.records.Get(t.Context(), ids...)
		require.NoError(t, err)
		return slices.Sorted(maps.Keys(got))
	}
	await := func(want ...string) {
		natstest.Eventually(t, func() error {
			if got := kept(); !slices.Equal(got, want) {
				return fmt.Errorf("kept: %v", got)
			}
			return nil
		})
	}
	b.publish(t, submitted("open", 1))
	finish(0, 20)
	await("open", "t15", "t16", "t17", "t18", "t19")
	require.Never(t, func() bool { return len(kept()) != 6 }, 7*time.Second, 20*time.Millisecond)
	finish(20, 22)
	await("open", "t17", "t18", "t19", "t20", "t21")
}

func TestDeletesOnDemandAndTakesTheIDAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	b.publish(t, submitted("a", 1), started("a", 1, 1025), completed("a", 1025))
	require.Contains(t, b.behind(t, "a"), "a")
	b.publish(t, wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: "a", Data: wire.EventData{ControlSeq: 1}}))
	require.Empty(t, b.behind(t, "a"))
	b.publish(t, submitted("a", 2))
	require.EqualValues(t, 2, b.behind(t, "a")["a"].Meta.SubmitSeq)
}

func TestGoesOnAboveAStreamThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.start(t, nil)
	for i := range 30 {
		b.publish(t, submitted(fmt.Sprintf("t%d", i), uint64(i+1)))
	}
	b.behind(t)
	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, b.js.DeleteStream(t.Context(), wire.StreamEvents))
	for _, cfg := range topology.Streams(1<<30, 1) {
		if cfg.Name == wire.StreamEvents { // by hand: it begins at 1
			_, err := b.js.CreateStream(t.Context(), cfg)
			require.NoError(t, err)
		}
	}
	b.publish(t, started("t3", 4, 1025))
	require.NoError(t, r.Start(t.Context()))
	natstest.Eventually(t, func() error {
		got, err := b.records.Get(t.Context(), "t3")
		if err == nil && got["t3"].Status != wire.StatusInProgress {
			err = fmt.Errorf("t3 is %s", got["t3"].Status)
		}
		return err
	})
	b.publish(t, completed("t3", 1025))
	require.Equal(t, wire.StatusCompleted, b.behind(t, "t3")["t3"].Status)
}

// One message may concern more tasks than fit into a commit.
func TestFoldsAMessageLargerThanACommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t, nil)
	const n = 2500
	ids := make([]string, n)
	for i := range ids {
		ids[i] = wire.MakeID(1, i+1)
		e := submitted(ids[i], 1)
		e.Data.Member = i + 1
		b.events.PublishAsync(nil, e)
	}
	b.publish(t, wire.NewEvent(wire.Event{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default_medium", First: 100, IDs: ids}}))
	got := b.behind(t, ids...)
	require.Len(t, got, n)
	for i, id := range ids {
		require.EqualValues(t, 100+i, got[id].Meta.LaneSeq, id)
	}
	b.publish(t, wire.NewEvent(wire.Event{Event: wire.EventDispatched, Data: wire.EventData{ // moved into parcels
		Lane: "default_medium", First: 10_000, Sizes: slices.Repeat([]int{50}, n/50), IDs: ids,
	}}))
	got = b.behind(t, ids...)
	for i, id := range ids {
		require.EqualValues(t, 10_000+i/50, got[id].Meta.LaneSeq, id)
	}
}
