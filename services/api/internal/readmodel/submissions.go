package readmodel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// settleAfter is how long a submission is left alone: most have a record by then, and
	// need not be looked at.
	settleAfter = 150 * time.Millisecond
	settleEvery = 50 * time.Millisecond
	// unsettledMost bounds the messages that are left alone.
	unsettledMost = 1000
	// sweepEvery is how often rows are looked for whose submissions came to nothing.
	sweepEvery = 500 * time.Millisecond
	// recentMost bounds the tasks without a record that are kept whole.
	recentMost = 5000
)

// submission is a message of the stream of submissions.
type submission struct {
	seq     uint64
	at      time.Time
	arrived time.Time
	subject string
	body    []byte
	// object and hash of a payload in the object store.
	object, hash string
}

// pendingTasks is what is known of submissions that may not have a record yet.
type pendingTasks struct {
	mu sync.Mutex
	// unsettled messages, in order: they become rows when they have waited for long enough,
	// or when somebody asks.
	unsettled []submission
	// settling is held while messages become rows.
	settling sync.Mutex
	reader   rowReader
	// recent tasks without a record, whole: those that this API has accepted.
	recent map[string]*wire.Record
	queue  []string
}

func (p *pendingTasks) keep(rec *wire.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recent == nil {
		p.recent = map[string]*wire.Record{}
	}
	p.recent[rec.ID] = rec
	if p.queue = append(p.queue, rec.ID); len(p.queue) > recentMost {
		delete(p.recent, p.queue[0])
		p.queue = p.queue[1:]
	}
}

func (p *pendingTasks) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.recent, id)
}

// get is a whole task, if it is of this submission.
func (p *pendingTasks) get(id string, seq uint64, member int) *wire.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.recent[id]; r != nil && r.Meta.SubmitSeq == seq && r.Meta.Member == member {
		return r
	}
	return nil
}

// startOfSubmissions is what follows the scheduler's acknowledgements: what stands before
// them is in the stream of events already.
func (m *Model) startOfSubmissions(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	floor, err := m.floor(ctx)
	if err != nil {
		return 0, err
	}
	last, err := m.eventsIn.info(ctx)
	if err != nil {
		return 0, err
	}
	m.barrier.Store(last.State.LastSeq)
	return max(floor+1, info.State.FirstSeq), nil
}

// floor is the sequence up to which the scheduler has acknowledged all submissions.
func (m *Model) floor(ctx context.Context) (uint64, error) {
	one, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := natsx.ConsumerInfo(one, m.js, wire.StreamSubmit, wire.ConsumerSubmit)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read what the scheduler has acknowledged: %w", err)
	}
	return c.AckFloor.Stream, nil
}

// forgetSubmissions drops the rows of a stream that is read anew.
func (m *Model) forgetSubmissions() {
	m.pending.mu.Lock()
	m.pending.unsettled = nil
	m.pending.mu.Unlock()
	m.dropOverlays(func(uint64) bool { return true })
}

func (m *Model) takeSubmissions(batch []message) {
	now := time.Now()
	m.pending.mu.Lock()
	for _, msg := range batch {
		m.pending.unsettled = append(m.pending.unsettled, submission{
			seq: msg.seq, at: msg.at, arrived: now, subject: msg.Subject(), body: msg.Data(),
			object: msg.Headers().Get(wire.HeaderPayloadObject), hash: msg.Headers().Get(wire.HeaderPayloadHash),
		})
	}
	surplus := len(m.pending.unsettled) - unsettledMost
	m.pending.mu.Unlock()
	if surplus > 0 {
		m.settle(func(n int, _ *submission) bool { return n < surplus })
	}
}

func (m *Model) settleLoop(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, settleEvery)
		limit := time.Now().Add(-settleAfter)
		m.settle(func(_ int, s *submission) bool { return s.arrived.Before(limit) })
	}
}

// settle makes rows of the first messages that are due, where their tasks have none.
func (m *Model) settle(due func(n int, s *submission) bool) {
	m.pending.settling.Lock()
	defer m.pending.settling.Unlock()
	m.pending.mu.Lock()
	n := 0
	for n < len(m.pending.unsettled) && due(n, &m.pending.unsettled[n]) {
		n++
	}
	ready := m.pending.unsettled[:n:n]
	m.pending.mu.Unlock()
	for i := range ready {
		m.settleOne(&ready[i])
	}
	m.pending.mu.Lock()
	m.pending.unsettled = m.pending.unsettled[min(n, len(m.pending.unsettled)):]
	m.pending.mu.Unlock()
}

func (m *Model) settleOne(sub *submission) {
	s := scanner{b: sub.body}
	if s.next() != '[' {
		m.settleMember(sub, sub.body, 0)
		return
	}
	member := 0
	err := s.array(func(raw []byte) error {
		member++
		m.settleMember(sub, raw, member)
		return nil
	})
	if err != nil {
		m.log.Debug("a submission cannot be read", obs.KeySeq, sub.seq, obs.KeyErr, err)
	}
}

func (m *Model) settleMember(sub *submission, raw []byte, member int) {
	r, ok := m.pending.reader.submitted(sub, raw, member)
	if !ok {
		return
	}
	m.store.mu.RLock()
	_, known := m.store.ids[string(r.id)]
	m.store.mu.RUnlock()
	if known {
		return
	}
	m.store.mu.Lock()
	added := m.store.putOverlay(&r)
	m.store.mu.Unlock()
	if added && m.hub.Watched() {
		if rec := m.decodeMember(sub, raw, member); rec != nil {
			m.changes.upsert(changedTask{id: rec.ID, rec: rec})
		}
	}
}

// submitted takes the columns out of a submission. It does not validate: what is not valid is
// rejected soon, and nobody is shown more of it than a number.
func (r *rowReader) submitted(sub *submission, raw []byte, member int) (row, bool) {
	out := row{
		queue: []byte("default"), priority: priorityIndex[string(wire.PriorityMedium)], status: statusPending, exec: unknownExec,
		submitted: wire.At(sub.at), seq: sub.seq, member: uint32(member), object: sub.object != "", kind: []byte(wire.SubmitType(sub.subject)),
	}
	var def wire.Definition
	r.tags = r.tags[:0]
	s := scanner{b: raw}
	err := s.object(func(key []byte) (err error) {
		if len(key) > 0 && s.next() == 'n' {
			return s.skip()
		}
		known := 0
		switch string(key) {
		case "id":
			out.id, err = s.text()
		case "type":
			out.kind, err = s.text()
		case "queue":
			out.queue, err = s.text()
		case "priority":
			out.priority, err = enum(&s, priorityIndex, &known)
		case "delayMs":
			def.DelayMs, err = s.integer(0)
		case "runAt":
			def.RunAt, err = s.time()
		case "tags":
			err = r.readTags(&s)
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil || len(out.kind) == 0 {
		return row{}, false
	}
	id := string(out.id)
	if strings.HasPrefix(id, "task-") && wire.IsMadeID(id) {
		return row{}, false
	}
	if id == "" {
		out.id = []byte(wire.MakeID(sub.seq, member))
	}
	out.tags, out.due = r.tags, out.submitted
	if at := def.ScheduledFor(out.submitted); at > 0 {
		out.status, out.due = statusScheduled, at
	}
	return out, true
}

// decodeMember makes a task of a submission; nil where it is not valid.
func (m *Model) decodeMember(sub *submission, raw []byte, member int) *wire.Record {
	d := wire.Decoder{Defaults: m.defaults, Now: sub.at, SubjectType: wire.SubmitType(sub.subject), NoPayload: sub.object != ""}
	members, _, err := d.Decode(raw)
	if err != nil || len(members) != 1 || len(members[0].Faults) > 0 {
		return nil
	}
	s := &members[0].Submission
	s.PayloadObject, s.PayloadHash = sub.object, sub.hash
	return newPending(s, sub.seq, member, wire.At(sub.at))
}

// newPending is the record that a submission will have.
func newPending(s *wire.Submission, seq uint64, member int, at wire.Time) *wire.Record {
	r := &wire.Record{ID: s.ID, Definition: s.Definition, Status: wire.StatusPending, Attempt: 1, SubmittedAt: at}
	r.Meta = wire.Meta{SubmitSeq: seq, Member: member, PayloadObject: s.PayloadObject, DueAt: at}
	if s.ID == "" {
		r.ID = wire.MakeID(seq, member)
	} else {
		r.Meta.Hash = s.ContentHash()
	}
	if due := s.ScheduledFor(at); due > 0 {
		r.Status, r.ScheduledFor, r.Meta.DueAt = wire.StatusScheduled, due, due
	}
	return r
}

// Accepted makes a task that this API has stored visible at once: its submission, the
// sequence in the stream, the number in a group from 1 (0 alone), and when it was stored.
func (m *Model) Accepted(sub *wire.Submission, seq uint64, member int, at wire.Time) {
	rec := newPending(sub, seq, member, at)
	var reader rowReader
	r := reader.ofRecord(rec)
	m.store.mu.Lock()
	added := m.store.putOverlay(&r)
	m.store.mu.Unlock()
	if added {
		m.pending.keep(rec)
		m.changes.upsert(changedTask{id: rec.ID, rec: rec})
	}
}

// refused drops the row of a submission that makes no task.
func (m *Model) refused(e *wire.Event) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	for _, id := range []string{e.TaskID, wire.MakeID(e.Data.SubmitSeq, e.Data.Member)} {
		if m.store.dropOverlay(id, e.Data.SubmitSeq, uint32(e.Data.Member)) {
			m.pending.drop(id)
			m.changes.remove(id)
		}
	}
}

// sweepLoop drops rows whose submissions the scheduler has acknowledged and whose events the
// recorder has folded, and that have no record nevertheless.
func (m *Model) sweepLoop(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, sweepEvery)
		m.store.mu.RLock()
		overlay := m.store.overlay
		m.store.mu.RUnlock()
		if overlay == 0 {
			continue
		}
		floor, err := m.floor(ctx)
		if err != nil || floor == 0 {
			continue
		}
		info, err := m.eventsIn.info(ctx)
		if err != nil {
			continue
		}
		for ctx.Err() == nil && m.position.Load() < info.State.LastSeq {
			pause(ctx, settleEvery)
		}
		if ctx.Err() == nil {
			m.dropOverlays(func(seq uint64) bool { return seq <= floor })
		}
	}
}

func (m *Model) dropOverlays(which func(seq uint64) bool) {
	var gone []string
	m.store.mu.Lock()
	for n, c := range m.store.chunks {
		for i := range c.used {
			if c.state[i] != 0 && c.flags[i]&flagOverlay != 0 && which(c.seq[i]) {
				gone = append(gone, c.id[i])
				m.store.drop(uint32(n*chunkRows + i))
			}
		}
	}
	m.store.mu.Unlock()
	for _, id := range gone {
		m.pending.drop(id)
		m.changes.remove(id)
	}
}
