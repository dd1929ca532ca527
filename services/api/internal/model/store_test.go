package model

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

var (
	someTypes  = []string{"hash", "image.resize", "image.crop", "sleep"}
	someQueues = []string{"default", "mail"}
	someTags   = []map[string]string{nil, {"customer": "acme"}, {"customer": "acme", "day": "1"}, {"day": "2"}}
)

func record(n int, r *rand.Rand) *wire.Record {
	rec := &wire.Record{
		ID: fmt.Sprintf("task-%03d", n), Status: wire.Statuses[r.IntN(len(wire.Statuses))], SubmittedAt: wire.Time(1_000_000 + n/3),
		Definition: wire.Definition{
			Type: someTypes[r.IntN(len(someTypes))], Queue: someQueues[r.IntN(len(someQueues))],
			Priority: wire.Priorities[r.IntN(len(wire.Priorities))], Tags: someTags[r.IntN(len(someTags))], RetentionMs: 86_400_000,
		},
		Worker: []string{"", "worker-1", "worker-2"}[r.IntN(3)],
	}
	rec.Meta.SubmitSeq = uint64(n)
	if r.IntN(2) == 0 {
		rec.ExecutionTimeMs = new(int64(r.IntN(50)))
	}
	if rec.Status.Ended() {
		rec.FinishedAt = rec.SubmittedAt + 1
	}
	return rec
}

// naive answers a query by looking at every record.
func naive(all map[string]*wire.Record, q httpapi.Query) []*wire.Record {
	var out []*wire.Record
	for _, r := range all {
		if takes(r, q.Filter) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *wire.Record) int {
		c := compare(a, b, q.Sort, q.Descending)
		if q.Descending {
			return -c
		}
		return c
	})
	return out
}

func compare(a, b *wire.Record, sort string, descending bool) int {
	key := func(r *wire.Record) int64 {
		switch {
		case sort == "priority":
			return int64(-r.Priority.Rank())
		case sort != "executionTimeMs":
			return 0
		case r.ExecutionTimeMs != nil:
			return *r.ExecutionTimeMs
		case descending:
			return -1
		}
		return 1 << 62
	}
	for _, d := range []int64{key(a) - key(b), int64(a.SubmittedAt - b.SubmittedAt), int64(a.Meta.SubmitSeq) - int64(b.Meta.SubmitSeq)} {
		if d != 0 {
			return map[bool]int{true: 1, false: -1}[d > 0]
		}
	}
	return 0
}

func takes(r *wire.Record, f httpapi.Filter) bool {
	in := func(values []string, v string) bool {
		return len(values) == 0 || slices.ContainsFunc(values, func(want string) bool {
			prefix, wild := strings.CutSuffix(want, "*")
			return want == v || wild && strings.HasPrefix(v, prefix)
		})
	}
	tagged := len(f.Tag) == 0 || slices.ContainsFunc(f.Tag, func(t httpapi.Tag) bool { return r.Tags[t.Key] == t.Value && t.Value != "" })
	return (len(f.Status) == 0 || slices.Contains(f.Status, r.Status)) && (len(f.Priority) == 0 || slices.Contains(f.Priority, r.Priority)) &&
		in(f.Type, r.Type) && in(f.Queue, r.Queue) && in(f.Worker, r.Worker) && tagged && strings.HasPrefix(r.ID, f.Prefix)
}

func someQuery(t *rapid.T) httpapi.Query {
	pick := func(label string, from []string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, label)
	}
	q := httpapi.Query{
		Sort:       rapid.SampledFrom([]string{"submittedAt", "priority", "executionTimeMs"}).Draw(t, "sort"),
		Descending: rapid.Bool().Draw(t, "descending"), Limit: rapid.IntRange(1, 9).Draw(t, "limit"), Facets: rapid.Bool().Draw(t, "facets"),
	}
	q.Status = rapid.SliceOfN(rapid.SampledFrom(wire.Statuses), 0, 2).Draw(t, "status")
	q.Priority = rapid.SliceOfN(rapid.SampledFrom(wire.Priorities), 0, 2).Draw(t, "priority")
	q.Type = pick("type", []string{"hash", "image.*", "sleep", "nothing"})
	q.Queue = pick("queue", []string{"default", "mail", "none"})
	q.Worker = pick("worker", []string{"worker-1", "worker-2"})
	q.Tag = rapid.SliceOfN(rapid.SampledFrom([]httpapi.Tag{{Key: "customer", Value: "acme"}, {Key: "day", Value: "2"}, {Key: "x", Value: "y"}}), 0, 2).Draw(t, "tag")
	q.Prefix = rapid.SampledFrom([]string{"", "task-00", "task-1"}).Draw(t, "prefix")
	return q
}

// Under random changes every list, followed page by page, is what looking at every record gives.
func TestQueriesAnswerLikeAScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, all := newStore(), map[string]*wire.Record{}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for range rapid.IntRange(0, 150).Draw(t, "changes") {
			one := record(1+r.IntN(120), r)
			if r.IntN(5) == 0 {
				s.remove(one.ID, false)
				delete(all, one.ID)
				continue
			}
			s.upsert(one, false)
			all[one.ID] = one
		}
		q := someQuery(t)
		want := naive(all, q)
		var got []string
		for {
			p, err := s.query(q)
			require.NoError(t, err)
			require.Equal(t, len(want), p.total)
			if p.facets != nil {
				sum := 0
				for _, n := range p.facets.Status {
					sum += n
				}
				require.Equal(t, len(want), sum)
			}
			got = append(got, p.ids...)
			if q.Cursor = p.next; q.Cursor == "" {
				break
			}
		}
		ids := []string(nil)
		for _, w := range want {
			ids = append(ids, w.ID)
		}
		require.Equal(t, ids, got)
	})
}

func TestExpiresAtTheMillisecond(t *testing.T) {
	t.Parallel()
	s := newStore()
	r := record(1, rand.New(rand.NewPCG(1, 1)))
	r.Status, r.FinishedAt, r.RetentionMs = wire.StatusCompleted, 1_000_500, 60_000
	s.upsert(r, false)
	require.Empty(t, s.expire(1_060_499))
	require.NotNil(t, s.known(r.ID))
	require.Equal(t, []string{r.ID}, s.expire(1_060_500))
	require.Nil(t, s.known(r.ID))
	require.Zero(t, s.counts().Total)
}

func TestAnOverlayGoesWithoutItsRecord(t *testing.T) {
	t.Parallel()
	s, r := newStore(), rand.New(rand.NewPCG(1, 1))
	s.upsert(record(1, r), true)
	require.NotEmpty(t, s.remove("task-001", true))
	s.upsert(record(1, r), true)
	s.upsert(record(1, r), false)
	require.Empty(t, s.remove("task-001", true), "its record has been seen")
	require.NotNil(t, s.known("task-001"))
}

func TestWrongCursor(t *testing.T) {
	t.Parallel()
	_, err := newStore().query(httpapi.Query{Limit: 1, Cursor: "nonsense"})
	require.ErrorIs(t, err, httpapi.ErrCursor)
}

func filled(n int) *store {
	s, r := newStore(), rand.New(rand.NewPCG(1, 2))
	for i := range n {
		one := record(i+1, r)
		if i%10 > 0 {
			one.Status, one.FinishedAt = wire.StatusCompleted, one.SubmittedAt+wire.Time(i)
		}
		s.upsert(one, false)
	}
	return s
}

// heapOf is the heap that a store holds: what is freed when it goes.
func heapOf(build func() *store) (total int, bytes int64) {
	s := build()
	with := heapNow()
	total = s.counts().Total
	runtime.KeepAlive(s)
	s = nil
	return total, with - heapNow()
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools still held
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// 1,000,000 tasks fit into 300 MB: a tenth of them into less than a tenth. Not parallel:
// it measures the heap.
func TestMemoryPerTask(t *testing.T) {
	const n = 100_000
	total, bytes := heapOf(func() *store { return filled(n) })
	require.Equal(t, n, total)
	require.Positive(t, bytes)
	require.Less(t, bytes/n, int64(300), "bytes of heap a task")
	t.Logf("%d bytes a task", bytes/n)
}

func BenchmarkFirstPageOfAMillion(b *testing.B) {
	const n = 1_000_000
	_, bytes := heapOf(func() *store { return filled(n) })
	s := filled(n)
	b.Logf("%d MB of heap", bytes>>20)
	for name, q := range map[string]httpapi.Query{
		"all":             {Sort: "submittedAt", Descending: true, Limit: 50},
		"pending, facets": {Filter: httpapi.Filter{Status: []wire.Status{wire.StatusPending}}, Sort: "submittedAt", Descending: true, Limit: 50, Facets: true},
		"type wildcard":   {Filter: httpapi.Filter{Type: []string{"image.*"}}, Sort: "-priority"[1:], Limit: 50},
		"slowest":         {Filter: httpapi.Filter{Status: []wire.Status{wire.StatusCompleted}}, Sort: "executionTimeMs", Descending: true, Limit: 50},
		"prefix":          {Filter: httpapi.Filter{Prefix: "task-99"}, Sort: "submittedAt", Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.query(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
