package tick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// auditMost bounds the records that one tick walks, auditSuspects those it looks into.
	auditMost     = 2000
	auditBatch    = 500
	auditSuspects = 400
	auditAtOnce   = 8
	// auditIdle is the time between two walks over the records while the recorder counts no
	// open task: then there is nothing to find, unless the count is wrong.
	auditIdle = 10 * time.Minute
)

// cursor is where the audit goes on: the value of wire.KeyAudit.
type cursor struct {
	Seq uint64 `json:"seq"`
	// Begun is when the present walk over all records began, or the last one.
	Begun wire.Time `json:"begun"`
}

// rests tells whether it is too early for another walk: a record is looked into once it is
// untouched for AuditAfter, so walking more often than that finds nothing sooner.
func (t *Tick) rests(ctx context.Context, at cursor) (bool, error) {
	since := wire.Now().Sub(at.Begun)
	if at.Seq != 0 || since >= max(auditIdle, t.cfg.AuditAfter) {
		return false, nil
	}
	if since < t.cfg.AuditAfter {
		return true, nil
	}
	totals := wire.Totals{Open: 1} // without a count there may be some
	_, err := t.value(ctx, wire.BucketTasks, wire.KeyTotals, &totals)
	return totals.Open == 0, err
}

// audit walks a stretch of the records and repairs open tasks that no message would run.
func (t *Tick) audit(ctx context.Context) error {
	at := cursor{}
	revision, err := t.value(ctx, wire.BucketSettings, wire.KeyAudit, &at)
	if err != nil {
		return err
	}
	rests, err := t.rests(ctx, at)
	if err != nil || rests {
		return err
	}
	if at.Seq == 0 {
		at.Begun = wire.Now()
	}
	suspects, next, err := t.walk(ctx, at.Seq)
	if err != nil {
		return err
	}
	// First, so that of two replicas with a tick each one audits this stretch.
	if err := t.put(ctx, wire.BucketSettings, wire.KeyAudit, cursor{next, at.Begun}, int64(revision), 0); err != nil {
		if natsx.IsConflict(err) {
			return nil
		}
		return err
	}
	lost, err := t.lost(ctx, suspects)
	if err != nil || len(lost) == 0 {
		return err
	}
	return t.repair(ctx, lost)
}

// walk reads records from a sequence on, and returns the open ones that nothing has touched
// for long, and where to go on: 0 is the beginning.
func (t *Tick) walk(ctx context.Context, from uint64) (suspects []*wire.Record, next uint64, err error) {
	untouched := wire.Now().Add(-t.cfg.AuditAfter)
	next = from
	for walked := 0; walked < auditMost && len(suspects) < auditSuspects; {
		n, err := t.batch(ctx, wire.StreamTasks, wire.KVSubject(wire.BucketTasks, "*"), next+1, func(m *jetstream.RawStreamMsg) {
			next = m.Sequence
			rec, err := wire.DecodeRecord(m.Data)
			if err == nil && !rec.Status.Ended() && rec.Meta.UpdatedAt < untouched {
				suspects = append(suspects, rec)
			}
		})
		if err != nil {
			return nil, 0, err
		}
		if walked += n; n < auditBatch {
			return suspects, 0, nil
		}
	}
	return suspects, next, nil
}

// batch reads up to auditBatch messages of a stream from a sequence on.
func (t *Tick) batch(ctx context.Context, stream, subject string, from uint64, each func(*jetstream.RawStreamMsg)) (int, error) {
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msgs, err := jetstreamext.GetBatch(one, t.core.JS, stream, auditBatch, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return 0, fmt.Errorf("read %s from %d: %w", stream, from, err)
	}
	n := 0
	for m, err := range msgs {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("read %s from %d: %w", stream, from, err)
		}
		n++
		each(m)
	}
	return n, nil
}

// lost are those of the suspects that no message would run, their records read again
// behind the barrier and unchanged.
func (t *Tick) lost(ctx context.Context, suspects []*wire.Record) ([]*wire.Record, error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	submitted, err := t.core.Submitted(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var missing []*wire.Record
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(auditAtOnce)
	for _, rec := range suspects {
		if rec.Meta.Round == 0 && rec.Meta.LaneSeq == 0 && rec.Meta.SubmitSeq > submitted.Floor {
			continue // its submission is in a scheduler's hand
		}
		g.Go(func() error {
			there, err := t.isThere(gctx, rec)
			if err == nil && !there {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, rec)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil || len(missing) == 0 {
		return nil, err
	}
	if handled, err := t.commandsHandled(ctx); err != nil || !handled {
		return nil, err
	}
	ids := make([]string, len(missing))
	for i, rec := range missing {
		ids[i] = rec.ID
	}
	again, err := t.core.Records.Behind(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var lost []*wire.Record
	for _, rec := range missing {
		if now := again[rec.ID]; now != nil && unchanged(rec, now) {
			lost = append(lost, now)
		}
	}
	return lost, nil
}

const (
	// commandsWait is how long the audit waits for commands to be handled.
	commandsWait = 2 * time.Second
	commandsPoll = 50 * time.Millisecond
)

// commandsHandled tells whether every command stored up to now has been handled. A pool gives
// up the message of a task that was cancelled before the cancel stands in the books: what has
// no message may be about to end.
func (t *Tick) commandsHandled(ctx context.Context) (bool, error) {
	s, err := t.core.JS.Stream(ctx, wire.StreamControl)
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", wire.StreamControl, err)
	}
	last := s.CachedInfo().State.LastSeq
	for end := time.Now().Add(commandsWait); ; {
		c, err := s.Consumer(ctx, wire.ConsumerControl)
		if err != nil {
			return false, fmt.Errorf("read consumer %s of %s: %w", wire.ConsumerControl, wire.StreamControl, err)
		}
		i := c.CachedInfo()
		if i.AckFloor.Stream >= last || i.NumPending == 0 && i.NumAckPending == 0 {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(commandsPoll):
		}
	}
}

func unchanged(a, b *wire.Record) bool {
	return a.Status == b.Status && a.Attempt == b.Attempt && a.Fence == b.Fence && a.Meta.Round == b.Meta.Round &&
		a.Meta.LaneSeq == b.Meta.LaneSeq && a.Meta.SubmitSeq == b.Meta.SubmitSeq && a.Meta.UpdatedAt == b.Meta.UpdatedAt
}

// isThere tells whether a message is stored that runs the task, or will.
func (t *Tick) isThere(ctx context.Context, rec *wire.Record) (bool, error) {
	env, _, err := t.core.LaneMessage(ctx, rec.ID, rec.Meta.LaneSeq)
	if err != nil || env != nil && env.Round == rec.Meta.Round {
		return err == nil, err
	}
	return t.core.WaitsLater(ctx, rec.ID)
}

// repair makes lost tasks run: at their time where that is still to come, else in a new round.
func (t *Tick) repair(ctx context.Context, lost []*wire.Record) error {
	var errs []error
	for _, rec := range lost {
		t.core.Log.Warn("repairing a task that no message would run", "task_id", rec.ID, "status", rec.Status, "lane_seq", rec.Meta.LaneSeq)
		var err error
		if waits(rec) && rec.ScheduledFor > wire.Now() {
			err = t.scheduleAgain(ctx, rec)
		} else {
			err = t.newRound(ctx, rec)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("repair %s: %w", rec.ID, err))
		}
	}
	return errors.Join(errs...)
}

func waits(rec *wire.Record) bool {
	return rec.Status == wire.StatusScheduled || rec.Status == wire.StatusRetrying
}

func (t *Tick) scheduleAgain(ctx context.Context, rec *wire.Record) error {
	env := core.EnvelopeOf(rec)
	if rec.Status == wire.StatusRetrying {
		env.Attempt++
	}
	if err := t.core.Payload(ctx, rec, env); err != nil {
		if errors.Is(err, core.ErrPayloadGone) {
			return t.newRound(ctx, rec)
		}
		return err
	}
	if err := t.core.Spill(ctx, env); err != nil {
		return err
	}
	m := core.RunSchedule(env, rec.ScheduledFor)
	m.Header.Del(wire.HeaderMsgID) // that of the one which is gone would be taken for a repetition
	return t.core.Later.Do(ctx, m)
}

func (t *Tick) newRound(ctx context.Context, rec *wire.Record) error {
	env := core.EnvelopeOf(rec)
	env.Round++
	env.DueAt = wire.Now()
	if rec.Status == wire.StatusRetrying {
		env.Attempt++
	}
	gone := t.core.Payload(ctx, rec, env)
	if gone != nil && !errors.Is(gone, core.ErrPayloadGone) {
		return gone
	}
	if err := t.core.Lanes.Ensure(ctx, env.Task.Queue); err != nil {
		return err
	}
	events := []wire.Event{wire.NewEvent(wire.Event{Event: wire.EventScheduled, Timestamp: env.DueAt, TaskID: rec.ID, Data: wire.EventData{
		Reason: wire.ReasonRepair, Round: env.Round, ScheduledFor: env.DueAt,
	}})}
	if gone != nil {
		events = append(events, core.FailedEvent(env, wire.CodeHandler, gone.Error(), wire.Now()))
	}
	if _, err := t.core.Events.Publish(ctx, events...); err != nil || gone != nil {
		return err
	}
	return t.core.Lanes.Do(ctx, core.Run{Env: env, Check: true})
}

// objectMeta is what the audit of objects needs of an object's description.
type objectMeta struct {
	Name    string `json:"name"`
	NUID    string `json:"nuid"`
	Deleted bool   `json:"deleted"`
}

func decodeMeta(m *jetstream.RawStreamMsg) (objectMeta, bool) {
	var o objectMeta
	err := json.Unmarshal(m.Data, &o)
	return o, err == nil && strings.Contains(m.Subject, ".M.")
}
