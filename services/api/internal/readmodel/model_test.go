package readmodel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/api/internal/readmodel"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*Server).shutdownEventing"))
}

// system is a server with Batuta's streams, and stands for all other services.
type system struct {
	*natstest.Server
	t  *testing.T
	js jetstream.JetStream
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{Server: natstest.Start(t), t: t}
	s.js = s.JS(t)
	s.ensure()
	return s
}

func (s *system) ensure() {
	s.t.Helper()
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return topology.Ensure(ctx, s.js, topology.Options{Budget: 1 << 30})
	})
}

// model starts a model; ready waits until it has read everything.
func (s *system) model() *readmodel.Model {
	s.t.Helper()
	return s.modelOn(s.JS(s.t))
}

func (s *system) modelOn(js jetstream.JetStream) *readmodel.Model {
	s.t.Helper()
	m := readmodel.New(readmodel.Config{JS: js, Log: obs.NewTestLogger(s.t.Output())})
	require.NoError(s.t, m.Start(s.t.Context()))
	s.t.Cleanup(func() { require.NoError(s.t, m.Stop(context.Background())) })
	return m
}

func (s *system) ready() *readmodel.Model {
	s.t.Helper()
	m := s.model()
	natstest.Eventually(s.t, m.Ready)
	return m
}

func (s *system) publish(subject string, body []byte, header ...string) uint64 {
	s.t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = body
	for i := 0; i < len(header); i += 2 {
		msg.Header.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute) // without a deadline it would be 5 s
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, msg)
	require.NoError(s.t, err)
	return ack.Sequence
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

// put stores a record as the recorder does.
func (s *system) put(recs ...*wire.Record) {
	s.t.Helper()
	for _, r := range recs {
		s.publish(wire.KVSubject(wire.BucketTasks, r.ID), encode(s.t, r))
	}
}

func (s *system) key(bucket, key string, v any, header ...string) {
	s.t.Helper()
	s.publish(wire.KVSubject(bucket, key), encode(s.t, v), header...)
}

func (s *system) drop(bucket, key string) {
	s.t.Helper()
	require.NoError(s.t, natsx.DropKey(s.t.Context(), s.js, bucket, key))
}

func (s *system) tell(events ...wire.Event) uint64 {
	s.t.Helper()
	for i := range events {
		events[i] = wire.NewEvent(events[i])
	}
	body, err := wire.EncodeEvents(events)
	require.NoError(s.t, err)
	return s.publish(wire.EventsSubject(wire.Shard0), body)
}

func (s *system) position(seq uint64) {
	s.t.Helper()
	s.publish(wire.KVSubject(wire.BucketTasks, wire.KeyPosition), []byte(wire.Position{Seq: seq}.String()))
}

var begun = wire.Now()

// record is a task as submitted first, changed by the given functions.
func record(seq uint64, change ...func(*wire.Record)) *wire.Record {
	r := &wire.Record{ID: wire.MakeID(seq, 0), Status: wire.StatusPending, Attempt: 1, SubmittedAt: begun + wire.Time(seq)}
	r.Type, r.Queue, r.Priority, r.Backoff, r.TimeoutMs, r.RetentionMs = "hash", "default", wire.PriorityMedium, wire.DefaultBackoff, 1000, 86_400_000
	r.Tags, r.Meta.SubmitSeq, r.Meta.DueAt = map[string]string{}, seq, r.SubmittedAt
	for _, f := range change {
		f(r)
	}
	return r
}

func running(worker string) func(*wire.Record) {
	return func(r *wire.Record) {
		r.Status, r.Worker, r.Pool, r.StartedAt = wire.StatusInProgress, worker, "default", wire.Now()
	}
}

func done(status wire.Status) func(*wire.Record) {
	return func(r *wire.Record) {
		r.Status, r.StartedAt, r.FinishedAt, r.ExecutionTimeMs = status, r.SubmittedAt, wire.Now(), new(int64(12))
	}
}

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	natstest.Eventually(t, func() error {
		if !ok() {
			return errors.New(what)
		}
		return nil
	})
}

func idsOf(page wire.TaskPage) []string {
	ids := make([]string, len(page.Tasks))
	for i := range page.Tasks {
		ids[i] = page.Tasks[i].ID
	}
	return ids
}

func query(t *testing.T, m *readmodel.Model, q readmodel.Query) wire.TaskPage {
	t.Helper()
	page, err := m.Query(q)
	require.NoError(t, err)
	return page
}

func TestListsFollowTheRecords(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for seq := uint64(101); seq <= 120; seq++ {
		s.put(record(seq))
	}
	m := s.ready()
	require.Equal(t, wire.TaskCounts{Pending: 20, Total: 20}, m.Counts())

	s.put(record(101, done(wire.StatusFailed), func(r *wire.Record) { r.Tags["customer"] = "acme" }), record(102, running("worker-1")))
	s.drop(wire.BucketTasks, "task-103")
	want := wire.TaskCounts{Pending: 17, InProgress: 1, Failed: 1, Total: 19}
	eventually(t, func() bool { return m.Counts() == want }, "the changes are not seen")

	failed := query(t, m, readmodel.Query{Filter: readmodel.Filter{Status: []wire.Status{wire.StatusFailed}, Tag: []readmodel.Tag{{Key: "customer", Value: "acme"}}}, Facets: true})
	require.Equal(t, []string{"task-101"}, idsOf(failed))
	require.Equal(t, int64(12), *failed.Tasks[0].ExecutionTimeMs)
	require.Equal(t, map[string]int{"failed": 1}, failed.Facets.Status)
	all := query(t, m, readmodel.Query{Limit: 5})
	require.Equal(t, 19, all.Total)
	require.Equal(t, []string{"task-120", "task-119", "task-118", "task-117", "task-116"}, idsOf(all))
	next := query(t, m, readmodel.Query{Limit: 5, Cursor: string(all.NextCursor)})
	require.Equal(t, "task-115", next.Tasks[0].ID)
	_, err := m.Query(readmodel.Query{Limit: 5, Cursor: string(all.NextCursor), Sort: readmodel.SortPriority})
	require.ErrorIs(t, err, readmodel.ErrBadCursor)
	require.Nil(t, m.Get("task-103"))
	status, known := m.Status("task-102")
	require.True(t, known)
	require.Equal(t, wire.StatusInProgress, status)
	matched := m.Match(readmodel.Filter{Worker: []string{"worker-1"}})
	require.Len(t, matched, 1)
	require.Equal(t, "task-102", matched[0].ID)
	require.Equal(t, wire.StatusInProgress, matched[0].Status)
	require.Equal(t, uint64(102), matched[0].Meta.SubmitSeq)
}

func TestATaskIsHiddenAtTheEndOfItsRetention(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	s.put(record(101, done(wire.StatusCompleted), func(r *wire.Record) { r.RetentionMs = 1500 }), record(102, done(wire.StatusCompleted)))
	eventually(t, func() bool { return m.Counts().Completed == 2 }, "the records are not seen")
	eventually(t, func() bool { return m.Counts().Completed == 1 }, "it is not hidden")
	require.Equal(t, []string{"task-102"}, idsOf(query(t, m, readmodel.Query{})))
	rec, err := m.Lookup(t.Context(), "task-101")
	require.NoError(t, err)
	require.Nil(t, rec, "though its key is there still")
}

func TestASubmissionIsSeenAtOnceEverywhere(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	one := s.publish(wire.SubmitSubject("hash"), []byte(`{"payload":1,"priority":"high","tags":{"k":"v"}}`))
	rec, err := m.Lookup(t.Context(), wire.MakeID(one, 0))
	require.NoError(t, err)
	require.Equal(t, wire.StatusPending, rec.Status)
	require.Equal(t, wire.PriorityHigh, rec.Priority)
	require.Equal(t, one, rec.Meta.SubmitSeq)

	group := s.publish(wire.SubjectSubmit, []byte(`[{"type":"a","delayMs":60000},{"type":"b","id":"mine"},{"type":"no such/type"}]`))
	rec, err = m.Lookup(t.Context(), wire.MakeID(group, 1))
	require.NoError(t, err)
	require.Equal(t, wire.StatusScheduled, rec.Status)
	rec, err = m.Lookup(t.Context(), "mine")
	require.NoError(t, err)
	require.Equal(t, 2, rec.Meta.Member)
	require.NotEmpty(t, rec.Meta.Hash)
	rec, err = m.Lookup(t.Context(), wire.MakeID(group, 3))
	require.NoError(t, err)
	require.Nil(t, rec, "what is not valid is no task")
	rec, err = m.Lookup(t.Context(), "nobody")
	require.NoError(t, err)
	require.Nil(t, rec)

	require.Equal(t, 1, m.Counts().Scheduled)
	page := query(t, m, readmodel.Query{Filter: readmodel.Filter{Tag: []readmodel.Tag{{Key: "k", Value: "v"}}}})
	require.Equal(t, []string{wire.MakeID(one, 0)}, idsOf(page))

	s.put(record(one, running("worker-1")))
	eventually(t, func() bool { return m.Counts().InProgress == 1 }, "its record is not seen")
	rec, err = m.Lookup(t.Context(), wire.MakeID(one, 0))
	require.NoError(t, err)
	require.Equal(t, wire.StatusInProgress, rec.Status)
}

func TestTheFirstSubmissionOfAnIDIsFoundFromALaterOne(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	for i := range 50 {
		id := fmt.Sprintf("mine-%d", i)
		first := s.publish(wire.SubjectSubmit, fmt.Appendf(nil, `[{"type":"a"},{"type":"a","id":%q,"payload":1}]`, id))
		later := s.publish(wire.SubjectSubmit, fmt.Appendf(nil, `{"type":"a","id":%q,"payload":2}`, id))
		rec, err := m.Earlier(t.Context(), id, later, 0)
		require.NoError(t, err)
		require.NotNil(t, rec)
		require.Equal(t, first, rec.Meta.SubmitSeq)
		rec, err = m.Earlier(t.Context(), id, first, 2)
		require.NoError(t, err)
		require.Nil(t, rec, "it is the first itself")
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := m.Earlier(short, "mine-1", 1_000_000, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded, "what stands before that is not known yet")
}

// A replica that was cut off has neither the first submission nor its record for a moment; the id is
// not free for that.
func TestAnIDIsNotFreeBecauseAReplicaLags(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	submissions, unread := natstest.Lagging(t, s.Conn(t), wire.StreamSubmit, 0)
	m := s.modelOn(submissions)
	natstest.Eventually(t, m.Ready)
	first := s.publish(wire.SubjectSubmit, []byte(`{"type":"a","id":"mine","payload":1}`))
	later := s.publish(wire.SubjectSubmit, []byte(`{"type":"a","id":"mine","payload":2}`))
	unread.Store(3)
	rec, err := m.Earlier(t.Context(), "mine", later, 0)
	require.NoError(t, err)
	require.NotNil(t, rec)
	require.Equal(t, first, rec.Meta.SubmitSeq)
	require.Less(t, unread.Load(), int32(3), "a copy was asked first")
}

// What the scheduler had acknowledged before a model reads submissions comes to it by the recorder.
func TestAnIDIsNotFreeBeforeTheRecorderHasCaughtUp(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	at := s.publish(wire.SubjectSubmit, []byte(`{"type":"a","id":"mine"}`))
	event := s.tell(wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1"})
	m := s.model()
	eventually(t, func() bool { return m.Get("mine") != nil }, "the submission is not read")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := m.Earlier(short, "mine", at, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.position(event)
	rec, err := m.Earlier(t.Context(), "mine", at, 0)
	require.NoError(t, err)
	require.Nil(t, rec)
}

func TestARecordIsNotGoneBecauseAReplicaLags(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	records, unread := natstest.Lagging(t, s.Conn(t), wire.StreamTasks, 0)
	m := s.modelOn(records)
	natstest.Eventually(t, m.Ready)
	for i, withPosition := range []bool{false, true} {
		id := fmt.Sprintf("mine-%d", i)
		s.put(&wire.Record{ID: id, Definition: wire.Definition{Type: "a", Queue: "default", Priority: wire.PriorityLow}, Status: wire.StatusPending})
		if withPosition {
			s.position(s.tell(wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1"}))
		}
		eventually(t, func() bool { return m.Get(id) != nil }, "the record does not arrive")
		unread.Store(3)
		rec, err := m.Lookup(t.Context(), id)
		require.NoError(t, err)
		require.NotNil(t, rec)
		require.Negative(t, unread.Load())
	}
	unread.Store(1 << 30)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := m.Lookup(short, "mine-0")
	require.ErrorIs(t, err, context.DeadlineExceeded, "nobody knows")
}

func TestUnreadSubmissionsShowInLists(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	for range 30 {
		s.publish(wire.SubjectSubmit, []byte(`[{"type":"a","queue":"mail"},{"type":"a","queue":"mail","priority":"low"}]`))
	}
	eventually(t, func() bool { return m.Counts().Pending == 60 }, "the backlog is not counted")
	queues := m.Queues()
	require.Len(t, queues, 1)
	require.Equal(t, wire.Depth{Medium: 30, Low: 30}, queues[0].Depth)
	require.NotNil(t, queues[0].OldestWaitMs)
	page := query(t, m, readmodel.Query{Limit: 1000})
	require.Len(t, page.Tasks, 60)
	again := s.ready()
	eventually(t, func() bool { return again.Counts().Pending == 60 }, "another API does not see the backlog")
}

func TestASubmissionThatMakesNoTaskGoes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	accept := func(id string) uint64 {
		seq := s.publish(wire.SubmitSubject("hash"), fmt.Appendf(nil, `{"id":%q}`, id))
		sub := &wire.Submission{ID: id}
		sub.Type, sub.Queue, sub.Priority = "hash", "default", wire.PriorityMedium
		m.Accepted(sub, seq, 0, wire.Now())
		require.NotNil(t, m.Get(id))
		return seq
	}
	rejected, twice := accept("rejected"), accept("twice")
	s.tell(wire.Event{Event: wire.EventRejected, TaskID: "rejected", Data: wire.EventData{SubmitSeq: rejected, Reason: "other content"}},
		wire.Event{Event: wire.EventDuplicate, TaskID: "twice", Data: wire.EventData{SubmitSeq: twice}})
	eventually(t, func() bool { return m.Get("rejected") == nil && m.Get("twice") == nil }, "refused submissions stay")

	// Nobody tells of this one, but scheduler and recorder are past it.
	lost := accept("lost")
	later := accept("later")
	c, err := s.js.CreateConsumer(t.Context(), wire.StreamSubmit, jetstream.ConsumerConfig{Durable: wire.ConsumerSubmit, AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	batch, err := c.Fetch(int(lost))
	require.NoError(t, err)
	for msg := range batch.Messages() {
		require.NoError(t, msg.DoubleAck(t.Context()))
	}
	s.position(s.tell(wire.Event{Event: wire.EventAudit}))
	eventually(t, func() bool { return m.Get("lost") == nil }, "a submission without a task stays")
	require.NotNil(t, m.Get("later"))
	require.Greater(t, later, lost)
}

func TestAnEndThatOvertakesTheSubmission(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	sub := &wire.Submission{}
	sub.Type, sub.Queue, sub.Priority = "hash", "default", wire.PriorityMedium
	s.put(record(500, done(wire.StatusCompleted)))
	eventually(t, func() bool { return m.Get("task-500") != nil }, "the record is not seen")
	s.drop(wire.BucketTasks, "task-500")
	eventually(t, func() bool { return m.Get("task-500") == nil }, "the deletion is not seen")
	m.Accepted(sub, 500, 0, wire.Now())
	require.Nil(t, m.Get("task-500"), "what was deleted does not come back")
}

func TestAModelThatStartsLateKnowsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	seq := s.publish(wire.SubmitSubject("hash"), []byte(`{}`))
	c, err := s.js.CreateConsumer(t.Context(), wire.StreamSubmit, jetstream.ConsumerConfig{Durable: wire.ConsumerSubmit, AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	at := s.tell(wire.Event{Event: wire.EventSubmitted, TaskID: wire.MakeID(seq, 0), Data: wire.EventData{Task: &wire.Compact{Type: "hash"}, SubmitSeq: seq}})
	msg, err := c.Next()
	require.NoError(t, err)
	require.NoError(t, msg.DoubleAck(t.Context()))
	m := s.ready() // the recorder lags: there is no record, and the submission is not followed

	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = m.Lookup(short, wire.MakeID(seq, 0))
	require.ErrorIs(t, err, context.DeadlineExceeded, "whether there is such a task is not known yet")
	s.put(record(seq))
	s.position(at)
	rec, err := m.Lookup(t.Context(), wire.MakeID(seq, 0))
	require.NoError(t, err)
	require.NotNil(t, rec)
	rec, err = m.Lookup(t.Context(), "nobody")
	require.NoError(t, err)
	require.Nil(t, rec)
}

func TestItReadsOnAfterARestartOfNATS(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put(record(101), record(102))
	s.key(wire.BucketWorkers, "worker-1", worker(1))
	m := s.ready()
	require.Len(t, m.Workers().Workers, 1)
	s.Restart(t)
	s.ensure()
	s.put(record(103), record(101, done(wire.StatusCompleted)))
	s.key(wire.BucketWorkers, "worker-2", worker(2))
	natstest.Eventually(t, func() error {
		if n := m.Counts(); n != (wire.TaskCounts{Pending: 2, Completed: 1, Total: 3}) {
			return fmt.Errorf("counts %+v", n)
		}
		if w := m.Workers().Workers; len(w) != 1 || w[0].ID != "worker-2" {
			return fmt.Errorf("workers %+v", w)
		}
		return m.Ready()
	})
	require.Empty(t, m.Workers().Ended, "the bucket was empty: nobody has died")
	require.NotEqual(t, wire.SystemRecovering, m.Stats().SystemStatus)
}

func TestItReadsEverythingAnewFromARecreatedBucket(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for seq := uint64(101); seq < 150; seq++ {
		s.put(record(seq))
	}
	m := s.ready()
	require.NoError(t, s.js.DeleteStream(t.Context(), wire.StreamTasks))
	s.ensure()
	s.put(record(120), record(700))
	natstest.Eventually(t, func() error {
		if n := m.Counts(); n.Total != 2 {
			return fmt.Errorf("%d tasks", n.Total)
		}
		return m.Ready()
	})
	require.ElementsMatch(t, []string{"task-120", "task-700"}, idsOf(query(t, m, readmodel.Query{})))
}

func TestEventsAreReadBackwards(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 50 {
		s.tell(
			wire.Event{Event: wire.EventProgress, TaskID: fmt.Sprintf("t%d", i%5), WorkerID: "worker-1", Data: wire.EventData{Percent: new(1.0)}},
			wire.Event{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default.high", IDs: []string{"t1"}}},
			wire.Event{Event: wire.EventCancelled, TaskID: fmt.Sprintf("t%d", i%5)},
		)
	}
	m := s.ready()
	var all []string
	q := readmodel.EventQuery{Limit: 7}
	for {
		page, err := m.Events(t.Context(), q)
		require.NoError(t, err)
		for _, e := range page.Events {
			all = append(all, e.Seq)
			require.NotEqual(t, wire.EventDispatched, e.Event)
		}
		if page.NextCursor == "" {
			break
		}
		q.Before, err = wire.ParsePosition(string(page.NextCursor))
		require.NoError(t, err)
	}
	require.Len(t, all, 100)
	require.True(t, slices.IsSortedFunc(all, func(a, b string) int {
		p, _ := wire.ParsePosition(a)
		q, _ := wire.ParsePosition(b)
		if q.Before(p) {
			return -1
		}
		return 1
	}))
	for _, c := range []struct {
		q    readmodel.EventQuery
		want int
	}{
		{readmodel.EventQuery{Task: "t1"}, 20},
		{readmodel.EventQuery{Task: "t1", Event: []wire.EventName{wire.EventCancelled}}, 10},
		{readmodel.EventQuery{Worker: "worker-1", Limit: 1000}, 50},
		{readmodel.EventQuery{Worker: "worker-2"}, 0},
		{readmodel.EventQuery{Since: begun + 3_600_000}, 0},
		{readmodel.EventQuery{Until: begun - 3_600_000}, 0},
		{readmodel.EventQuery{Since: begun - 1000, Until: begun + 3_600_000, Limit: 1000}, 100},
	} {
		page, err := m.Events(t.Context(), c.q)
		require.NoError(t, err)
		require.Len(t, page.Events, c.want, "%+v", c.q)
		require.Empty(t, page.NextCursor)
	}
}
