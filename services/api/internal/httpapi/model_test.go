package httpapi_test

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

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// kvModel is the least model that is true: it reads records from the bucket, and knows what
// this API has accepted. The read model's own package tests the rest.
type kvModel struct {
	t  testing.TB
	js jetstream.JetStream
	kv jetstream.KeyValue

	mu       sync.Mutex
	overlay  map[string]*wire.Record
	notReady error
	stats    wire.Stats
	workers  wire.WorkersAnswer
	pools    []wire.PoolView
	queues   []wire.QueueView
	totals   wire.Totals
	// blind makes lookups find nothing, as where a deposed leader answers.
	blind bool
	asked httpapi.Query
	// cut makes what stands before a submission unknown.
	cut      bool
	askedFor httpapi.EventQuery
	subs     chan *feed
}

func newKVModel(t testing.TB, js jetstream.JetStream) *kvModel {
	t.Helper()
	kv, err := js.KeyValue(context.Background(), wire.BucketTasks)
	require.NoError(t, err)
	return &kvModel{
		t: t, js: js, kv: kv, overlay: map[string]*wire.Record{}, subs: make(chan *feed, 16),
		stats:   wire.Stats{SystemStatus: wire.SystemStable, Uptime: "00:00:01", UpdatedAt: wire.Now()},
		workers: wire.WorkersAnswer{Workers: []wire.WorkerView{}, Ended: []wire.EndedWorker{}, UpdatedAt: wire.Now()},
		pools:   []wire.PoolView{}, queues: []wire.QueueView{},
	}
}

// set changes what the model says.
func (m *kvModel) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *kvModel) Ready() error { m.mu.Lock(); defer m.mu.Unlock(); return m.notReady }

func (m *kvModel) Lookup(ctx context.Context, id string) (*wire.Record, error) {
	m.mu.Lock()
	blind := m.blind
	m.mu.Unlock()
	if blind {
		return nil, nil //nolint:nilnil // as the interface says
	}
	return m.find(ctx, id)
}

func (m *kvModel) Earlier(ctx context.Context, id string, seq uint64, member int) (*wire.Record, error) {
	m.mu.Lock()
	cut := m.cut
	m.mu.Unlock()
	if cut {
		return nil, errors.New("nobody answers")
	}
	rec, err := m.find(ctx, id)
	if rec != nil && rec.Meta.SubmitSeq == seq && rec.Meta.Member == member {
		return nil, err
	}
	return rec, err
}

func (m *kvModel) find(ctx context.Context, id string) (*wire.Record, error) {
	e, err := m.kv.Get(ctx, id)
	if err == nil {
		return wire.DecodeRecord(e.Value())
	}
	if !errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.overlay[id], nil
}

func (m *kvModel) Get(id string) *wire.Record {
	rec, err := m.Lookup(context.Background(), id)
	if err != nil {
		m.t.Error(err)
	}
	return rec
}

func (m *kvModel) Accepted(sub *wire.Submission, seq uint64, member int, at wire.Time) {
	id := sub.ID
	rec := &wire.Record{
		Definition: sub.Definition, Status: wire.StatusPending, Attempt: 1, SubmittedAt: at,
		Meta: wire.Meta{SubmitSeq: seq, Member: member, PayloadObject: sub.PayloadObject},
	}
	if id == "" {
		id = wire.MakeID(seq, member)
	} else {
		rec.Meta.Hash = sub.ContentHash()
	}
	rec.ID = id
	m.mu.Lock()
	defer m.mu.Unlock()
	m.overlay[id] = rec
}

func (m *kvModel) all() []*wire.Record {
	keys, err := m.kv.ListKeys(context.Background())
	if err != nil {
		m.t.Error(err)
		return nil
	}
	var out []*wire.Record
	for key := range keys.Keys() {
		if !wire.IsOwnKey(key) {
			out = append(out, m.Get(key))
		}
	}
	slices.SortFunc(out, func(a, b *wire.Record) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (m *kvModel) Query(q httpapi.Query) (wire.TaskPage, error) {
	m.set(func() { m.asked = q })
	if q.Cursor == "bad" {
		return wire.TaskPage{}, fmt.Errorf("decode: %w", httpapi.ErrCursor)
	}
	page := wire.TaskPage{Tasks: []wire.TaskResource{}}
	for _, rec := range m.Match(q.Filter) {
		page.Tasks = append(page.Tasks, wire.NewTaskResource(rec))
	}
	page.Total = len(page.Tasks)
	if q.Facets {
		none := map[string]int{}
		page.Facets = &wire.Facets{Status: none, Type: none, Queue: none, Priority: none}
	}
	return page, nil
}

func (m *kvModel) Match(f httpapi.Filter) []*wire.Record {
	return slices.DeleteFunc(m.all(), func(r *wire.Record) bool {
		return len(f.Status) > 0 && !slices.Contains(f.Status, r.Status) || len(f.Type) > 0 && !slices.Contains(f.Type, r.Type) ||
			!strings.HasPrefix(r.ID, f.Prefix)
	})
}

func (m *kvModel) Counts() (c wire.TaskCounts) {
	for _, r := range m.all() {
		if r.Status == wire.StatusFailed {
			c.Failed++
		}
		c.Total++
	}
	return c
}

func (m *kvModel) Totals() *wire.Totals { m.mu.Lock(); defer m.mu.Unlock(); return m.totals.Clone() }
func (m *kvModel) Stats() wire.Stats    { m.mu.Lock(); defer m.mu.Unlock(); return m.stats }
func (m *kvModel) Workers() wire.WorkersAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers
}

func (m *kvModel) Pools() []wire.PoolView {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pools)
}

func (m *kvModel) Queues() []wire.QueueView {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.queues)
}

func (m *kvModel) Series(_ context.Context, _, step time.Duration) (wire.Series, error) {
	return wire.Series{
		From: wire.Now(), StepMs: step.Milliseconds(), Tasks: map[string][]int64{"completed": {1}}, Types: map[string]int64{},
		Waiting:        map[string][]*int64{"high": {nil}},
		Counts:         map[string][]*int64{"total": {new(int64(3))}},
		QueueLatencyMs: wire.LatencySeries{P50: []*int64{nil}, P99: []*int64{new(int64(4))}}, AverageExecutionTimeMs: []*int64{nil},
		Workers: map[string]wire.WorkerSeries{"worker-1": {CPUPercent: []*float64{nil}, MemoryMb: []*float64{new(1.5)}}},
		Marks:   []wire.EventView{},
	}, nil
}

func (m *kvModel) Events(_ context.Context, q httpapi.EventQuery) (wire.EventsAnswer, error) {
	m.set(func() { m.askedFor = q })
	return wire.EventsAnswer{Events: []wire.EventView{}}, nil
}

// feed is a subscription that a test drives.
type feed struct {
	since  uint64
	out    chan []byte
	reason string
	closed chan struct{}
}

func (m *kvModel) Subscribe(since uint64) httpapi.Subscription {
	f := &feed{since: since, out: make(chan []byte, 16), closed: make(chan struct{})}
	m.subs <- f
	return f
}

func (f *feed) Messages() <-chan []byte { return f.out }
func (f *feed) Reason() string          { return f.reason }
func (f *feed) Close()                  { close(f.closed) }

// record stores a task as the recorder would, after its submission.
func (b *bundle) record(id string, status wire.Status, change func(*wire.Record)) *wire.Record {
	b.t.Helper()
	now := wire.Now()
	ack, err := b.js.Publish(b.t.Context(), wire.SubmitSubject("demo"), []byte(`{"id":"`+id+`","type":"demo","payload":{"n": 1.50}}`))
	require.NoError(b.t, err)
	rec := &wire.Record{
		ID: id, Status: status, Attempt: 1, SubmittedAt: now, Meta: wire.Meta{SubmitSeq: ack.Sequence},
		Definition: wire.Definition{
			Type: "demo", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3,
			Backoff: wire.DefaultBackoff, TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{},
		},
	}
	if status.Ended() {
		rec.FinishedAt = now
	}
	if change != nil {
		change(rec)
	}
	body, err := json.Marshal(rec)
	require.NoError(b.t, err)
	_, err = b.model.kv.Put(b.t.Context(), id, body)
	require.NoError(b.t, err)
	return rec
}

// publish stores events as the services do, and says where they stand.
func (b *bundle) publish(events ...wire.Event) []wire.Position {
	b.t.Helper()
	e := natsx.NewEvents(natsx.NewPublisher(b.js))
	defer e.Close(b.t.Context())
	at, err := e.Publish(b.t.Context(), events...)
	require.NoError(b.t, err)
	return at
}
