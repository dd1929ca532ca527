package readmodel

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// matcher is a filter in terms of columns. It is made and used under the store's lock, but
// the lock may be given up in between: numbers that were not there when it was made match
// nothing.
type matcher struct {
	// state tells, by 1, which states match.
	state [256]uint8
	// kind, queue and worker tell which numbers match; nil is all.
	kind, queue, worker []uint8
	// tags holds the hashes of the tags of which a task must have one; nil is all.
	tags []uint64
	// prefix of the id; head and mask compare its first bytes.
	prefix     string
	head, mask uint64
	rows       [chunkRows]uint16
}

func (s *store) matcher(f *Filter) *matcher {
	m := &matcher{prefix: f.Prefix, head: headOf(f.Prefix)}
	if n := len(f.Prefix); n > 0 {
		m.mask = math.MaxUint64 << (64 - 8*min(n, 8))
	}
	for status, name := range wire.Statuses {
		for priority, p := range wire.Priorities {
			if (len(f.Status) == 0 || slices.Contains(f.Status, name)) && (len(f.Priority) == 0 || slices.Contains(f.Priority, p)) {
				m.state[stateOf(uint8(status), uint8(priority))] = 1
			}
		}
	}
	same := func(v, wanted string) bool { return v == wanted }
	m.kind, m.queue, m.worker = s.kinds.which(f.Type, matchesType), s.queues.which(f.Queue, same), s.workers.which(f.Worker, same)
	m.tags = hashesOf(f.Tag)
	return m
}

// hashesOf are the hashes of the tags wanted; nil is all tasks.
func hashesOf(tags []Tag) []uint64 {
	var hashes []uint64
	for _, t := range tags {
		hashes = append(hashes, maphash.String(tagSeed, t.Key+"\x00"+t.Value))
	}
	return hashes
}

// matchesType tells whether a type is the one wanted, or below it for one with ".*".
func matchesType(kind, wanted string) bool {
	if wanted == "*" {
		return true
	}
	if family, ok := strings.CutSuffix(wanted, "*"); ok && strings.HasSuffix(family, ".") {
		return strings.HasPrefix(kind, family)
	}
	return kind == wanted
}

// which tells the numbers whose value is wanted; nil where nothing is asked.
func (d *dict) which(wanted []string, matches func(value, wanted string) bool) []uint8 {
	if len(wanted) == 0 {
		return nil
	}
	out := make([]uint8, len(d.values))
	for n, v := range d.values {
		if v != "" && slices.ContainsFunc(wanted, func(w string) bool { return matches(v, w) }) {
			out[n] = 1
		}
	}
	return out
}

// take lists the rows of a chunk that the filter takes, column by column: each pass is a
// loop without branches over few bytes a row. The list is good until the next call.
func (m *matcher) take(c *chunk) []uint16 {
	n := 0
	for i, state := range c.state[:c.used] {
		m.rows[n] = uint16(i)
		n += int(m.state[state])
	}
	rows := m.rows[:n]
	rows = narrow(rows, m.kind, &c.kind)
	rows = narrow(rows, m.queue, &c.queue)
	rows = narrow(rows, m.worker, &c.worker)
	if m.mask != 0 {
		rows = m.takePrefix(c, rows)
	}
	if m.tags != nil {
		rows = takeTags(c, rows, m.tags)
	}
	return rows
}

// narrow keeps the rows whose number is allowed.
func narrow(rows []uint16, allowed []uint8, column *[chunkRows]uint32) []uint16 {
	if allowed == nil {
		return rows
	}
	n := 0
	for _, i := range rows {
		rows[n] = i
		if number := column[i]; int(number) < len(allowed) {
			n += int(allowed[number])
		}
	}
	return rows[:n]
}

func (m *matcher) takePrefix(c *chunk, rows []uint16) []uint16 {
	n := 0
	for _, i := range rows {
		if c.head[i]&m.mask == m.head && (len(m.prefix) <= 8 || strings.HasPrefix(c.id[i], m.prefix)) {
			rows[n] = i
			n++
		}
	}
	return rows[:n]
}

func takeTags(c *chunk, rows []uint16, wanted []uint64) []uint16 {
	n := 0
	for _, i := range rows {
		for _, word := range c.tagsOf(uint32(i)) {
			if word == wanted[0] || len(wanted) > 1 && slices.Contains(wanted, word) {
				rows[n] = i
				n++
				break
			}
		}
	}
	return rows[:n]
}

// scan visits every chunk, in the order of slots or against it, and gives up the lock after
// each. A row that changes meanwhile is seen once, before or after its change.
func (s *store) scan(backwards bool, prepare func(), visit func(c *chunk)) {
	s.mu.RLock()
	prepare()
	n := len(s.chunks)
	s.mu.RUnlock()
	for k := range n {
		if backwards {
			k = n - 1 - k
		}
		s.mu.RLock()
		visit(s.chunks[k])
		s.mu.RUnlock()
	}
}
