package readmodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Lookup finds a task, whichever API accepted it, as soon as its submission was acknowledged;
// nil where there is none. It fails only where that cannot be found out before ctx ends.
func (m *Model) Lookup(ctx context.Context, id string) (*wire.Record, error) {
	rec, err := m.find(ctx, id)
	if rec != nil || err != nil {
		return rec, err
	}
	if err := m.catchUp(ctx); err != nil {
		return nil, err
	}
	return m.find(ctx, id)
}

// Earlier finds the task that had an id when a submission under it was stored, given by its
// sequence and its number in a group from 1 (0 alone); nil where the id was free. Lookup asks
// a leader for the end of the stream, and one that was deposed a moment ago answers with
// the past; what stands before an acknowledged message is certain.
func (m *Model) Earlier(ctx context.Context, id string, seq uint64, member int) (*wire.Record, error) {
	if err := m.submitsIn.wait(ctx, seq); err != nil {
		return nil, err
	}
	m.settle(func(_ int, s *submission) bool { return s.seq <= seq })
	if err := m.recorded(ctx, m.barrier.Load); err != nil { // the submissions may have been read anew since the lookup
		return nil, err
	}
	rec, err := m.find(ctx, id)
	if err != nil || rec == nil || rec.Meta.SubmitSeq == seq && rec.Meta.Member == member {
		return nil, err
	}
	return rec, nil
}

// catchUp returns when all that was acknowledged before is known.
func (m *Model) catchUp(ctx context.Context) error {
	info, err := m.submitsIn.info(ctx)
	if err != nil {
		return err
	}
	last := info.State.LastSeq
	if err := m.submitsIn.wait(ctx, last); err != nil {
		return err
	}
	m.settle(func(_ int, s *submission) bool { return s.seq <= last })
	// Submissions that the scheduler had acknowledged before this model began are not
	// followed: their records come by the recorder.
	return m.recorded(ctx, m.barrier.Load)
}

// recorded returns when the rows contain the events up to a sequence.
func (m *Model) recorded(ctx context.Context, last func() uint64) error {
	for m.position.Load() < last() {
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the recorder (at %d, events up to %d): %w", m.position.Load(), last(), context.Cause(ctx))
		}
		pause(ctx, 2*time.Millisecond)
	}
	return nil
}

// find looks where a task may be: its record, else its submission. What it does not find
// is not there, whichever replicas answer.
func (m *Model) find(ctx context.Context, id string) (*wire.Record, error) {
	m.expire()
	row, known := m.known(id)
	if known && row.overlay {
		rec, err := m.pendingRecord(ctx, id, row.seq, row.member)
		if rec != nil || err != nil {
			return rec, err
		}
		// The scheduler is past the submission: what it made of it stands in the events.
		info, err := m.eventsIn.info(ctx)
		if err != nil {
			return nil, err
		}
		if err := m.recorded(ctx, func() uint64 { return info.State.LastSeq }); err != nil {
			return nil, err
		}
		row, _ = m.known(id)
	}
	return m.readRecord(ctx, id, row.rev)
}

type knownRow struct {
	seq     uint64
	member  int
	rev     uint64
	overlay bool
}

func (m *Model) known(id string) (knownRow, bool) {
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	slot, known := s.ids[id]
	if !known {
		return knownRow{}, false
	}
	c, i := s.at(slot)
	return knownRow{c.seq[i], int(c.member[i]), c.rev[i], c.flags[i]&flagOverlay != 0}, true
}

// readRecord reads one record that is at least of a revision. The recorder's position, with
// which each of its commits ends, shows how far a replica is that does not have it.
func (m *Model) readRecord(ctx context.Context, id string, rev uint64) (*wire.Record, error) {
	position, key := wire.KVSubject(wire.BucketTasks, wire.KeyPosition), wire.KVSubject(wire.BucketTasks, id)
	for {
		msgs, err := natsx.LastOf(ctx, m.js, wire.StreamTasks, []string{position, key})
		if err != nil {
			return nil, fmt.Errorf("read the record of %s: %w", id, err)
		}
		var newest uint64
		var body []byte
		for _, msg := range msgs {
			if newest = max(newest, msg.Seq); msg.Subject == key {
				body = msg.Data
			}
		}
		if newest < rev {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("read the record of %s: every answer was of a replica that lags: %w", id, context.Cause(ctx))
			}
			pause(ctx, 5*time.Millisecond)
			continue
		}
		if len(body) == 0 {
			return nil, nil //nolint:nilnil // no record is an answer
		}
		rec, err := wire.DecodeRecord(body)
		if err != nil {
			return nil, fmt.Errorf("record of %s: %w", id, err)
		}
		if at := rec.ExpiresAt(); at > 0 && at <= wire.Now() {
			return nil, nil //nolint:nilnil // hidden
		}
		return rec, nil
	}
}

// pendingRecord is a task without a record, as it was submitted; nil where the submission is
// gone, is not valid, or is not this task's.
func (m *Model) pendingRecord(ctx context.Context, id string, seq uint64, member int) (*wire.Record, error) {
	if rec := m.pending.get(id, seq, member); rec != nil {
		return rec, nil
	}
	msg, err := natsx.Message(ctx, m.js, wire.StreamSubmit, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // purged: the scheduler is past it
	}
	if err != nil {
		return nil, fmt.Errorf("read submission %d: %w", seq, err)
	}
	raw := memberOf(msg.Data, member)
	if raw == nil {
		return nil, nil //nolint:nilnil // no such member
	}
	sub := &submission{seq: seq, at: msg.Time, subject: msg.Subject, object: msg.Header.Get(wire.HeaderPayloadObject), hash: msg.Header.Get(wire.HeaderPayloadHash)}
	rec := m.decodeMember(sub, raw, member)
	if rec == nil || rec.ID != id {
		return nil, nil //nolint:nilnil // not valid
	}
	m.pending.keep(rec)
	return rec, nil
}

func memberOf(body []byte, member int) []byte {
	if member == 0 {
		return body
	}
	var members []json.RawMessage
	if json.Unmarshal(body, &members) != nil || len(members) < member {
		return nil
	}
	return members[member-1]
}
