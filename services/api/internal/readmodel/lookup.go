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
	for m.position.Load() < m.barrier.Load() {
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the recorder (at %d, events up to %d): %w", m.position.Load(), m.barrier.Load(), context.Cause(ctx))
		}
		pause(ctx, 2*time.Millisecond)
	}
	return nil
}

// find looks where a task may be: its record, else its submission.
func (m *Model) find(ctx context.Context, id string) (*wire.Record, error) {
	m.expire()
	row, known := m.known(id)
	if known && row.overlay {
		rec, err := m.pendingRecord(ctx, id, row.seq, row.member)
		if rec != nil || err != nil {
			return rec, err
		}
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

// readTries bounds how often a replica is asked that lags behind what was seen already.
const readTries = 20

// readRecord reads one record that is at least of a revision.
func (m *Model) readRecord(ctx context.Context, id string, rev uint64) (*wire.Record, error) {
	for try := 0; ; try++ {
		msgs, err := natsx.LastOf(ctx, m.js, wire.StreamTasks, []string{wire.KVSubject(wire.BucketTasks, id)})
		if err != nil {
			return nil, fmt.Errorf("read the record of %s: %w", id, err)
		}
		if len(msgs) > 0 && msgs[0].Seq < rev && try < readTries {
			pause(ctx, 5*time.Millisecond)
			continue
		}
		if len(msgs) == 0 || len(msgs[0].Data) == 0 {
			return nil, nil //nolint:nilnil // no record is an answer
		}
		rec, err := wire.DecodeRecord(msgs[0].Data)
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
	s, err := m.js.Stream(ctx, wire.StreamSubmit)
	if err != nil {
		return nil, fmt.Errorf("read submission %d: %w", seq, err)
	}
	msg, err := s.GetMsg(ctx, seq)
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
