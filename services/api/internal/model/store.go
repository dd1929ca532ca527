package model

import (
	"sort"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// store holds what lists are filtered and sorted by, in columns: a task is a row number.
// What a list shows beyond that is read from the bucket, for the one page. One goroutine
// writes, many read.
type store struct {
	mu   sync.RWMutex
	rows map[string]uint32
	free []uint32
	live *roaring.Bitmap

	ids       []string
	submitted []wire.Time
	order     []uint64 // submission's sequence and member: the tie-break of every sort
	execution []int32  // -1 where there is none
	expires   []wire.Time
	due       []wire.Time
	status    []uint8
	priority  []uint8
	kind      []uint32
	queue     []uint32
	worker    []uint32
	tags      []uint32
	flags     []uint8
	blocks    []block

	byStatus   [len8]*roaring.Bitmap
	byPriority [len4]*roaring.Bitmap
	types      *dictionary
	queues     *dictionary
	workers    *dictionary
	tagSets    *dictionary
	expiry     map[int64]*roaring.Bitmap // by second
	swept      int64
}

const (
	len8 = 7 // statuses
	len4 = 4 // priorities

	// flagOverlay: accepted, but its record has not been seen yet.
	flagOverlay = 1
	// flagObject: its payload lies in the object store.
	flagObject = 2

	memberBits = 10 // a group has at most wire.MaxGroup members
)

func newStore() *store {
	s := &store{
		rows: map[string]uint32{}, live: roaring.New(), types: newDictionary(), queues: newDictionary(),
		workers: newDictionary(), tagSets: newDictionary(), expiry: map[int64]*roaring.Bitmap{},
	}
	for i := range s.byStatus {
		s.byStatus[i] = roaring.New()
	}
	for i := range s.byPriority {
		s.byPriority[i] = roaring.New()
	}
	return s
}

// dictionary gives strings numbers, and keeps which rows have them. 0 is the empty string.
type dictionary struct {
	numbers map[string]uint32
	names   []string
	rows    []*roaring.Bitmap
	unused  []uint32
}

func newDictionary() *dictionary {
	return &dictionary{numbers: map[string]uint32{"": 0}, names: []string{""}, rows: []*roaring.Bitmap{roaring.New()}}
}

func (d *dictionary) add(name string, row uint32) uint32 {
	n, known := d.numbers[name]
	switch {
	case known:
	case len(d.unused) > 0:
		n = d.unused[len(d.unused)-1]
		d.unused = d.unused[:len(d.unused)-1]
		d.numbers[name], d.names[n] = n, name
	default:
		n = uint32(len(d.names))
		d.numbers[name] = n
		d.names, d.rows = append(d.names, name), append(d.rows, nil)
	}
	if d.rows[n] == nil {
		d.rows[n] = roaring.New()
	}
	d.rows[n].Add(row)
	return n
}

// remove forgets a string when no row has it any more, so that numbers do not pile up.
func (d *dictionary) remove(n, row uint32) {
	b := d.rows[n]
	b.Remove(row)
	if n != 0 && b.IsEmpty() {
		delete(d.numbers, d.names[n])
		d.names[n], d.rows[n] = "", nil
		d.unused = append(d.unused, n)
	}
}

// upsert takes a record in and returns the status the task had; empty where it is new.
// Overlay is for tasks of which only the submission is known.
func (s *store) upsert(r *wire.Record, overlay bool) (was wire.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, known := s.rows[r.ID]
	if known {
		was = wire.Statuses[s.status[row]]
		s.unindex(row)
	} else {
		row = s.allot(strings.Clone(r.ID))
	}
	s.fill(row, r, overlay)
	return was
}

func (s *store) allot(id string) uint32 {
	if n := len(s.free); n > 0 {
		row := s.free[n-1]
		s.free = s.free[:n-1]
		s.ids[row], s.rows[id] = id, row
		return row
	}
	row := uint32(len(s.ids))
	s.ids = append(s.ids, id)
	s.submitted, s.order = append(s.submitted, 0), append(s.order, 0)
	s.execution, s.expires, s.due = append(s.execution, 0), append(s.expires, 0), append(s.due, 0)
	s.status, s.priority, s.flags = append(s.status, 0), append(s.priority, 0), append(s.flags, 0)
	s.kind, s.queue, s.worker, s.tags = append(s.kind, 0), append(s.queue, 0), append(s.worker, 0), append(s.tags, 0)
	if row%blockRows == 0 {
		s.blocks = append(s.blocks, block{})
	}
	s.rows[id] = row
	return row
}

func (s *store) fill(row uint32, r *wire.Record, overlay bool) {
	s.submitted[row] = r.SubmittedAt
	s.blocks[row/blockRows].widen(r.SubmittedAt)
	s.order[row] = r.Meta.SubmitSeq<<memberBits | uint64(r.Meta.Member)
	s.execution[row] = -1
	if r.ExecutionTimeMs != nil {
		s.execution[row] = int32(min(*r.ExecutionTimeMs, 1<<31-1))
	}
	s.due[row], s.expires[row] = r.Meta.DueAt, r.ExpiresAt()
	s.status[row], s.priority[row] = statusNumber(r.Status), uint8(max(r.Priority.Rank(), 0))
	s.flags[row] = 0
	if overlay {
		s.flags[row] |= flagOverlay
	}
	if r.Meta.PayloadObject != "" {
		s.flags[row] |= flagObject
	}
	s.live.Add(row)
	s.byStatus[s.status[row]].Add(row)
	s.byPriority[s.priority[row]].Add(row)
	s.kind[row] = s.types.add(r.Type, row)
	s.queue[row] = s.queues.add(r.Queue, row)
	s.worker[row] = s.workers.add(r.Worker, row)
	s.tags[row] = s.tagSets.add(tagKey(r.Tags), row)
	if at := s.expires[row]; at > 0 {
		second := int64(at) / 1000
		if s.expiry[second] == nil {
			s.expiry[second] = roaring.New()
		}
		s.expiry[second].Add(row)
	}
}

func statusNumber(st wire.Status) uint8 {
	for i, one := range wire.Statuses {
		if one == st {
			return uint8(i)
		}
	}
	return 0
}

func (s *store) unindex(row uint32) {
	s.live.Remove(row)
	s.byStatus[s.status[row]].Remove(row)
	s.byPriority[s.priority[row]].Remove(row)
	s.types.remove(s.kind[row], row)
	s.queues.remove(s.queue[row], row)
	s.workers.remove(s.worker[row], row)
	s.tagSets.remove(s.tags[row], row)
	if at := s.expires[row]; at > 0 {
		second := int64(at) / 1000
		if b := s.expiry[second]; b != nil {
			if b.Remove(row); b.IsEmpty() {
				delete(s.expiry, second)
			}
		}
	}
}

// remove takes a task out; onlyOverlay leaves one alone whose record has been seen.
func (s *store) remove(id string, onlyOverlay bool) (was wire.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, known := s.rows[id]
	if !known || onlyOverlay && s.flags[row]&flagOverlay == 0 {
		return ""
	}
	was = wire.Statuses[s.status[row]]
	s.drop(row)
	return was
}

func (s *store) drop(row uint32) {
	s.unindex(row)
	delete(s.rows, s.ids[row])
	s.ids[row] = ""
	s.free = append(s.free, row)
}

// expire removes every task whose retention is over, and returns their ids.
func (s *store) expire(now wire.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	second := int64(now) / 1000
	if s.swept == 0 {
		s.swept = second - 1
		for at := range s.expiry {
			s.swept = min(s.swept, at-1)
		}
	}
	var gone []string
	for at := s.swept + 1; at <= second; at++ {
		b := s.expiry[at]
		if b == nil {
			continue
		}
		for _, row := range b.ToArray() {
			if s.expires[row] <= now {
				gone = append(gone, s.ids[row])
				s.drop(row)
			}
		}
	}
	s.swept = second - 1 // the present second is not over
	return gone
}

// known is what the columns say of a task: enough to decide on actions; nil where there is none.
func (s *store) known(id string) *wire.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	row, ok := s.rows[id]
	if !ok {
		return nil
	}
	return s.sketch(row)
}

func (s *store) sketch(row uint32) *wire.Record {
	r := &wire.Record{
		ID: s.ids[row], Status: wire.Statuses[s.status[row]], SubmittedAt: s.submitted[row],
		Definition: wire.Definition{Type: s.types.names[s.kind[row]], Queue: s.queues.names[s.queue[row]], Priority: wire.Priorities[s.priority[row]]},
		Worker:     s.workers.names[s.worker[row]],
	}
	r.Meta.SubmitSeq, r.Meta.Member = s.order[row]>>memberBits, int(s.order[row]&(1<<memberBits-1))
	if s.flags[row]&flagObject != 0 {
		r.Meta.PayloadObject = wire.PayloadObject(r.ID)
	}
	return r
}

// clear forgets everything.
func (s *store) clear() {
	fresh := newStore()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.free, s.live = fresh.rows, nil, fresh.live
	s.ids, s.submitted, s.order, s.execution, s.expires, s.due = nil, nil, nil, nil, nil, nil
	s.status, s.priority, s.kind, s.queue, s.worker, s.tags, s.flags = nil, nil, nil, nil, nil, nil, nil
	s.byStatus, s.byPriority = fresh.byStatus, fresh.byPriority
	s.types, s.queues, s.workers, s.tagSets = fresh.types, fresh.queues, fresh.workers, fresh.tagSets
	s.expiry, s.swept, s.blocks = fresh.expiry, 0, nil
}

// tagKey is a set of tags as one string: sorted, with separators that no tag holds.
func tagKey(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	pairs := make([]string, 0, len(tags))
	for k, v := range tags {
		pairs = append(pairs, k+"\x00"+v+"\x01")
	}
	sort.Strings(pairs)
	return "\x01" + strings.Join(pairs, "")
}
