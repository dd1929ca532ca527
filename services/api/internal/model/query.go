package model

import (
	"container/heap"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// page is what the columns answer to a query.
type page struct {
	ids    []string
	total  int
	next   string
	facets *wire.Facets
}

// place is where a task stands in a list: by the key of the sort, then by submission.
type place struct {
	key   int64
	at    wire.Time
	order uint64
	row   uint32
}

func (p place) before(q place) bool {
	if p.key != q.key {
		return p.key < q.key
	}
	if p.at != q.at {
		return p.at < q.at
	}
	return p.order < q.order
}

// query finds one page. Filters are bitmaps; a page is the best of the matches by one pass
// over their keys, so that a cursor stays right while tasks come and go.
func (s *store) query(q httpapi.Query) (page, error) {
	key, err := sortKey(q.Sort)
	if err != nil {
		return page{}, err
	}
	after, err := parseCursor(q.Cursor)
	if err != nil {
		return page{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	matches := s.match(q.Filter)
	out := page{total: int(matches.GetCardinality())}
	if q.Facets {
		out.facets = s.facets(matches)
	}
	best := &worst{descending: q.Descending}
	for _, part := range s.parts(matches, q) {
		s.scan(part, q, key, after, best)
		if q.Sort == "priority" && len(best.places) > q.Limit {
			break // what follows stands after all of these
		}
	}
	places := best.sorted()
	if len(places) > q.Limit {
		places = places[:q.Limit]
		out.next = formatCursor(places[q.Limit-1])
	}
	for _, p := range places {
		out.ids = append(out.ids, s.ids[p.row])
	}
	return out, nil
}

// parts splits the matches by priority, in the order of the list, where that is the sort.
func (s *store) parts(matches *roaring.Bitmap, q httpapi.Query) []*roaring.Bitmap {
	if q.Sort != "priority" {
		return []*roaring.Bitmap{matches}
	}
	parts := make([]*roaring.Bitmap, len4)
	for i, b := range s.byPriority {
		at := i
		if !q.Descending {
			at = len4 - 1 - i
		}
		parts[at] = roaring.And(matches, b)
	}
	return parts
}

// scan offers the matches, a block of rows at a time. New tasks get new rows, so rows are
// about in the order of submission: where that is the sort, most blocks hold nothing that
// could be better than what was found, and are passed over.
func (s *store) scan(matches *roaring.Bitmap, q httpapi.Query, key func(*store, uint32, bool) int64, after *place, best *worst) {
	for n := range s.blocks {
		at := n
		if q.Descending {
			at = len(s.blocks) - 1 - n
		}
		if q.Sort != "executionTimeMs" && s.blocks[at].hopeless(best, q.Limit+1, q.Descending) {
			continue
		}
		first, end := uint32(at)*blockRows, uint32(at+1)*blockRows
		it := matches.Iterator()
		it.AdvanceIfNeeded(first)
		for it.HasNext() {
			row := it.Next()
			if row >= end {
				break
			}
			p := place{key(s, row, q.Descending), s.submitted[row], s.order[row], row}
			if after == nil || best.later(p, *after) {
				best.offer(p, q.Limit+1)
			}
		}
	}
}

// blockRows is the number of rows in a block.
const blockRows = 4096

// block bounds the times of submission of its rows. The bounds only widen.
type block struct{ first, last wire.Time }

func (b *block) widen(at wire.Time) {
	if b.first == 0 || at < b.first {
		b.first = at
	}
	b.last = max(b.last, at)
}

// hopeless tells whether every row of the block stands after a full page of better ones.
// Priorities are looked at one after the other, so that times decide there, too.
func (b block) hopeless(best *worst, most int, descending bool) bool {
	if len(best.places) < most {
		return false
	}
	if descending {
		return b.last < best.places[0].at
	}
	return b.first > best.places[0].at
}

// sortKey is the column of a sort. A task without an execution time comes last either way.
func sortKey(name string) (func(*store, uint32, bool) int64, error) {
	switch name {
	case "", "submittedAt":
		return func(*store, uint32, bool) int64 { return 0 }, nil
	case "priority":
		return func(s *store, row uint32, _ bool) int64 { return int64(len4) - int64(s.priority[row]) }, nil
	case "executionTimeMs":
		return func(s *store, row uint32, descending bool) int64 {
			if ms := s.execution[row]; ms >= 0 || descending {
				return int64(ms)
			}
			return math.MaxInt64
		}, nil
	}
	return nil, fmt.Errorf("sort by %q: no such order", name)
}

// worst is a heap of the best places found, the worst of them on top.
type worst struct {
	places     []place
	descending bool
}

// later tells whether p stands after q in the list.
func (w *worst) later(p, q place) bool {
	if w.descending {
		return p.before(q)
	}
	return q.before(p)
}

func (w *worst) Len() int           { return len(w.places) }
func (w *worst) Less(i, j int) bool { return w.later(w.places[i], w.places[j]) }
func (w *worst) Swap(i, j int)      { w.places[i], w.places[j] = w.places[j], w.places[i] }

// Push implements heap.Interface.
func (w *worst) Push(x any) { w.places = append(w.places, x.(place)) }

// Pop implements heap.Interface.
func (w *worst) Pop() any {
	last := w.places[len(w.places)-1]
	w.places = w.places[:len(w.places)-1]
	return last
}

func (w *worst) offer(p place, most int) {
	switch {
	case len(w.places) < most:
		heap.Push(w, p)
	case w.later(w.places[0], p):
		w.places[0] = p
		heap.Fix(w, 0)
	}
}

func (w *worst) sorted() []place {
	out := make([]place, len(w.places))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = heap.Pop(w).(place)
	}
	return out
}

func formatCursor(p place) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.key))
	b = binary.BigEndian.AppendUint64(b, uint64(p.at))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, p.order))
}

func parseCursor(s string) (*place, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no cursor is the beginning
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 24 {
		return nil, fmt.Errorf("cursor %q: %w", s, httpapi.ErrCursor)
	}
	return &place{
		key: int64(binary.BigEndian.Uint64(b)), at: wire.Time(binary.BigEndian.Uint64(b[8:])), order: binary.BigEndian.Uint64(b[16:]),
	}, nil
}

// match is the set of rows that a filter takes; the caller holds the lock and must not change it.
func (s *store) match(f httpapi.Filter) *roaring.Bitmap {
	sets := []*roaring.Bitmap{}
	if len(f.Status) > 0 {
		sets = append(sets, union(f.Status, func(st wire.Status) []*roaring.Bitmap {
			return []*roaring.Bitmap{s.byStatus[statusNumber(st)]}
		}))
	}
	if len(f.Priority) > 0 {
		sets = append(sets, union(f.Priority, func(p wire.Priority) []*roaring.Bitmap {
			if !p.Valid() {
				return nil
			}
			return []*roaring.Bitmap{s.byPriority[p.Rank()]}
		}))
	}
	for _, by := range []struct {
		values []string
		in     *dictionary
	}{{f.Type, s.types}, {f.Queue, s.queues}, {f.Worker, s.workers}} {
		if len(by.values) > 0 {
			sets = append(sets, union(by.values, by.in.like))
		}
	}
	if len(f.Tag) > 0 {
		sets = append(sets, s.tagged(f.Tag))
	}
	var out *roaring.Bitmap
	switch len(sets) {
	case 0:
		out = s.live
	case 1:
		out = sets[0]
	default:
		out = roaring.FastAnd(sets...)
	}
	if f.Prefix != "" {
		out = s.prefixed(out, f.Prefix)
	}
	return out
}

func union[T any](values []T, of func(T) []*roaring.Bitmap) *roaring.Bitmap {
	var all []*roaring.Bitmap
	for _, v := range values {
		all = append(all, of(v)...)
	}
	if len(all) == 1 {
		return all[0]
	}
	return roaring.FastOr(all...)
}

// like finds the rows of a string, or of all that begin as the string does before its `*`.
func (d *dictionary) like(name string) []*roaring.Bitmap {
	prefix, wild := strings.CutSuffix(name, "*")
	if !wild {
		if n, known := d.numbers[name]; known && name != "" {
			return []*roaring.Bitmap{d.rows[n]}
		}
		return nil
	}
	var out []*roaring.Bitmap
	for n, one := range d.names {
		if one != "" && strings.HasPrefix(one, prefix) {
			out = append(out, d.rows[n])
		}
	}
	return out
}

// tagged is the rows that have one of the tags.
func (s *store) tagged(tags []httpapi.Tag) *roaring.Bitmap {
	var all []*roaring.Bitmap
	for n, set := range s.tagSets.names {
		for _, t := range tags {
			if set != "" && strings.Contains(set, "\x01"+t.Key+"\x00"+t.Value+"\x01") {
				all = append(all, s.tagSets.rows[n])
				break
			}
		}
	}
	return roaring.FastOr(all...)
}

func (s *store) prefixed(in *roaring.Bitmap, prefix string) *roaring.Bitmap {
	out := roaring.New()
	it := in.Iterator()
	for it.HasNext() {
		if row := it.Next(); strings.HasPrefix(s.ids[row], prefix) {
			out.Add(row)
		}
	}
	return out
}

func (s *store) facets(matches *roaring.Bitmap) *wire.Facets {
	f := &wire.Facets{Status: map[string]int{}, Type: map[string]int{}, Queue: map[string]int{}, Priority: map[string]int{}}
	count := func(into map[string]int, name string, rows *roaring.Bitmap) {
		if rows == nil || name == "" {
			return
		}
		if n := matches.AndCardinality(rows); n > 0 {
			into[name] = int(n)
		}
	}
	for i, st := range wire.Statuses {
		count(f.Status, string(st), s.byStatus[i])
	}
	for i, p := range wire.Priorities {
		count(f.Priority, string(p), s.byPriority[i])
	}
	for n, name := range s.types.names {
		count(f.Type, name, s.types.rows[n])
	}
	for n, name := range s.queues.names {
		count(f.Queue, name, s.queues.rows[n])
	}
	return f
}

// all lists sketches of the tasks that a filter takes.
func (s *store) all(f httpapi.Filter) []*wire.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rows := s.match(f).ToArray()
	out := make([]*wire.Record, len(rows))
	for i, row := range rows {
		out[i] = s.sketch(row)
	}
	return out
}

// counts is how many tasks have each status.
func (s *store) counts() wire.TaskCounts {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := func(st wire.Status) int { return int(s.byStatus[statusNumber(st)].GetCardinality()) }
	return wire.TaskCounts{
		Pending: n(wire.StatusPending), InProgress: n(wire.StatusInProgress), Completed: n(wire.StatusCompleted),
		Failed: n(wire.StatusFailed), Scheduled: n(wire.StatusScheduled), Retrying: n(wire.StatusRetrying),
		Cancelled: n(wire.StatusCancelled), Total: int(s.live.GetCardinality()),
	}
}

// running lists the tasks in progress on a worker, by the records.
func (s *store) running(worker string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, known := s.workers.numbers[worker]
	if !known || worker == "" {
		return nil
	}
	rows := roaring.And(s.workers.rows[n], s.byStatus[statusNumber(wire.StatusInProgress)]).ToArray()
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = s.ids[row]
	}
	return ids
}

// maxOldestScan bounds the search for the oldest waiting task; rows are about in the order
// of their coming.
const maxOldestScan = 20_000

// depth is what waits in a queue, and since when the oldest of it.
func (s *store) depth(queue string) (d wire.Depth, oldest wire.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, known := s.queues.numbers[queue]
	if !known {
		return d, 0
	}
	waiting := roaring.And(s.queues.rows[n], s.byStatus[statusNumber(wire.StatusPending)])
	count := func(p wire.Priority) int64 { return int64(waiting.AndCardinality(s.byPriority[p.Rank()])) }
	d = wire.Depth{Critical: count(wire.PriorityCritical), High: count(wire.PriorityHigh), Medium: count(wire.PriorityMedium), Low: count(wire.PriorityLow)}
	it := waiting.Iterator()
	for i := 0; it.HasNext() && i < maxOldestScan; i++ {
		if at := s.due[it.Next()]; oldest == 0 || at < oldest {
			oldest = at
		}
	}
	return d, oldest
}

// queueNames lists the queues that have tasks.
func (s *store) queueNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, name := range s.queues.names {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}
