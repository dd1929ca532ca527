package workerpool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const patience = 30 * time.Second

// system is a NATS server with a fold of its events in the place of a recorder.
type system struct {
	t  testing.TB
	s  *natstest.Server
	js jetstream.JetStream
	// url is where pools connect, and keep writes what the fold makes.
	url  string
	keep *natsx.Publisher

	mu      sync.Mutex
	records map[string]*wire.Record
	events  []wire.Event
	refused []string // why outcomes were refused
	seq     uint64
	// overtake gives what the fold sees before an event, as if it were stored just before it.
	overtake func(e *wire.Event) []wire.Event
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := natstest.Start(t)
	sys := newSystemOn(t, s.URL(), s.Conn(t))
	sys.s = s
	return sys
}

func newSystemOn(t testing.TB, url string, nc *nats.Conn) *system {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	sys := &system{t: t, js: js, url: url, keep: natsx.NewPublisher(js), records: map[string]*wire.Record{}}
	require.NoError(t, topology.Ensure(t.Context(), sys.js, topology.Options{}))
	_, err = natsx.Epoch(t.Context(), sys.js) // as every service does at its start
	require.NoError(t, err)
	c, err := sys.js.OrderedConsumer(t.Context(), wire.StreamEvents, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	// Not by a callback: after a reconnection the library calls it for new messages while a
	// call for an earlier one has not returned.
	messages, err := c.Messages()
	require.NoError(t, err)
	var folding sync.WaitGroup
	folding.Go(func() {
		for m, err := messages.Next(); err == nil; m, err = messages.Next() {
			sys.fold(m)
		}
	})
	t.Cleanup(func() { messages.Stop(); folding.Wait() })
	return sys
}

// fold does what the recorder does, one message at a time.
func (sys *system) fold(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	events, err := wire.DecodeEvents(meta.Sequence.Stream, m.Data())
	if err != nil {
		return
	}
	sys.mu.Lock()
	changed := map[string]*wire.Record{}
	if sys.overtake != nil {
		events = sys.overtaken(events)
	}
	for i := range events {
		e := &events[i]
		sys.events = append(sys.events, *e)
		for _, one := range wire.Split(e) {
			if one.TaskID == "" {
				continue
			}
			pos, _ := wire.ParsePosition(one.Seq)
			rec, v, reason := wire.Next(sys.records[one.TaskID], &one, pos)
			switch v {
			case wire.Applied:
				sys.records[one.TaskID], changed[one.TaskID] = rec, rec
			case wire.Refused:
				sys.refused = append(sys.refused, one.TaskID+": "+reason)
			case wire.Ignored, wire.Duplicate, wire.Collision, wire.Deleted: // nothing that these tests look at
			}
		}
	}
	sys.mu.Unlock()
	for id, rec := range changed {
		sys.store(id, mustJSON(rec))
	}
	sys.store(wire.KeyPosition, []byte(strconv.FormatUint(meta.Sequence.Stream, 10)+".0"))
}

// overtaken puts what overtake gives into its place, and numbers the events anew.
func (sys *system) overtaken(events []wire.Event) []wire.Event {
	var out []wire.Event
	for i := range events {
		pos, _ := wire.ParsePosition(events[i].Seq)
		for _, e := range append(sys.overtake(&events[i]), events[i]) {
			e.Seq = wire.Position{Seq: pos.Seq, Index: len(out)}.String()
			out = append(out, e)
		}
	}
	return out
}

// store writes a key, through outages of the server.
func (sys *system) store(key string, value []byte) {
	m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, key))
	m.Data = value
	_, _ = sys.keep.Publish(sys.t.Context(), m) // else the test is over
}

func (sys *system) record(id string) *wire.Record {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	return sys.records[id]
}

// await waits until a task has a status.
func (sys *system) await(id string, s wire.Status) *wire.Record {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if r := sys.record(id); r == nil || r.Status != s {
			return fmt.Errorf("%s is %s, not %s: %s", id, mustJSON(r), s, mustJSON(sys.of(id)))
		}
		return nil
	})
	return sys.record(id)
}

// of lists a task's, or a worker's, events.
func (sys *system) of(id string) []wire.Event {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	var out []wire.Event
	for _, e := range sys.events {
		if e.TaskID == id || e.WorkerID == id && e.TaskID == "" {
			out = append(out, e)
		}
	}
	return out
}

// awaitEvent waits for an event that a condition accepts.
func (sys *system) awaitEvent(name wire.EventName, ok func(*wire.Event) bool) wire.Event {
	sys.t.Helper()
	var found wire.Event
	natstest.Eventually(sys.t, func() error {
		sys.mu.Lock()
		defer sys.mu.Unlock()
		for i := range sys.events {
			if e := &sys.events[i]; e.Event == name && ok(e) {
				found = *e
				return nil
			}
		}
		return fmt.Errorf("no %s among %d events", name, len(sys.events))
	})
	return found
}

// task is an envelope that change may alter.
func (sys *system) task(taskType string, payload any, change ...func(*wire.Envelope)) *wire.Envelope {
	sys.mu.Lock()
	sys.seq++
	seq := sys.seq
	sys.mu.Unlock()
	env := &wire.Envelope{
		ID: wire.MakeID(seq, 0), Attempt: 1, SubmitSeq: seq, SubmittedAt: wire.Now(), DueAt: wire.Now(), Payload: mustJSON(payload),
		Task: wire.Compact{
			Type: taskType, Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3, TimeoutMs: 60_000, RetentionMs: 3_600_000,
			Backoff: wire.Backoff{Policy: wire.BackoffFixed, BaseMs: 3_600_000, MaxMs: 3_600_000}, Tags: map[string]string{},
		},
	}
	for _, c := range change {
		c(env)
	}
	return env
}

// submit records tasks and puts them into their lanes.
func (sys *system) submit(envs ...*wire.Envelope) {
	sys.t.Helper()
	for _, env := range envs {
		sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
			Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt, PayloadObject: env.PayloadObject,
		}}))
		sys.lane(env)
	}
}

func (sys *system) publishEvent(e wire.Event) {
	sys.t.Helper()
	b, err := wire.EncodeEvents([]wire.Event{e})
	require.NoError(sys.t, err)
	_, err = sys.js.Publish(sys.t.Context(), wire.EventsSubject(wire.Shard0), b)
	require.NoError(sys.t, err)
}

// lane puts a task into its lane, without telling the fold.
func (sys *system) lane(env *wire.Envelope, header ...string) uint64 {
	sys.t.Helper()
	m := nats.NewMsg(wire.ReadySubject(env.Task.Queue, env.Task.Priority, env.Task.Type))
	m.Data = env.Encode()
	for _, h := range header {
		m.Header.Set(h, "1")
	}
	ack, err := sys.js.PublishMsg(sys.t.Context(), m)
	require.NoError(sys.t, err)
	return ack.Sequence
}

// run submits one task and waits for its end.
func (sys *system) run(s wire.Status, env *wire.Envelope) *wire.Record {
	sys.t.Helper()
	sys.submit(env)
	return sys.await(env.ID, s)
}

// awaitAcknowledged waits until the lanes hold nothing.
func (sys *system) awaitAcknowledged() {
	sys.t.Helper()
	sys.awaitLaneMessages(0)
}

// scheduled is the next run that a pool has published.
func (sys *system) scheduled(id string, fence uint64) (*nats.Header, *wire.Envelope) {
	sys.t.Helper()
	st, err := sys.js.Stream(sys.t.Context(), wire.StreamLater)
	require.NoError(sys.t, err)
	var m *jetstream.RawStreamMsg
	natstest.Eventually(sys.t, func() error {
		m, err = st.GetLastMsgForSubject(context.Background(), wire.LaterRunSubject(id, fence))
		return err
	})
	env, err := wire.DecodeEnvelope(m.Data)
	require.NoError(sys.t, err)
	return &m.Header, env
}

// workers reads the bucket of the living.
func (sys *system) workers() map[string]wire.Worker {
	out := map[string]wire.Worker{}
	kv, err := sys.js.KeyValue(context.Background(), wire.BucketWorkers)
	if err != nil {
		return out
	}
	keys, err := kv.Keys(context.Background())
	if err != nil {
		return out
	}
	for _, k := range keys {
		e, err := kv.Get(context.Background(), k)
		var w wire.Worker
		if err == nil && !wire.IsOwnKey(k) && json.Unmarshal(e.Value(), &w) == nil {
			out[k] = w
		}
	}
	return out
}

// workerOf waits until a task runs and gives its worker, as the bucket has it.
func (sys *system) workerOf(id string) wire.Worker {
	sys.t.Helper()
	rec := sys.await(id, wire.StatusInProgress)
	var w wire.Worker
	natstest.Eventually(sys.t, func() error {
		var ok bool
		if w, ok = sys.workers()[rec.Worker]; !ok {
			return fmt.Errorf("no key for %s", rec.Worker)
		}
		return nil
	})
	return w
}

func (sys *system) config(change ...func(*workerpool.Config)) workerpool.Config {
	exe, err := os.Executable()
	require.NoError(sys.t, err)
	c := workerpool.Config{
		Command: []string{exe}, Env: append(os.Environ(), envRole+"=worker"), Min: 1, Max: 4, Lease: 10 * time.Second,
		Heartbeat: 200 * time.Millisecond, HungAfter: 10 * time.Second, CancelGrace: 200 * time.Millisecond, Drain: 10 * time.Second,
		TempDir: sys.t.TempDir(), Log: obs.NewTestLogger(sys.t.Output()),
	}
	workerpool.WaitInParcels(&c, patience) // a machine at work may be slow
	for _, f := range change {
		f(&c)
	}
	return c
}

// poolThrough starts a pool behind a proxy.
func (sys *system) poolThrough(p *proxy, change ...func(*workerpool.Config)) *workerpool.Pool {
	sys.t.Helper()
	direct := sys.url
	defer func() { sys.url = direct }()
	sys.url = p.URL()
	return sys.pool(change...)
}

// pool starts a pool process in this one, on a connection of its own.
func (sys *system) pool(change ...func(*workerpool.Config)) *workerpool.Pool {
	sys.t.Helper()
	c := sys.config(change...)
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: sys.url, Name: sys.t.Name(), Log: c.Log})
	require.NoError(sys.t, err)
	c.JS, err = jetstream.New(nc)
	require.NoError(sys.t, err)
	p, err := workerpool.New(c)
	require.NoError(sys.t, err)
	require.NoError(sys.t, p.Start(sys.t.Context()))
	sys.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(sys.t, p.Stop(ctx))
		nc.Close()
	})
	return p
}

func size(minimum, concurrency int) func(*workerpool.Config) {
	return func(c *workerpool.Config) { c.Min, c.Max, c.Concurrency = minimum, max(minimum, 1), concurrency }
}

func role(name string) func(*workerpool.Config) {
	return func(c *workerpool.Config) { c.Env = append(os.Environ(), envRole+"="+name) }
}

func timeout(ms int64) func(*wire.Envelope) {
	return func(e *wire.Envelope) { e.Task.TimeoutMs = ms }
}

// names lists the events of a task but its progress.
func (sys *system) names(id string) []wire.EventName {
	var names []wire.EventName
	for _, e := range sys.of(id) {
		if e.Event != wire.EventProgress {
			names = append(names, e.Event)
		}
	}
	return names
}

// awaitRunning waits until the handler of a task of the type finishes runs, in another
// worker than before.
func (sys *system) awaitRunning(id, before string) {
	sys.t.Helper()
	sys.awaitThat(id, func(r *wire.Record) bool {
		return r.Status == wire.StatusInProgress && r.Worker != before && r.Progress != nil
	})
}

// finishAfter ends a task of the type finishes once it runs in another worker than before.
func (sys *system) finishAfter(id, before string) *wire.Record {
	sys.t.Helper()
	sys.awaitRunning(id, before)
	sys.cancel(id)
	return sys.await(id, wire.StatusCompleted)
}

// startOrder lists so many tasks in the order of their starts.
func (sys *system) startOrder(n int) []string {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if got := len(sys.eventsOf(wire.EventStarted)); got < n {
			return fmt.Errorf("%d starts", got)
		}
		return nil
	})
	var ids []string
	for _, e := range sys.eventsOf(wire.EventStarted) {
		ids = append(ids, e.TaskID)
	}
	return ids
}

// awaitThat waits until a task's record meets a condition.
func (sys *system) awaitThat(id string, ok func(*wire.Record) bool) *wire.Record {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if r := sys.record(id); r == nil || !ok(r) {
			return fmt.Errorf("%s: %s", mustJSON(r), mustJSON(sys.of(id)))
		}
		return nil
	})
	return sys.record(id)
}

// lastOf waits for a message on a subject.
func (sys *system) lastOf(stream, subject string) *jetstream.RawStreamMsg {
	sys.t.Helper()
	st, err := sys.js.Stream(sys.t.Context(), stream)
	require.NoError(sys.t, err)
	var m *jetstream.RawStreamMsg
	natstest.Eventually(sys.t, func() error {
		m, err = st.GetLastMsgForSubject(context.Background(), subject)
		return err
	})
	return m
}

// at waits for the message with a sequence.
func (sys *system) at(stream string, seq uint64) *jetstream.RawStreamMsg {
	sys.t.Helper()
	st, err := sys.js.Stream(sys.t.Context(), stream)
	require.NoError(sys.t, err)
	var m *jetstream.RawStreamMsg
	natstest.Eventually(sys.t, func() error {
		m, err = st.GetMsg(context.Background(), seq)
		return err
	})
	return m
}

// eventsOf lists the events of a name.
func (sys *system) eventsOf(name wire.EventName) []wire.Event {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	var out []wire.Event
	for _, e := range sys.events {
		if e.Event == name {
			out = append(out, e)
		}
	}
	return out
}

// awaitLaneMessages waits until the lanes hold so many messages.
func (sys *system) awaitLaneMessages(want uint64) {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		st, err := sys.js.Stream(context.Background(), wire.StreamReady)
		if err != nil {
			return err
		}
		if n := st.CachedInfo().State.Msgs; n != want {
			return fmt.Errorf("%d lane messages, not %d", n, want)
		}
		return nil
	})
}

// ownKeys lists Batuta's own keys in the bucket of the living.
func (sys *system) ownKeys() []string {
	kv, err := sys.js.KeyValue(context.Background(), wire.BucketWorkers)
	require.NoError(sys.t, err)
	keys, err := kv.Keys(context.Background())
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil
	}
	require.NoError(sys.t, err)
	return keys
}

func ensureLanes(sys *system, lease time.Duration) error {
	return topology.EnsureLanes(context.Background(), sys.js, "default", lease, false)
}
