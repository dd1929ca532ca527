package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// tellAgain is how often events are tried again that the stream had no room for.
const tellAgain = time.Second

// publishTold stores the recorder's own events before the commit, with the place of their
// cause as message id, so that a second try adds nothing. What a full stream refuses stays
// in told and is committed with the records instead: only folding makes room, so folding
// must not wait for it.
func (f *folder) publishTold(ctx context.Context) error {
	for len(f.told) > 0 {
		e := f.told[0]
		m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
		m.Header.Set(wire.HeaderMsgID, string(e.Event)+"."+e.Seq)
		e.Seq = ""
		body, err := wire.EncodeEvents([]wire.Event{e})
		if err != nil {
			return err
		}
		m.Data = body
		_, err = f.r.pub.Commit(ctx, []*nats.Msg{m})
		if natsx.IsFull(err) {
			return nil
		}
		if err != nil && !natsx.Final(err) {
			return fmt.Errorf("tell of %s: %w", e.TaskID, err)
		}
		if err != nil {
			f.r.cfg.Log.Error("an event cannot be stored", "event", e.Event, "task_id", e.TaskID, "err", err)
		}
		f.told = f.told[1:]
	}
	f.told = nil
	return nil
}

// commit writes what has changed, and the position last, as one atomic batch.
func (f *folder) commit(ctx context.Context) error {
	if err := f.publishTold(ctx); err != nil {
		return err
	}
	f.totals.At = wire.Now()
	msgs := make([]*nats.Msg, 0, len(f.dirty)+3)
	for _, id := range f.dirty {
		msgs = append(msgs, f.r.recordMessage(id, f.cache[id]))
	}
	totals, err := json.Marshal(f.totals)
	if err != nil {
		return fmt.Errorf("encode totals: %w", err)
	}
	if len(f.told) > 0 || f.kept {
		told, err := json.Marshal(f.told)
		if err != nil {
			return fmt.Errorf("encode events: %w", err)
		}
		msgs = append(msgs, keyMessage(wire.KeyTold, told))
	}
	msgs = append(msgs, keyMessage(wire.KeyTotals, totals), keyMessage(wire.KeyPosition, []byte(f.at.position.String())))
	msgs[len(msgs)-1].Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(f.at.positionRev, 10))
	f.last, f.lastKeys = time.Now(), len(f.dirty)
	last, err := f.r.pub.Commit(ctx, msgs)
	if err != nil {
		return fmt.Errorf("commit %d records: %w", len(f.dirty), err)
	}
	if f.kept = len(f.told) > 0; f.kept {
		if err := f.r.trimEvents(ctx); err != nil { // what was folded just now need not be kept
			return err
		}
	}
	f.committed(last, len(msgs))
	return nil
}

func (f *folder) committed(last uint64, n int) {
	first, deleted := last-uint64(n)+1, 0
	for i, id := range f.dirty {
		c := f.cache[id]
		c.rev, c.dirty = first+uint64(i), false
		if c.rec == nil {
			deleted++
		}
	}
	f.r.removals.add(deleted)
	f.at.positionRev, f.r.positionRev = last, last
	f.dirty, f.bytes = f.dirty[:0], 0
	f.r.position.Store(f.at.position.Seq)
	f.r.committed.Add(1)
	if len(f.gone) > 0 {
		gone := f.gone
		f.gone = nil
		f.r.group.Go("remove", func(ctx context.Context) { f.r.removeAll(ctx, gone) })
	}
	if len(f.cache) > maxCached {
		f.cache = map[string]*entry{} // reading a thousand anew costs a few milliseconds
	}
}

func (r *Recorder) recordMessage(id string, e *entry) *nats.Msg {
	m := keyMessage(id, nil)
	m.Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(e.rev, 10))
	if e.rec == nil {
		m.Header.Set(wire.HeaderKVOperation, "PURGE") // the marker of a DEL would leave another when it expires
		m.Header.Set(wire.HeaderTTL, strconv.Itoa(int(r.cfg.MarkerTTL/time.Second)))
		return m
	}
	if e.rec.Status.Ended() {
		m.Header.Set(wire.HeaderTTL, keepFor(e.rec))
	}
	body, err := e.rec.Encode()
	if err != nil {
		panic("recorder: a record does not encode: " + err.Error()) // its parts were decoded from JSON
	}
	m.Data = body
	return m
}

// keepFor is the TTL of an ended record, in whole seconds: its retention, but long enough
// for late messages to find it.
func keepFor(rec *wire.Record) string {
	keep := max(time.Duration(rec.RetentionMs)*time.Millisecond, wire.MinKeep)
	left := keep - time.Since(rec.FinishedAt.Time())
	return strconv.FormatInt(max(int64(left/time.Second), 1), 10)
}

func keyMessage(key string, body []byte) *nats.Msg {
	m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, key))
	m.Data = body
	return m
}
