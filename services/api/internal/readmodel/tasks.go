package readmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	tasksPrefix = "$KV." + wire.BucketTasks + "."
	// markerHeader is on the marker of a key that expired.
	markerHeader = "Nats-Marker-Reason"
)

// removal tells whether a message of a bucket takes its key away.
func removal(m message) bool {
	return len(m.Data()) == 0 || m.Headers().Get(wire.HeaderKVOperation) != ""
}

// expired tells whether a key was taken away by its time to live.
func expired(m message) bool { return m.Headers().Get(markerHeader) == "MaxAge" }

// takeTasks follows the bucket of records.
func (m *Model) takeTasks(batch []message) {
	var position uint64
	m.store.mu.Lock()
	for _, msg := range batch {
		key := strings.TrimPrefix(msg.Subject(), tasksPrefix)
		switch {
		case key == wire.KeyPosition:
			if p, err := wire.ParsePosition(string(msg.Data())); err == nil {
				position = p.Seq
			}
		case key == wire.KeyTotals:
			m.takeTotals(msg.Data())
		case wire.IsOwnKey(key):
		case removal(msg):
			m.removeRecord(key)
		default:
			m.takeRecord(key, msg)
		}
	}
	m.store.mu.Unlock()
	if position > 0 {
		m.position.Store(position) // after the rows that it speaks of
	}
}

func (m *Model) takeRecord(key string, msg message) {
	r, err := m.reader.read(msg.Data(), msg.seq)
	if err != nil || string(r.id) != key {
		m.log.Warn("a record cannot be read", obs.KeyTaskID, key, obs.KeySeq, msg.seq, obs.KeyErr, err)
		return
	}
	m.pending.drop(key)
	if m.store.put(&r) {
		m.changes.upsert(changedTask{id: key, data: msg.Data()})
	} else {
		m.changes.remove(key)
	}
}

func (m *Model) removeRecord(id string) {
	seq, _, _ := wire.MadeFrom(id)
	if m.store.remove([]byte(id), seq) {
		m.pending.drop(id)
		m.changes.remove(id)
	}
}

func (m *Model) takeTotals(data []byte) {
	var t wire.Totals
	if len(data) > 0 {
		if err := json.Unmarshal(data, &t); err != nil {
			m.log.Warn("the totals cannot be read", obs.KeyErr, err)
			return
		}
	}
	m.mu.Lock()
	m.totals = &t
	m.mu.Unlock()
}

func (m *Model) tasksReplayed() {
	for _, id := range m.store.endReplay() {
		m.changes.remove(id)
	}
	m.mu.Lock()
	m.readySince = time.Now()
	m.mu.Unlock()
}

// Totals are the recorder's counts since the system began. They must not be changed.
func (m *Model) Totals() *wire.Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals
}

// Counts of the tasks kept now.
func (m *Model) Counts() wire.TaskCounts {
	m.expire()
	m.store.mu.RLock()
	n := m.store.counts
	m.store.mu.RUnlock()
	of := func(s wire.Status) int { return n[statusIndex[string(s)]] }
	c := wire.TaskCounts{
		Pending: of(wire.StatusPending), InProgress: of(wire.StatusInProgress), Completed: of(wire.StatusCompleted), Failed: of(wire.StatusFailed),
		Scheduled: of(wire.StatusScheduled), Retrying: of(wire.StatusRetrying), Cancelled: of(wire.StatusCancelled),
	}
	for _, k := range n {
		c.Total += k
	}
	return c
}

// Get is what the columns know of a task: its id, definition in part, status, and which
// submission it is; nil where there is none.
func (m *Model) Get(id string) *wire.Record {
	m.expire()
	m.store.mu.RLock()
	defer m.store.mu.RUnlock()
	slot, known := m.store.ids[id]
	if !known {
		return nil
	}
	c, i := m.store.at(slot)
	r := &wire.Record{}
	m.store.show(c, i, r)
	return r
}

// Status of a task, and whether there is one.
func (m *Model) Status(id string) (wire.Status, bool) {
	r := m.Get(id)
	if r == nil {
		return "", false
	}
	return r.Status, true
}

// Match lists what the columns know of every task that a filter takes, in no order.
func (m *Model) Match(f Filter) []*wire.Record {
	m.expire()
	return m.store.match(&f)
}

// pageTimeout is how long reading the records of a page may take.
const pageTimeout = 5 * time.Second

// Query answers a page of tasks. The error wraps ErrBadCursor for a cursor that is none.
func (m *Model) Query(q Query) (wire.TaskPage, error) {
	m.expire()
	if q.Limit <= 0 {
		q.Limit = LimitDefault
	}
	q.Limit = min(q.Limit, LimitMax)
	sel, err := m.store.query(&q)
	if err != nil {
		return wire.TaskPage{}, err
	}
	o, _ := orderOf(&q)
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	records, err := m.recordsOf(ctx, o, sel.page)
	if err != nil {
		return wire.TaskPage{}, err
	}
	page := wire.TaskPage{Tasks: make([]wire.TaskResource, 0, len(sel.page)), Total: sel.total, Facets: sel.facets}
	for _, f := range sel.page {
		if rec := records[f.id]; rec != nil && takes(&q.Filter, rec) {
			page.Tasks = append(page.Tasks, wire.NewTaskResource(rec))
		}
	}
	if sel.more {
		page.NextCursor = wire.Text(o.encode(&sel.page[len(sel.page)-1].place))
	}
	return page, nil
}

// recordsOf reads the tasks of a page: from the bucket, or from their submissions.
func (m *Model) recordsOf(ctx context.Context, o order, page []found) (map[string]*wire.Record, error) {
	var ids []string
	for i := range page {
		if !page[i].overlay {
			ids = append(ids, page[i].id)
		}
	}
	records, err := m.readRecords(ctx, ids)
	if err != nil || len(ids) == len(page) {
		return records, err
	}
	ids = ids[:0]
	for i := range page {
		if !page[i].overlay {
			continue
		}
		seq, member := page[i].seq, page[i].member
		if o.descending {
			seq, member = ^seq, ^member
		}
		rec, err := m.pendingRecord(ctx, page[i].id, seq, int(member))
		if err != nil {
			return nil, err
		}
		if records[page[i].id] = rec; rec == nil {
			ids = append(ids, page[i].id)
		}
	}
	late, err := m.readRecords(ctx, ids) // those that were recorded meanwhile
	maps.Copy(records, late)
	return records, err
}

// readMost leaves room below the server's bound on one read.
const readMost = 1000

// readRecords reads records from the bucket; what is not there, or hidden, is left out.
func (m *Model) readRecords(ctx context.Context, ids []string) (map[string]*wire.Record, error) {
	out := make(map[string]*wire.Record, len(ids))
	now := wire.Now()
	for part := range slices.Chunk(ids, readMost) {
		subjects := make([]string, len(part))
		for i, id := range part {
			subjects[i] = wire.KVSubject(wire.BucketTasks, id)
		}
		msgs, err := natsx.LastOf(ctx, m.js, wire.StreamTasks, subjects)
		if err != nil {
			return nil, fmt.Errorf("read %d records: %w", len(part), err)
		}
		for _, msg := range msgs {
			if len(msg.Data) == 0 {
				continue
			}
			rec, err := wire.DecodeRecord(msg.Data)
			if err != nil {
				return nil, fmt.Errorf("record at %s: %w", msg.Subject, err)
			}
			if at := rec.ExpiresAt(); at == 0 || at > now {
				out[rec.ID] = rec
			}
		}
	}
	return out, nil
}

// takes tells whether a filter takes a record.
func takes(f *Filter, r *wire.Record) bool {
	is := func(wanted []string, v string) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }
	return (len(f.Status) == 0 || slices.Contains(f.Status, r.Status)) &&
		(len(f.Priority) == 0 || slices.Contains(f.Priority, r.Priority)) &&
		(len(f.Type) == 0 || slices.ContainsFunc(f.Type, func(w string) bool { return matchesType(r.Type, w) })) &&
		is(f.Queue, r.Queue) && is(f.Worker, r.Worker) && strings.HasPrefix(r.ID, f.Prefix) && takesTags(f.Tag, r.Tags)
}

func takesTags(wanted []Tag, tags map[string]string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(t Tag) bool {
		value, has := tags[t.Key]
		return has && value == t.Value
	})
}
