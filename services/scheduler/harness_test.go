package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// bench is a NATS server with the streams, a fold of the events, and what a test needs to
// look at.
type bench struct {
	t      *testing.T
	server *natstest.Server
	js     jetstream.JetStream
	pub    *natsx.Publisher
	fold   *fold
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, server: natstest.Start(t)}
	b.js = b.server.JS(t)
	b.pub = natsx.NewPublisher(b.js)
	require.NoError(t, topology.Ensure(t.Context(), b.js, topology.Options{Budget: 1 << 30}))
	b.fold = startFold(t, b.server.JS(t))
	return b
}

// start runs a replica until the test ends.
func (b *bench) start(change ...func(*scheduler.Config)) *scheduler.Scheduler {
	b.t.Helper()
	cfg := scheduler.Config{
		Connect: natsx.ConnectOptions{URL: b.server.URL(), Name: "scheduler"}, Lease: time.Second,
		Log: obs.NewTestLogger(b.t.Output()),
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := scheduler.New(cfg)
	require.NoError(b.t, err)
	require.NoError(b.t, s.Start(b.t.Context()))
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(b.t, s.Stop(ctx))
	})
	return s
}

func (b *bench) submit(body string) uint64 {
	b.t.Helper()
	return b.publish(nats.NewMsg(wire.SubjectSubmit), body)
}

func (b *bench) publish(m *nats.Msg, body string) uint64 {
	b.t.Helper()
	m.Data = []byte(body)
	ack, err := b.pub.Publish(b.t.Context(), m)
	require.NoError(b.t, err)
	return ack.Sequence
}

func (b *bench) cancel(id string) uint64 {
	b.t.Helper()
	m := nats.NewMsg(wire.CancelSubject(id))
	m.Header.Set(wire.HeaderActor, "ana")
	return b.publish(m, "")
}

func (b *bench) retry(id string) uint64 {
	b.t.Helper()
	return b.publish(nats.NewMsg(wire.RetrySubject(id)), "")
}

func (b *bench) bulk(subject string, ids ...string) {
	b.t.Helper()
	body, err := json.Marshal(wire.Command{IDs: ids})
	require.NoError(b.t, err)
	b.publish(nats.NewMsg(subject), string(body))
}

// emit publishes events as a pool would.
func (b *bench) emit(events ...wire.Event) {
	b.t.Helper()
	body, err := wire.EncodeEvents(events)
	require.NoError(b.t, err)
	b.publish(nats.NewMsg(wire.EventsSubject(wire.Shard0)), string(body))
}

// laneMsg is a message of a lane.
type laneMsg struct {
	*wire.Envelope
	seq    uint64
	header nats.Header
}

// stored reads all messages of a stream.
func (b *bench) stored(stream string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	require.NoError(b.t, err)
	st := s.CachedInfo().State
	var out []*jetstream.RawStreamMsg
	for seq := st.FirstSeq; seq <= st.LastSeq && st.Msgs > 0; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		require.NoError(b.t, err)
		out = append(out, m)
	}
	return out
}

func (b *bench) lane(id string) []laneMsg {
	b.t.Helper()
	var out []laneMsg
	for _, m := range b.stored(wire.StreamReady) {
		env, err := wire.DecodeEnvelope(m.Data)
		require.NoError(b.t, err)
		if env.ID == id {
			out = append(out, laneMsg{env, m.Sequence, m.Header})
		}
	}
	return out
}

// run waits for the lane message of a task's attempt and round.
func (b *bench) run(id string, attempt, round int) laneMsg {
	b.t.Helper()
	var got laneMsg
	natstest.Eventually(b.t, func() error {
		for _, m := range b.lane(id) {
			if m.Attempt == attempt && m.Round == round {
				got = m
				return nil
			}
		}
		return fmt.Errorf("no lane message of %s, attempt %d, round %d", id, attempt, round)
	})
	return got
}

// ackLane removes a lane message, as the acknowledgement of its taker does.
func (b *bench) ackLane(m laneMsg) {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), wire.StreamReady)
	require.NoError(b.t, err)
	require.NoError(b.t, s.DeleteMsg(b.t.Context(), m.seq))
}

// record waits until a task's record is as asked for.
func (b *bench) record(id string, ok func(*wire.Record) bool) *wire.Record {
	b.t.Helper()
	var rec *wire.Record
	natstest.Eventually(b.t, func() error {
		if rec = b.fold.record(id); rec == nil || !ok(rec) {
			return fmt.Errorf("record of %s is %+v", id, rec)
		}
		return nil
	})
	return rec
}

func (b *bench) status(id string, s wire.Status) *wire.Record {
	b.t.Helper()
	return b.record(id, func(r *wire.Record) bool { return r.Status == s })
}

// dispatched waits until the record knows its lane message.
func (b *bench) dispatched(id string) *wire.Record {
	b.t.Helper()
	return b.record(id, func(r *wire.Record) bool { return r.Status == wire.StatusPending && r.Meta.LaneSeq > 0 })
}

// settled waits until the shared consumer of a stream has nothing left to do.
func (b *bench) settled(stream, consumer string) {
	b.t.Helper()
	natstest.Eventually(b.t, func() error {
		c, err := b.js.Consumer(b.t.Context(), stream, consumer)
		if err != nil {
			return err
		}
		if i := c.CachedInfo(); i.NumPending+uint64(i.NumAckPending) > 0 {
			return fmt.Errorf("%s: %d pending, %d held", stream, i.NumPending, i.NumAckPending)
		}
		return nil
	})
}

func (b *bench) submitted() { b.t.Helper(); b.settled(wire.StreamSubmit, wire.ConsumerSubmit) }
func (b *bench) commanded() { b.t.Helper(); b.settled(wire.StreamControl, wire.ConsumerControl) }

// began tells that a pool runs what a lane message asks for.
func began(m laneMsg, fence uint64) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventStarted, TaskID: m.ID, WorkerID: "worker-1", Pool: "default", Attempt: m.Attempt, Data: wire.EventData{
		Task: &m.Task, SubmitSeq: m.SubmitSeq, Member: m.Member, SubmittedAt: m.SubmittedAt, Round: m.Round,
		Fence: fence, LaneSeq: m.seq, Retries: new(m.Retries), DueAt: m.DueAt,
	}})
}

// failedAttempt tells that it failed: for good where there is no next attempt.
func failedAttempt(m laneMsg, fence uint64, next wire.Time) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventFailed, TaskID: m.ID, WorkerID: "worker-1", Pool: "default", Attempt: m.Attempt, Data: wire.EventData{
		Round: m.Round, Fence: fence, Final: new(next == 0), Retries: new(m.Retries), MaxRetries: new(m.Task.MaxRetries), NextAttemptAt: next,
		Error: &wire.TaskError{Message: "broken", Code: wire.CodeHandler, Attempt: m.Attempt, At: wire.Now()},
	}})
}

func completed(m laneMsg, fence uint64) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventCompleted, TaskID: m.ID, Attempt: m.Attempt, Data: wire.EventData{
		Round: m.Round, Fence: fence, ExecutionTimeMs: new(int64(5)),
	}})
}

// fold is a recorder of the plainest kind: one event after the other.
type fold struct {
	js   jetstream.JetStream
	mu   sync.Mutex
	recs map[string]*wire.Record
	all  []wire.Event
	// verdicts that the recorder would publish.
	duplicates []string
	stopped    bool
	seq        uint64
}

func startFold(t *testing.T, js jetstream.JetStream) *fold {
	t.Helper()
	f := &fold{js: js, recs: map[string]*wire.Record{}}
	c, err := js.OrderedConsumer(t.Context(), wire.StreamEvents, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	running, err := c.Consume(func(m jetstream.Msg) { f.take(t, m) })
	require.NoError(t, err)
	t.Cleanup(func() {
		f.mu.Lock()
		f.stopped = true
		f.mu.Unlock()
		running.Stop()
		<-running.Closed()
	})
	return f
}

func (f *fold) take(t *testing.T, m jetstream.Msg) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	meta, err := m.Metadata()
	if err != nil || f.stopped {
		return
	}
	events, err := wire.DecodeEvents(meta.Sequence.Stream, m.Data())
	if err != nil {
		t.Errorf("event message %d: %v", meta.Sequence.Stream, err)
		return
	}
	for i := range events {
		f.all = append(f.all, events[i])
		for _, e := range wire.Split(&events[i]) {
			f.one(t, &e, wire.Position{Seq: meta.Sequence.Stream, Index: i})
		}
	}
	f.seq = meta.Sequence.Stream
	f.store(t, wire.KeyPosition, []byte(wire.Position{Seq: meta.Sequence.Stream}.String()))
}

func (f *fold) one(t *testing.T, e *wire.Event, pos wire.Position) {
	t.Helper()
	if e.TaskID == "" {
		return
	}
	next, verdict, _ := wire.Next(f.recs[e.TaskID], e, pos)
	switch verdict {
	case wire.Applied:
		f.recs[e.TaskID] = next
		body, err := json.Marshal(next)
		if err != nil {
			t.Errorf("record %s: %v", e.TaskID, err)
		}
		f.store(t, e.TaskID, body)
	case wire.Deleted:
		delete(f.recs, e.TaskID)
		f.store(t, e.TaskID, nil)
	case wire.Duplicate:
		f.duplicates = append(f.duplicates, e.TaskID)
	case wire.Ignored, wire.Refused, wire.Collision:
	}
}

// store repeats what a restart of the server cut short.
func (f *fold) store(t *testing.T, key string, body []byte) {
	t.Helper()
	natstest.Eventually(t, func() error {
		m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, key))
		m.Data = body
		if body == nil {
			m.Header.Set(wire.HeaderKVOperation, "DEL")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := f.js.PublishMsg(ctx, m)
		return err
	})
}

func (f *fold) record(id string) *wire.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.recs[id]
}

func (f *fold) events(id string, name wire.EventName) []wire.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []wire.Event
	for _, e := range f.all {
		if e.Event == name && (id == "" || e.TaskID == id) {
			out = append(out, e)
		}
	}
	return out
}

// folded waits until every event stored up to now is folded.
func (b *bench) folded() {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), wire.StreamEvents)
	require.NoError(b.t, err)
	last := s.CachedInfo().State.LastSeq
	natstest.Eventually(b.t, func() error {
		b.fold.mu.Lock()
		defer b.fold.mu.Unlock()
		if b.fold.seq < last {
			return fmt.Errorf("folded up to %d of %d", b.fold.seq, last)
		}
		return nil
	})
}

func (f *fold) twice() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.duplicates)
}

// event waits for an event.
func (b *bench) event(id string, name wire.EventName) wire.Event {
	b.t.Helper()
	var got []wire.Event
	natstest.Eventually(b.t, func() error {
		if got = b.fold.events(id, name); len(got) == 0 {
			return fmt.Errorf("no %s of %q", name, id)
		}
		return nil
	})
	return got[0]
}

func group(n int, each string) string {
	return "[" + strings.Repeat(each+",", n-1) + each + "]"
}
