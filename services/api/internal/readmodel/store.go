package readmodel

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// chunkRows is how many rows stand in one chunk: what a query looks at under one lock.
const chunkRows = 1 << 13

// chunk holds rows as columns.
type chunk struct {
	// state is 0 where there is no row, else made by stateOf.
	state     [chunkRows]uint8
	flags     [chunkRows]uint8
	tagCount  [chunkRows]uint8
	tagAt     [chunkRows]uint32
	kind      [chunkRows]uint32
	queue     [chunkRows]uint32
	worker    [chunkRows]uint32
	exec      [chunkRows]uint32
	member    [chunkRows]uint32
	seq       [chunkRows]uint64
	rev       [chunkRows]uint64
	submitted [chunkRows]wire.Time
	due       [chunkRows]wire.Time
	expires   [chunkRows]wire.Time
	// head is the beginning of the id, by which most ids are told apart.
	head [chunkRows]uint64
	id   [chunkRows]string
	used int
	// words holds the tags of all rows; wasted is how many no row uses any more.
	words  []uint64
	wasted int
}

// Flags of a row.
const (
	flagOverlay = 1 << iota
	flagObject
)

// stateOf puts status and priority into one byte.
func stateOf(status, priority uint8) uint8 { return 1 + status | priority<<4 }

func statusOf(state uint8) uint8 { return state&15 - 1 }

func priorityOf(state uint8) uint8 { return state >> 4 }

// store holds the columns of all tasks. Methods that begin with a lower-case verb and take
// no lock say so; all others may be called by anybody.
type store struct {
	mu     sync.RWMutex
	chunks []*chunk
	free   []uint32
	ids    map[string]uint32

	kinds, queues, workers *dict

	counts [7]int
	// overlay is the number of rows without a record.
	overlay int
	// depth is the number of pending tasks by queue and priority.
	depth [][4]int64
	// running holds the slots of the tasks in progress by worker.
	running map[uint32]map[uint32]struct{}
	rates   map[uint32]*rate
	expiry  expiryHeap
	// seen marks the slots met while the bucket is read anew; nil at other times.
	seen []bool
	// gone remembers ids whose records were removed lately, with the submission they were
	// of: what is known of a submission may arrive later than the end of its task.
	gone goneSet
	// counting is off while the bucket is replayed: nothing happens then.
	counting bool
	now      func() time.Time
}

func newStore() *store {
	return &store{
		ids: map[string]uint32{}, kinds: newDict(), queues: newDict(), workers: newDict(),
		running: map[uint32]map[uint32]struct{}{}, rates: map[uint32]*rate{}, gone: goneSet{ids: map[string]uint64{}}, now: time.Now,
	}
}

func (s *store) at(slot uint32) (*chunk, uint32) { return s.chunks[slot/chunkRows], slot % chunkRows }

// put makes or changes the row of a record, needs the lock, and tells whether it is visible:
// not where its retention is over.
func (s *store) put(r *row) bool {
	if r.expires > 0 && r.expires <= wire.At(s.now()) {
		s.remove(r.id, r.seq)
		return false
	}
	slot, known := s.ids[string(r.id)]
	if known {
		s.countChange(slot, r)
		s.clear(slot)
	} else {
		slot = s.take(string(r.id))
		s.countNew(r)
	}
	s.mark(slot)
	s.set(slot, r, 0)
	return true
}

// putOverlay makes the row of a task that has no record yet; it needs the lock. It is refused
// where the task has a row, or had a record that was removed.
func (s *store) putOverlay(r *row) bool {
	if _, known := s.ids[string(r.id)]; known || s.gone.has(r.id, r.seq) {
		return false
	}
	slot := s.take(string(r.id))
	s.overlay++
	s.countNew(r)
	s.set(slot, r, flagOverlay)
	return true
}

// dropOverlay removes the row of a submission that makes no task, and needs the lock.
func (s *store) dropOverlay(id string, seq uint64, member uint32) bool {
	slot, known := s.ids[id]
	if !known {
		return false
	}
	c, i := s.at(slot)
	if c.flags[i]&flagOverlay == 0 || c.seq[i] != seq || c.member[i] != member {
		return false
	}
	s.drop(slot)
	return true
}

// remove takes away the row of a record that is gone, and needs the lock. Seq is that of its
// submission, 0 where it is not known.
func (s *store) remove(id []byte, seq uint64) bool {
	slot, known := s.ids[string(id)]
	if !known {
		if seq > 0 {
			s.gone.add(string(id), seq, s.now())
		}
		return false
	}
	c, i := s.at(slot)
	if c.flags[i]&flagOverlay != 0 && seq == 0 {
		return false // the marker is of an earlier task of this id
	}
	s.gone.add(c.id[i], max(seq, c.seq[i]), s.now())
	s.drop(slot)
	return true
}

// take gives out a free slot.
func (s *store) take(id string) uint32 {
	var slot uint32
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		if len(s.chunks) == 0 || s.chunks[len(s.chunks)-1].used == chunkRows {
			s.chunks = append(s.chunks, &chunk{})
		}
		c := s.chunks[len(s.chunks)-1]
		slot = uint32((len(s.chunks)-1)*chunkRows + c.used)
		c.used++
	}
	c, i := s.at(slot)
	c.id[i], c.head[i] = id, headOf(id)
	s.ids[id] = slot
	return slot
}

// set fills a slot that is empty but for its id, and counts the row.
func (s *store) set(slot uint32, r *row, flags uint8) {
	c, i := s.at(slot)
	if r.object {
		flags |= flagObject
	}
	c.state[i], c.flags[i] = stateOf(r.status, r.priority), flags
	c.kind[i], c.queue[i], c.worker[i] = s.kinds.hold(r.kind), s.queues.hold(r.queue), s.workers.hold(r.worker)
	c.setTags(i, r.tags)
	c.exec[i], c.member[i], c.seq[i], c.rev[i] = r.exec, r.member, r.seq, r.rev
	if r.expires > 0 && r.expires != c.expires[i] {
		s.expiry.push(expiryEntry{r.expires, slot})
	}
	c.submitted[i], c.due[i], c.expires[i] = r.submitted, r.due, r.expires
	s.counts[r.status]++
	s.countIn(slot, r)
}

// countIn adds a row to what is kept of the tasks that wait or run.
func (s *store) countIn(slot uint32, r *row) {
	c, i := s.at(slot)
	switch r.status {
	case statusPending:
		for uint32(len(s.depth)) <= c.queue[i] {
			s.depth = append(s.depth, [4]int64{})
		}
		s.depth[c.queue[i]][r.priority]++
	case statusInProgress:
		on := s.running[c.worker[i]]
		if on == nil {
			on = map[uint32]struct{}{}
			s.running[c.worker[i]] = on
		}
		on[slot] = struct{}{}
	}
}

// clear takes a row's part out of all counts and leaves the slot with its id.
func (s *store) clear(slot uint32) {
	c, i := s.at(slot)
	status := statusOf(c.state[i])
	s.counts[status]--
	if c.flags[i]&flagOverlay != 0 {
		s.overlay--
	}
	switch status {
	case statusPending:
		s.depth[c.queue[i]][priorityOf(c.state[i])]--
	case statusInProgress:
		on := s.running[c.worker[i]]
		if delete(on, slot); len(on) == 0 {
			delete(s.running, c.worker[i])
		}
	}
	s.kinds.drop(c.kind[i])
	s.queues.drop(c.queue[i])
	s.workers.drop(c.worker[i])
	c.state[i] = 0
}

// drop removes a row and gives its slot back.
func (s *store) drop(slot uint32) {
	s.clear(slot)
	c, i := s.at(slot)
	delete(s.ids, c.id[i])
	c.setTags(i, nil)
	c.id[i], c.expires[i] = "", 0
	s.free = append(s.free, slot)
	s.tidyExpiry()
}

// headOf is the first eight bytes of an id.
func headOf(id string) uint64 {
	var b [8]byte
	copy(b[:], id)
	return binary.BigEndian.Uint64(b[:])
}

func (c *chunk) tagsOf(i uint32) []uint64 {
	return c.words[c.tagAt[i] : c.tagAt[i]+uint32(c.tagCount[i])]
}

// setTags changes the tags of a row; most changes of a task leave them as they are.
func (c *chunk) setTags(i uint32, tags []uint64) {
	tags = tags[:min(len(tags), math.MaxUint8)]
	if slices.Equal(c.tagsOf(i), tags) {
		return
	}
	c.wasted += int(c.tagCount[i])
	if c.tagCount[i] = 0; c.wasted > len(c.words)/2+1024 {
		c.tidyTags()
	}
	c.tagAt[i], c.tagCount[i] = uint32(len(c.words)), uint8(len(tags))
	c.words = append(c.words, tags...)
}

func (c *chunk) tidyTags() {
	words := make([]uint64, 0, len(c.words)-c.wasted+1024)
	for i := range uint32(c.used) {
		tags := c.tagsOf(i)
		c.tagAt[i] = uint32(len(words))
		words = append(words, tags...)
	}
	c.words, c.wasted = words, 0
}

// tidyExpiry throws out what will never expire, once it is more than half.
func (s *store) tidyExpiry() {
	ends := 0
	for status := statusCompleted; int(status) < len(s.counts); status++ {
		ends += s.counts[status]
	}
	if len(s.expiry) > 2*ends+4*chunkRows {
		s.expiry.keep(func(e expiryEntry) bool {
			c, i := s.at(e.slot)
			return c.state[i] != 0 && c.expires[i] == e.at
		})
	}
}

// beginReplay starts to read the bucket anew: what is not met until endReplay is gone.
func (s *store) beginReplay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = make([]bool, len(s.chunks)*chunkRows)
	s.counting = false
}

func (s *store) mark(slot uint32) {
	if s.seen == nil {
		return
	}
	for uint32(len(s.seen)) <= slot {
		s.seen = append(s.seen, make([]bool, chunkRows)...)
	}
	s.seen[slot] = true
}

// endReplay removes the rows of records that were not met, and lists their ids.
func (s *store) endReplay() (removed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		return nil
	}
	for n, c := range s.chunks {
		for i := range c.used {
			slot := uint32(n*chunkRows + i)
			if c.state[i] == 0 || c.flags[i]&flagOverlay != 0 || int(slot) < len(s.seen) && s.seen[slot] {
				continue
			}
			removed = append(removed, c.id[i])
			s.drop(slot)
		}
	}
	s.seen, s.counting = nil, true
	return removed
}

// expire removes the rows whose retention is over. Every reading method calls it first, so
// that no two of them differ in what they count.
func (s *store) expire() (removed []string) {
	now := wire.At(s.now())
	s.mu.RLock()
	due := s.expiry.due(now)
	s.mu.RUnlock()
	if !due {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.expiry.due(now) {
		e := s.expiry.pop()
		c, i := s.at(e.slot)
		if c.state[i] == 0 || c.expires[i] != e.at {
			continue // it was retried or removed since
		}
		removed = append(removed, c.id[i])
		s.remove([]byte(c.id[i]), c.seq[i])
	}
	return removed
}
