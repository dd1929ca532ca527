package readmodel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// naive is the store as one would write it without regard to speed.
type naive struct {
	records map[string]*wire.Record
	overlay map[string]bool
	now     wire.Time
}

func (n *naive) visible() []*wire.Record {
	var out []*wire.Record
	for _, r := range n.records {
		if at := r.ExpiresAt(); at == 0 || at > n.now {
			out = append(out, r)
		}
	}
	return out
}

func (n *naive) query(q *Query) (ids []string, facets *wire.Facets) {
	var hits []*wire.Record
	for _, r := range n.visible() {
		if takes(&q.Filter, r) {
			hits = append(hits, r)
		}
	}
	slices.SortFunc(hits, func(a, b *wire.Record) int { return naiveOrder(q, a, b) })
	facets = &wire.Facets{Status: map[string]int{}, Type: map[string]int{}, Queue: map[string]int{}, Priority: map[string]int{}}
	for _, r := range hits {
		ids = append(ids, r.ID)
		facets.Status[string(r.Status)]++
		facets.Type[r.Type]++
		facets.Queue[r.Queue]++
		facets.Priority[string(r.Priority)]++
	}
	return ids, facets
}

func naiveOrder(q *Query, a, b *wire.Record) int {
	c := 0
	switch q.Sort {
	case SortPriority:
		c = cmp.Compare(-a.Priority.Rank(), -b.Priority.Rank())
	case SortExecution:
		switch {
		case a.ExecutionTimeMs == nil && b.ExecutionTimeMs == nil:
		case a.ExecutionTimeMs == nil:
			return 1
		case b.ExecutionTimeMs == nil:
			return -1
		default:
			c = cmp.Compare(*a.ExecutionTimeMs, *b.ExecutionTimeMs)
		}
	default:
		c = cmp.Compare(a.SubmittedAt, b.SubmittedAt)
	}
	c = cmp.Or(c, cmp.Compare(a.Meta.SubmitSeq, b.Meta.SubmitSeq), cmp.Compare(a.Meta.Member, b.Meta.Member), strings.Compare(a.ID, b.ID))
	if q.Descending {
		return -c
	}
	return c
}

var epoch = wire.At(time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC))

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func randomRecord(r *rand.Rand, seq uint64) *wire.Record {
	rec := &wire.Record{
		ID: wire.MakeID(seq, r.IntN(3)), Status: pick(r, wire.Statuses...), SubmittedAt: epoch + wire.Time(r.IntN(20)),
		Definition: wire.Definition{
			Type: pick(r, "image.resize", "image.crop", "imagex", "hash", "http"), Queue: pick(r, "default", "mail", "slow"),
			Priority: pick(r, wire.Priorities...), RetentionMs: int64(60_000 + r.IntN(600_000)), Tags: map[string]string{},
		},
	}
	if r.IntN(3) == 0 {
		rec.ID = fmt.Sprintf("order_%d", seq)
	}
	_, rec.Meta.Member, _ = wire.MadeFrom(rec.ID)
	rec.Meta.SubmitSeq = seq
	for range r.IntN(4) {
		rec.Tags[pick(r, "customer", "env", "a.b")] = pick(r, "acme", "prod", "ünï\"code", "")
	}
	if r.IntN(2) == 0 {
		rec.Worker = pick(r, "worker-1", "worker-2", "worker-10")
		rec.StartedAt = rec.SubmittedAt + 5
	}
	if rec.Status.Ended() {
		rec.FinishedAt = rec.SubmittedAt + wire.Time(r.IntN(100_000))
	}
	if r.IntN(2) == 0 {
		rec.ExecutionTimeMs = new(int64(r.IntN(5)))
	}
	return rec
}

func randomQuery(r *rand.Rand) Query {
	q := Query{Sort: pick(r, SortSubmitted, SortPriority, SortExecution), Descending: r.IntN(2) == 0, Limit: pick(r, 1, 3, 7, 50, 1000), Facets: true}
	if r.IntN(3) == 0 {
		q.Status = []wire.Status{pick(r, wire.Statuses...), pick(r, wire.Statuses...)}
	}
	if r.IntN(3) == 0 {
		q.Type = []string{pick(r, "image.*", "hash", "*", "none")}
	}
	if r.IntN(4) == 0 {
		q.Queue = []string{pick(r, "default", "mail", "none")}
	}
	if r.IntN(4) == 0 {
		q.Priority = []wire.Priority{pick(r, wire.Priorities...), pick(r, wire.Priorities...)}
	}
	if r.IntN(4) == 0 {
		q.Worker = []string{pick(r, "worker-1", "worker-10", "worker-9")}
	}
	for range r.IntN(3) {
		q.Tag = append(q.Tag, Tag{Key: pick(r, "customer", "env", "a.b"), Value: pick(r, "acme", "prod", "ünï\"code", "")})
	}
	if r.IntN(4) == 0 {
		q.Prefix = pick(r, "task-", "task-10", "order_", "x")
	}
	return q
}

// pages walks a list from page to page.
func pages(t *testing.T, s *store, q Query) (ids []string, total int, facets *wire.Facets) {
	t.Helper()
	for {
		sel, err := s.query(&q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(sel.page), q.Limit)
		if q.Cursor == "" {
			total, facets = sel.total, sel.facets
		}
		require.Equal(t, total, sel.total)
		for _, f := range sel.page {
			ids = append(ids, f.id)
		}
		if !sel.more {
			return ids, total, facets
		}
		o, err := orderOf(&q)
		require.NoError(t, err)
		q.Cursor = o.encode(&sel.page[len(sel.page)-1].place)
	}
}

func TestStoreAgreesWithANaiveOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := &naive{records: map[string]*wire.Record{}, overlay: map[string]bool{}, now: epoch}
		s := newStore()
		s.now = func() time.Time { return n.now.Time() }
		var reader rowReader
		for step := range 400 {
			change(t, r, n, s, &reader)
			if step%10 == 0 {
				compare(t, r, n, s)
			}
		}
	}
}

func change(t *testing.T, r *rand.Rand, n *naive, s *store, reader *rowReader) {
	t.Helper()
	rec := randomRecord(r, uint64(100+r.IntN(150)))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.IntN(12) {
	case 0:
		seq, _, _ := wire.MadeFrom(rec.ID)
		s.remove([]byte(rec.ID), seq)
		if !n.overlay[rec.ID] || seq > 0 {
			delete(n.records, rec.ID)
			delete(n.overlay, rec.ID)
		}
	case 1:
		n.now += wire.Time(r.IntN(20_000))
	case 2:
		if rec.Status.Ended() {
			return
		}
		row := reader.ofRecord(rec)
		if s.putOverlay(&row) {
			n.records[rec.ID], n.overlay[rec.ID] = rec, true
		}
	default:
		b, err := json.Marshal(rec)
		require.NoError(t, err)
		row, err := reader.read(b, 1)
		require.NoError(t, err)
		s.put(&row)
		n.records[rec.ID] = rec
		delete(n.overlay, rec.ID)
	}
}

func compare(t *testing.T, r *rand.Rand, n *naive, s *store) {
	t.Helper()
	s.expire()
	q := randomQuery(r)
	want, facets := n.query(&q)
	got, total, gotFacets := pages(t, s, q)
	require.Equal(t, want, got, "%+v", q)
	require.Equal(t, len(want), total)
	require.Equal(t, facets, gotFacets)
	matched := s.match(&q.Filter)
	require.Len(t, matched, len(want))
	counts, depth, overlay := [7]int{}, map[string][4]int64{}, 0
	running := map[string][]string{}
	for _, rec := range n.visible() {
		counts[statusIndex[string(rec.Status)]]++
		switch rec.Status {
		case wire.StatusPending:
			d := depth[rec.Queue]
			d[rec.Priority.Rank()]++
			depth[rec.Queue] = d
		case wire.StatusInProgress:
			running[rec.Worker] = append(running[rec.Worker], rec.ID)
		}
		if n.overlay[rec.ID] {
			overlay++
		}
	}
	require.Equal(t, counts, s.counts)
	require.Equal(t, overlay, s.overlay)
	for i, d := range s.depth {
		require.Equal(t, depth[s.queues.values[i]], d)
	}
	for worker, ids := range running {
		on := slices.Collect(maps.Keys(s.running[s.workers.numbers[worker]]))
		require.Len(t, on, len(ids))
	}
}

func TestCursorHoldsWhileTasksChange(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.now = func() time.Time { return epoch.Time() }
	var reader rowReader
	put := func(seq uint64, status wire.Status) {
		rec := &wire.Record{ID: wire.MakeID(seq, 0), Status: status, SubmittedAt: epoch + wire.Time(seq)}
		rec.Type, rec.Queue, rec.Priority, rec.RetentionMs, rec.Meta.SubmitSeq = "a", "default", wire.PriorityLow, 60_000, seq
		if status.Ended() {
			rec.FinishedAt = epoch
		}
		row := reader.ofRecord(rec)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.put(&row)
	}
	for seq := uint64(100); seq < 300; seq++ {
		put(seq, wire.StatusPending)
	}
	seen := map[string]int{}
	q := Query{Descending: true, Sort: SortSubmitted, Limit: 10}
	for next := uint64(300); ; next++ {
		sel, err := s.query(&q)
		require.NoError(t, err)
		for _, f := range sel.page {
			seen[f.id]++
		}
		if !sel.more {
			break
		}
		q.Cursor = order{bySubmitted, true}.encode(&sel.page[len(sel.page)-1].place)
		put(next, wire.StatusPending)       // a new one stands before the cursor
		put(500-next, wire.StatusCompleted) // one changes behind it
		s.mu.Lock()
		s.remove([]byte(wire.MakeID(next-40, 0)), next-40)
		s.mu.Unlock()
	}
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	for seq := uint64(100); seq < 260; seq++ {
		require.Contains(t, seen, wire.MakeID(seq, 0))
	}
}

func TestCursorsOfOtherListsAreRefused(t *testing.T) {
	t.Parallel()
	o := order{byPriority, true}
	p := place{key: -3, seq: ^uint64(7), member: 2, id: "task-007"}
	cursor := o.encode(&p)
	back, err := o.decode(cursor)
	require.NoError(t, err)
	require.Equal(t, &p, back)
	for _, other := range []order{{byPriority, false}, {bySubmitted, true}} {
		_, err := other.decode(cursor)
		require.ErrorIs(t, err, ErrBadCursor)
	}
	for _, bad := range []string{"x", "!!", cursor[:4], strings.Repeat("A", 40), cursor[:len(cursor)/2] + "*"} {
		_, err := o.decode(bad)
		require.ErrorIs(t, err, ErrBadCursor, bad)
	}
}

func TestAnEndedTaskIsHiddenWhenItsRetentionIsOver(t *testing.T) {
	t.Parallel()
	s := newStore()
	now := epoch
	s.now = func() time.Time { return now.Time() }
	var reader rowReader
	rec := &wire.Record{ID: "order", Status: wire.StatusCompleted, FinishedAt: epoch, SubmittedAt: epoch}
	rec.Type, rec.Queue, rec.Priority, rec.RetentionMs = "a", "default", wire.PriorityLow, 60_000
	row := reader.ofRecord(rec)
	require.True(t, s.put(&row))
	now = epoch + 59_999
	require.Empty(t, s.expire())
	require.Equal(t, 1, s.counts[statusCompleted])
	now++
	require.Equal(t, []string{"order"}, s.expire())
	require.Equal(t, 0, s.counts[statusCompleted])
	require.False(t, s.put(&row), "a late write of the same record")
	require.Empty(t, s.ids)
}

func TestExpiriesOfRemovedTasksAreForgotten(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.now = func() time.Time { return epoch.Time() }
	var reader rowReader
	for i := range 10 * chunkRows {
		rec := &wire.Record{ID: wire.MakeID(uint64(1000+i), 0), Status: wire.StatusCompleted, FinishedAt: epoch + wire.Time(i%1000)}
		rec.Type, rec.Queue, rec.Priority, rec.RetentionMs = "a", "default", wire.PriorityLow, 86_400_000
		row := reader.ofRecord(rec)
		s.put(&row)
		if i >= 100 {
			s.remove([]byte(wire.MakeID(uint64(1000+i-100), 0)), 0)
		}
	}
	require.Less(t, len(s.expiry), 6*chunkRows)
	require.Len(t, s.chunks, 1)
}

// fill adds n tasks as a busy system has them: many types and workers, tags that differ.
func fill(tb testing.TB, s *store, n int) {
	tb.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	var reader rowReader
	now := wire.At(s.now())
	for i := range n {
		rec := &wire.Record{ID: wire.MakeID(uint64(1000+i), 0), Status: wire.StatusCompleted, SubmittedAt: now - wire.Time(n-i), Worker: fmt.Sprintf("worker-%d", r.IntN(100))}
		rec.Type, rec.Queue, rec.Priority, rec.RetentionMs = fmt.Sprintf("family%d.kind%d", r.IntN(5), r.IntN(10)), pick(r, "default", "mail", "slow"), pick(r, wire.Priorities...), 86_400_000
		rec.Tags = map[string]string{"customer": fmt.Sprintf("customer-%d", r.IntN(5000)), "env": pick(r, "prod", "test"), "order": fmt.Sprintf("%x", i)}
		rec.Meta.SubmitSeq, rec.StartedAt, rec.FinishedAt, rec.ExecutionTimeMs = uint64(1000+i), now, now, new(int64(r.IntN(5000)))
		switch r.IntN(100) {
		case 0, 1, 2:
			rec.Status = wire.StatusFailed
		case 3, 4, 5, 6, 7, 8:
			rec.Status, rec.FinishedAt, rec.ExecutionTimeMs = wire.StatusPending, 0, nil
		}
		row := reader.ofRecord(rec)
		s.put(&row)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMemoryIsBounded(t *testing.T) { // not parallel: it measures the heap
	const tasks, bound = 200_000, 300 << 20
	before := heap()
	s := newStore()
	fill(t, s, tasks)
	used := heap() - before
	runtime.KeepAlive(s)
	t.Logf("%d bytes a task", used/tasks)
	require.Less(t, used, uint64(bound/(1_000_000/tasks)))
}

func BenchmarkReadRecord(b *testing.B) {
	rec := randomRecord(rand.New(rand.NewPCG(1, 1)), 1234567)
	rec.Meta.History = make([]wire.Position, 3)
	raw, err := json.Marshal(rec)
	require.NoError(b, err)
	var reader rowReader
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		_, err := reader.read(raw, 1)
		require.NoError(b, err)
	}
}
