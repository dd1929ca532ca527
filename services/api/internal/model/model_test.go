package model

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

type bench struct {
	server *natstest.Server
	js     jetstream.JetStream
	model  *Model
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{server: natstest.Start(t)}
	b.js = b.server.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), b.js, topology.Options{}))
	b.put(t, wire.BucketTasks, wire.KeyPosition, "0.0")
	b.model = b.start(t)
	return b
}

func (b *bench) start(t *testing.T) *Model {
	t.Helper()
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: b.server.URL(), Name: "model"})
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	m := New(Config{JS: js, Defaults: wire.StandardDefaults})
	require.NoError(t, m.Start(t.Context()))
	t.Cleanup(func() {
		require.NoError(t, m.Stop(context.Background()))
		nc.Close()
	})
	natstest.Eventually(t, m.Ready)
	return m
}

func (b *bench) put(t *testing.T, bucket, key string, value any) {
	t.Helper()
	body, isText := value.(string)
	if !isText {
		raw, err := json.Marshal(value)
		require.NoError(t, err)
		body = string(raw)
	}
	_, err := b.js.Publish(t.Context(), wire.KVSubject(bucket, key), []byte(body))
	require.NoError(t, err)
}

func task(id string, seq uint64, status wire.Status) *wire.Record {
	r := &wire.Record{
		ID: id, Status: status, Attempt: 1, SubmittedAt: wire.Now(),
		Definition: wire.Definition{Type: "sleep", Queue: "default", Priority: wire.PriorityMedium, RetentionMs: 86_400_000, Tags: map[string]string{}},
		Meta:       wire.Meta{SubmitSeq: seq, DueAt: wire.Now()},
	}
	if status.Ended() {
		r.FinishedAt = wire.Now()
	}
	return r
}

func (b *bench) until(t *testing.T, id string, status wire.Status) {
	t.Helper()
	natstest.Eventually(t, func() error {
		if r := b.model.Get(id); r == nil && status != "" || r != nil && r.Status != status {
			return fmt.Errorf("%s: %+v", id, r)
		}
		return nil
	})
}

func TestWhatWasAcceptedIsThereAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	members, _, err := wire.Decoder{Defaults: wire.StandardDefaults, Now: time.Now()}.Decode([]byte(`{"type": "sleep", "delayMs": 60000}`))
	require.NoError(t, err)
	b.model.Accepted(&members[0].Submission, 7, 0, wire.Now())
	require.Equal(t, wire.StatusScheduled, b.model.Get("task-007").Status)
	page, err := b.model.Query(httpapi.Query{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, page.Total)
	require.Equal(t, "task-007", page.Tasks[0].ID)

	b.put(t, wire.BucketTasks, "task-007", task("task-007", 7, wire.StatusInProgress))
	b.until(t, "task-007", wire.StatusInProgress)
	require.Equal(t, 1, b.model.Counts().Total)
}

func TestARejectedSubmissionGoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.js.Publish(t.Context(), wire.SubjectSubmit, []byte(`{"type": "sleep", "id": "mine"}`))
	require.NoError(t, err)
	b.until(t, "mine", wire.StatusPending)
	body, err := wire.EncodeEvents([]wire.Event{wire.NewEvent(wire.Event{Event: wire.EventRejected, Data: wire.EventData{SubmitSeq: 1}})})
	require.NoError(t, err)
	_, err = b.js.Publish(t.Context(), wire.EventsSubject(wire.Shard0), body)
	require.NoError(t, err)
	b.until(t, "mine", "")
}

// Any API answers for what was acknowledged anywhere, the moment it was.
func TestLookupReadsToTheEndOfTheSubmissions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.start(t)
	for i := range 50 {
		ack, err := b.js.Publish(t.Context(), wire.SubmitSubject("sleep"), []byte(`{}`))
		require.NoError(t, err)
		for _, m := range []*Model{b.model, other} {
			rec, err := m.Lookup(t.Context(), wire.MakeID(ack.Sequence, 0))
			require.NoError(t, err)
			require.NotNil(t, rec, "submission %d", i)
		}
	}
	rec, err := b.model.Lookup(t.Context(), "task-999")
	require.NoError(t, err)
	require.Nil(t, rec)
}

func TestHidesWhatIsPastItsRetention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := task("old", 1, wire.StatusCompleted)
	r.RetentionMs, r.FinishedAt = 60_000, wire.Now().Add(-59_500*time.Millisecond)
	b.put(t, wire.BucketTasks, "old", r)
	b.until(t, "old", wire.StatusCompleted)
	b.until(t, "old", "")
	rec, err := b.model.Lookup(t.Context(), "old")
	require.NoError(t, err)
	require.Nil(t, rec, "the bucket still has it")
}

func TestWorkersOutliveTheirBucket(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := wire.Worker{ID: "worker-1", Pool: "default", Status: wire.WorkerIdle, Concurrency: 4, LastHeartbeat: wire.Now()}
	b.put(t, wire.BucketWorkers, w.ID, w)
	w.ID, w.CPUPercent, w.MemoryMb, w.AssignedTasks = "worker-2", new(1.5), new(20.0), 3
	b.put(t, wire.BucketWorkers, w.ID, w)
	running := task("a", 1, wire.StatusInProgress)
	running.Worker = w.ID
	b.put(t, wire.BucketTasks, "a", running)
	natstest.Eventually(t, func() error {
		if got := b.model.Workers().Workers; len(got) != 1 || len(got[0].Tasks) != 1 || got[0].AssignedTasks != 1 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	b.server.Restart(t) // the bucket of the living is in memory
	js := b.server.JS(t)
	natstest.Eventually(t, func() error { return topology.Ensure(t.Context(), js, topology.Options{}) })
	b.js = js
	natstest.Eventually(t, func() error {
		if got := b.model.Workers().Workers; len(got) != 0 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	b.put(t, wire.BucketWorkers, w.ID, w)
	natstest.Eventually(t, func() error {
		if got := b.model.Workers().Workers; len(got) != 1 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	natstest.Eventually(t, b.model.Ready)
}

func TestSeriesSurviveARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := wire.Now()
	for i := range 12 {
		s := wire.Sample{
			At: now.Add(time.Duration(i-12) * 5 * time.Second), Waiting: map[wire.Priority]int64{wire.PriorityHigh: int64(i)},
			Workers: map[string]wire.WorkerSample{"worker-1": {CPUPercent: float64(i), MemoryMb: 20}},
		}
		s.Totals.Submitted = uint64(i)
		for range i {
			s.Totals.CountFinished(wire.StatusCompleted, "sleep")
			s.Totals.WaitMs.Add(3)
		}
		body, err := json.Marshal(s)
		require.NoError(t, err)
		_, err = b.js.Publish(t.Context(), wire.SubjectSeriesFine, body)
		require.NoError(t, err)
		if i == 11 {
			b.put(t, wire.BucketTasks, wire.KeyTotals, s.Totals)
		}
	}
	for _, m := range []*Model{b.start(t), b.start(t)} {
		out, err := m.Series(t.Context(), 2*time.Minute, 5*time.Second)
		require.NoError(t, err)
		sum := int64(0)
		for _, n := range out.Tasks["completed"] {
			sum += n
		}
		require.EqualValues(t, 11, sum)
		require.Equal(t, map[string]int64{"sleep": 11}, out.Types)
		require.Len(t, out.Workers["worker-1"].CPUPercent, 24)
		require.Len(t, out.Waiting["high"], 24)
		require.Len(t, out.QueueLatencyMs.P50, 24)
	}
}

func next(t *testing.T, s httpapi.Subscription) map[string]json.RawMessage {
	t.Helper()
	body, open := <-s.Messages()
	require.True(t, open, s.Reason())
	var out map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &out))
	return out
}

type head struct {
	Type string `json:"type"`
	Seq  uint64 `json:"seq"`
}

func headOf(t *testing.T, body []byte) (h head) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &h))
	return h
}

func TestOneChangeAmongManyIsASmallDelta(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := natsx.NewPublisher(b.js)
	const n = 20_000
	msgs := make([]*nats.Msg, 0, n)
	for i := range n {
		body, err := json.Marshal(task(wire.MakeID(uint64(i+1), 0), uint64(i+1), wire.StatusPending))
		require.NoError(t, err)
		msgs = append(msgs, &nats.Msg{Subject: wire.KVSubject(wire.BucketTasks, wire.MakeID(uint64(i+1), 0)), Data: body})
	}
	for from := 0; from < n; from += natsx.MaxBatch {
		_, err := p.Commit(t.Context(), msgs[from:from+natsx.MaxBatch])
		require.NoError(t, err)
	}
	b.until(t, wire.MakeID(n, 0), wire.StatusPending)
	s := b.model.Subscribe(0)
	defer s.Close()
	snapshot := next(t, s)
	require.JSONEq(t, `"snapshot"`, string(snapshot["type"]))
	next(t, s) // what changes by itself in the first moment
	b.put(t, wire.BucketTasks, "task-001", task("task-001", 1, wire.StatusCompleted))
	for {
		d := next(t, s)
		body, err := json.Marshal(d)
		require.NoError(t, err)
		require.Less(t, len(body), 4096, "%s", body)
		if d["tasks"] != nil {
			require.Contains(t, string(d["tasks"]), `"task-001"`)
			return
		}
	}
}

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow, quick := b.model.hub.subscribe(0), b.model.hub.subscribe(0)
	defer quick.Close()
	last := uint64(0)
	for i := range keptDeltas + clientQueue + 5 {
		b.model.hub.event(wire.EventView{Seq: fmt.Sprint(i), Event: wire.EventDeleted})
		b.model.hub.publish()
		for len(quick.out) > 0 {
			last = headOf(t, <-quick.out).Seq
		}
	}
	n := 0
	for range slow.Messages() {
		n++
	}
	require.LessOrEqual(t, n, keptDeltas+clientQueue)
	require.Equal(t, tooSlow, slow.Reason())

	again := b.model.Subscribe(last - 3) // comes back where it stopped
	defer again.Close()
	d := headOf(t, <-again.Messages())
	require.Equal(t, wire.LiveDelta, d.Type)
	require.Equal(t, last-2, d.Seq)
	fresh := b.model.Subscribe(last + 100)
	defer fresh.Close()
	require.JSONEq(t, `"snapshot"`, string(next(t, fresh)["type"]))
}

// The loss of a worker makes the system Recovering, and an event tells so, once for all APIs.
func TestAChangeOfStateIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, m := range []*Model{b.model, b.start(t)} {
		natstest.Eventually(t, func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.standing.told != wire.SystemStable {
				return fmt.Errorf("the system stands at %q", m.standing.told)
			}
			return nil
		})
	}
	ev := natsx.NewEvents(natsx.NewPublisher(b.js))
	defer ev.Close(context.Background())
	_, err := ev.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventWorkerLost, WorkerID: "worker-9", Pool: "default"}))
	require.NoError(t, err)
	q := httpapi.EventQuery{Event: []wire.EventName{wire.EventSystem}, Limit: 10}
	natstest.Eventually(t, func() error {
		page, err := b.model.Events(t.Context(), q)
		if err == nil && len(page.Events) == 0 {
			err = fmt.Errorf("nothing told; the system is %s", b.model.Stats().SystemStatus)
		}
		return err
	})
	page, err := b.model.Events(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, "system is Recovering, was Stable: worker-9 was lost; its tasks run again or have ended", page.Events[len(page.Events)-1].Description)
}

func TestAStateThatDoesNotHoldIsNotTold(t *testing.T) {
	t.Parallel()
	var s standing
	at := func(ms wire.Time) wire.Time { return 1_000_000 + ms }
	require.Empty(t, s.turn(at(0), wire.SystemStable), "the first")
	require.Empty(t, s.turn(at(100), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(1000), wire.SystemStable))
	require.Empty(t, s.turn(at(2000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(3900), wire.SystemHighLoad))
	require.Equal(t, wire.SystemStable, s.turn(at(4000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(9000), wire.SystemHighLoad), "told already")
}

func TestEventsNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ev := natsx.NewEvents(natsx.NewPublisher(b.js))
	defer ev.Close(t.Context())
	for i := range 60 {
		_, err := ev.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: fmt.Sprintf("t%d", i%3)}),
			wire.NewEvent(wire.Event{Event: wire.EventDispatched}))
		require.NoError(t, err)
	}
	q := httpapi.EventQuery{Task: "t1", Limit: 7}
	var got []string
	for {
		page, err := b.model.Events(t.Context(), q)
		require.NoError(t, err)
		for _, e := range page.Events {
			require.Equal(t, wire.Text("t1"), e.TaskID)
			got = append(got, e.Seq)
		}
		if page.NextCursor == "" {
			break
		}
		q.Before, err = wire.ParsePosition(string(page.NextCursor))
		require.NoError(t, err)
	}
	require.Len(t, got, 20)
	require.Equal(t, "59.0", got[0])
	require.Equal(t, "2.0", got[19])
}
