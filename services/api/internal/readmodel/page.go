package readmodel

import (
	"slices"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// found is one task of a page.
type found struct {
	place
	overlay bool
}

// selected is what a query finds in the columns.
type selected struct {
	page   []found
	total  int
	more   bool
	facets *wire.Facets
}

// selector gathers the first rows of a page while a scan goes on: it keeps a few times as
// many as the page takes, and cuts them down by partitions when they are too many.
type selector struct {
	order order
	limit int
	after *place
	kept  []found
	// worst place that is still of use, once limit rows are known.
	worst *place
	rest  int
}

// visit takes the rows of a chunk that match.
func (q *selector) visit(c *chunk, rows []uint16) {
	if q.after == nil {
		q.rest += len(rows)
	}
	worst := int64(unknownKey)
	if q.worst != nil {
		worst = q.worst.key
	}
	for n := range rows {
		i := rows[n]
		if q.order.descending {
			i = rows[len(rows)-1-n] // as submitted: what is kept early rules the others out
		}
		key := q.order.key(c, i)
		if q.after != nil {
			if key < q.after.key || key == q.after.key && !q.follows(c, i, key) {
				continue
			}
			q.rest++
		}
		if key <= worst && q.keep(c, i, key) {
			worst = q.worst.key
		}
	}
}

// place is where a row stands, by its key.
func (q *selector) place(c *chunk, i uint16, key int64) place {
	p := place{key: key, seq: c.seq[i], member: c.member[i], id: c.id[i]}
	if q.order.descending {
		p.seq, p.member = ^p.seq, ^p.member
	}
	return p
}

// follows tells whether a row stands after the cursor.
func (q *selector) follows(c *chunk, i uint16, key int64) bool {
	p := q.place(c, i, key)
	return q.after.before(&p, q.order.descending)
}

// keep takes a row that may belong to the page; true where it rules others out.
func (q *selector) keep(c *chunk, i uint16, key int64) bool {
	p := q.place(c, i, key)
	if q.worst != nil && !p.before(q.worst, q.order.descending) {
		return false
	}
	q.kept = append(q.kept, found{p, c.flags[i]&flagOverlay != 0})
	if len(q.kept) < cap(q.kept) {
		return false
	}
	q.cut()
	return true
}

// key of a row in an order: ascending is the order of the list.
func (o order) key(c *chunk, i uint16) int64 {
	var key int64
	switch o.sort {
	case byPriority:
		key = -int64(priorityOf(c.state[i]))
	case byExecution:
		if c.exec[i] == unknownExec {
			return unknownKey
		}
		key = int64(c.exec[i])
	default:
		key = int64(c.submitted[i])
	}
	if o.descending {
		return -key
	}
	return key
}

// cut keeps the first rows only: the limit-th smallest is found by partitions.
func (q *selector) cut() {
	low, high := 0, len(q.kept)
	for high-low > 1 {
		pivot := q.kept[(low+high)/2].place
		first, second := q.partition(low, high, &pivot)
		switch {
		case q.limit < first:
			high = first
		case q.limit <= second:
			low = high // the limit lies among equals: done
		default:
			low = second
		}
	}
	q.kept = q.kept[:q.limit]
	worst := q.kept[0].place
	for i := range q.kept {
		if worst.before(&q.kept[i].place, q.order.descending) {
			worst = q.kept[i].place
		}
	}
	q.worst = &worst
}

// partition puts the rows before the pivot first and those after it last; what stands
// between is equal to it.
func (q *selector) partition(low, high int, pivot *place) (first, second int) {
	k, i, n := q.kept, low, high
	for first = low; i < n; {
		switch {
		case k[i].before(pivot, q.order.descending):
			k[first], k[i] = k[i], k[first]
			first++
			i++
		case pivot.before(&k[i].place, q.order.descending):
			n--
			k[i], k[n] = k[n], k[i]
		default:
			i++
		}
	}
	return first, n
}

func (q *selector) result() []found {
	slices.SortFunc(q.kept, func(a, b found) int {
		switch {
		case a.before(&b.place, q.order.descending):
			return -1
		case b.before(&a.place, q.order.descending):
			return 1
		}
		return 0
	})
	return q.kept[:min(len(q.kept), q.limit)]
}

// facetCounts counts matches by number.
type facetCounts struct {
	state       [256]int
	kind, queue []int
}

func (f *facetCounts) visit(c *chunk, rows []uint16) {
	for _, i := range rows {
		f.state[c.state[i]]++
		f.kind = countAt(f.kind, c.kind[i])
		f.queue = countAt(f.queue, c.queue[i])
	}
}

func countAt(counts []int, n uint32) []int {
	for int(n) >= len(counts) {
		counts = append(counts, make([]int, max(16, len(counts)))...)
	}
	counts[n]++
	return counts
}

func (f *facetCounts) result(s *store) *wire.Facets {
	out := &wire.Facets{Status: map[string]int{}, Type: map[string]int{}, Queue: map[string]int{}, Priority: map[string]int{}}
	for state, n := range f.state {
		if n > 0 {
			out.Status[string(wire.Statuses[statusOf(uint8(state))])] += n
			out.Priority[string(wire.Priorities[priorityOf(uint8(state))])] += n
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n, count := range f.kind {
		if count > 0 {
			out.Type[s.kinds.values[n]] += count
		}
	}
	for n, count := range f.queue {
		if count > 0 {
			out.Queue[s.queues.values[n]] += count
		}
	}
	return out
}

// query finds a page in the columns.
func (s *store) query(q *Query) (*selected, error) {
	o, err := orderOf(q)
	if err != nil {
		return nil, err
	}
	sel := &selector{order: o, limit: q.Limit, kept: make([]found, 0, 2*q.Limit+512)}
	if q.Cursor != "" {
		if sel.after, err = o.decode(q.Cursor); err != nil {
			return nil, err
		}
	}
	out := &selected{}
	var facets facetCounts
	var m *matcher
	s.scan(o.descending, func() { m = s.matcher(&q.Filter) }, func(c *chunk) {
		rows := m.take(c)
		out.total += len(rows)
		if q.Facets {
			facets.visit(c, rows)
		}
		sel.visit(c, rows)
	})
	out.page = sel.result()
	out.more = sel.rest > len(out.page)
	if q.Facets {
		out.facets = facets.result(s)
	}
	return out, nil
}

// match lists what the columns know of every task that a filter takes.
func (s *store) match(f *Filter) []*wire.Record {
	var out []*wire.Record
	var m *matcher
	s.scan(false, func() { m = s.matcher(f) }, func(c *chunk) {
		rows := m.take(c)
		block := make([]wire.Record, len(rows))
		for n, i := range rows {
			s.show(c, uint32(i), &block[n])
			out = append(out, &block[n])
		}
	})
	return out
}

// show fills in what the columns know of a task; it needs a lock.
func (s *store) show(c *chunk, i uint32, r *wire.Record) {
	r.ID, r.Status, r.SubmittedAt, r.Worker = c.id[i], wire.Statuses[statusOf(c.state[i])], c.submitted[i], s.workers.values[c.worker[i]]
	r.Type, r.Queue, r.Priority = s.kinds.values[c.kind[i]], s.queues.values[c.queue[i]], wire.Priorities[priorityOf(c.state[i])]
	r.Meta.SubmitSeq, r.Meta.Member = c.seq[i], int(c.member[i])
	if c.flags[i]&flagObject != 0 {
		r.Meta.PayloadObject = wire.PayloadObject(c.id[i])
	}
}
