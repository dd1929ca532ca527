package recorder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func (r *Recorder) keep(ctx context.Context) {
	for {
		sleep(ctx, r.cfg.Keep)
		if ctx.Err() != nil {
			return
		}
		for what, step := range map[string]func(context.Context) error{"trim events": r.trimEvents, "limit ended records": r.limitFinished} {
			one, cancel := context.WithTimeout(ctx, 10*time.Second)
			if err := step(one); err != nil && ctx.Err() == nil {
				r.cfg.Log.Warn("housekeeping failed; it is tried again", "what", what, "err", err)
			}
			cancel()
		}
	}
}

// trimEvents removes events beyond topology.EventsAge and topology.EventsKept, never above
// the stored position.
func (r *Recorder) trimEvents(ctx context.Context) error {
	at, _, err := r.load(ctx)
	if err != nil {
		return err
	}
	info, err := natsx.StreamInfo(ctx, r.cfg.JS, wire.StreamEvents)
	if err != nil {
		return err
	}
	keep := max(bytesBound(info), info.State.FirstSeq)
	aged, err := r.firstSince(ctx, info.State, time.Now().Add(-topology.EventsAge))
	if err != nil {
		return err
	}
	keep = min(max(keep, aged), at.position.Seq+1)
	if keep <= info.State.FirstSeq {
		return nil
	}
	s, err := r.cfg.JS.Stream(ctx, wire.StreamEvents)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", wire.StreamEvents, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return fmt.Errorf("trim %s to %d: %w", wire.StreamEvents, keep, err)
	}
	return nil
}

// bytesBound is the first sequence to keep so that the stream holds about what it may.
func bytesBound(info *jetstream.StreamInfo) uint64 {
	limit := uint64(topology.EventsKept)
	if m := info.Config.MaxBytes; m > 0 {
		limit = min(limit, uint64(m)/2)
	}
	st := info.State
	if st.Bytes <= limit || st.Msgs == 0 {
		return 0
	}
	surplus := (st.Bytes - limit) / (st.Bytes / st.Msgs)
	return st.FirstSeq + surplus
}

// firstSince is the sequence of the first event message not older than t; 0 where none is
// older, or that is not certain: any replica may answer, also one that has not got the first
// of them again after its stream was reset.
func (r *Recorder) firstSince(ctx context.Context, st jetstream.StreamState, t time.Time) (uint64, error) {
	if st.Msgs == 0 || !st.FirstTime.Before(t) {
		return 0, nil
	}
	seq, err := r.firstOf(ctx, t)
	if err != nil || seq <= st.FirstSeq {
		return 0, err
	}
	before, err := natsx.MessageOfLeader(ctx, r.cfg.JS, wire.StreamEvents, seq-1)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return seq, nil // a gap that an operator made
	}
	if err != nil || !before.Time.Before(t) {
		return 0, err
	}
	return seq, nil
}

// firstOf is what the replica that answers has; 0 is: nothing so young.
func (r *Recorder) firstOf(ctx context.Context, t time.Time) (uint64, error) {
	msgs, err := jetstreamext.GetBatch(ctx, r.cfg.JS, wire.StreamEvents, 1, jetstreamext.GetBatchStartTime(t))
	if err != nil {
		return 0, fmt.Errorf("find the first event since %s: %w", t, err)
	}
	for m, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("find the first event since %s: %w", t, err)
		}
		return m.Sequence, nil
	}
	return 0, nil
}

// limitStep bounds how many records one step removes.
const limitStep = 500

// removals are the records that this process has deleted lately. Each left a marker, which
// the bucket counts as a message until it expires.
type removals struct {
	mu   sync.Mutex
	last []removal
}

type removal struct {
	at time.Time
	n  int64
}

func (r *removals) add(n int) {
	if n > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last = append(r.last, removal{time.Now(), int64(n)})
	}
}

// since is how many were deleted after t; what came before is forgotten.
func (r *removals) since(t time.Time) (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = slices.DeleteFunc(r.last, func(one removal) bool { return one.at.Before(t) })
	for _, one := range r.last {
		n += one.n
	}
	return n
}

// markerSlack is by how much a marker may outlive its TTL.
const markerSlack = 3 * time.Second

// limitFinished deletes the oldest ended records beyond MaxFinished. The bucket's stream is
// in the order of the last writes, and that of an ended record is its end. Only the replica
// that folds does it, and only when it knows of every marker: what it took for a record
// would make it delete another one, which leaves a marker again.
func (r *Recorder) limitFinished(ctx context.Context) error {
	markers := r.cfg.MarkerTTL + markerSlack
	for ctx.Err() == nil {
		if since := r.foldingSince.Load(); since == nil || time.Since(*since) < markers {
			return nil
		}
		at, totals, err := r.load(ctx)
		if err != nil {
			return err
		}
		s, err := r.cfg.JS.Stream(ctx, wire.StreamTasks)
		if err != nil {
			return fmt.Errorf("read the state of %s: %w", wire.StreamTasks, err)
		}
		st := s.CachedInfo().State
		surplus := int64(st.Msgs) - at.keys - totals.Open - r.removals.since(time.Now().Add(-markers)) - r.cfg.MaxFinished
		if surplus <= 0 {
			return nil
		}
		removed, err := r.removeOldest(ctx, st.FirstSeq, int(min(surplus, limitStep)))
		if err != nil || removed == 0 {
			return err
		}
	}
	return ctx.Err()
}

func (r *Recorder) removeOldest(ctx context.Context, from uint64, most int) (int, error) {
	var gone []*wire.Record
	var msgs []*nats.Msg
	found, err := jetstreamext.GetBatch(ctx, r.cfg.JS, wire.StreamTasks, 4*limitStep,
		jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(wire.KVSubject(wire.BucketTasks, "*")))
	if err != nil {
		return 0, fmt.Errorf("find the oldest records: %w", err)
	}
	for m, err := range found {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("find the oldest records: %w", err)
		}
		rec, err := wire.DecodeRecord(m.Data)
		if err != nil || !rec.Status.Ended() || time.Since(rec.FinishedAt.Time()) < time.Second || len(gone) == most {
			continue
		}
		gone = append(gone, rec)
		msgs = append(msgs, r.recordMessage(rec.ID, &entry{rev: m.Sequence}))
	}
	if len(msgs) == 0 {
		return 0, nil
	}
	if _, err := r.pub.Commit(ctx, msgs); err != nil && !natsx.IsConflict(err) {
		return 0, fmt.Errorf("remove %d records: %w", len(msgs), err)
	} else if err != nil {
		return 0, nil // somebody retried or deleted one of them: look again next time
	}
	r.removals.add(len(gone))
	r.removeAll(ctx, gone)
	return len(gone), nil
}

// removeAll removes what belongs to deleted records. What fails is left to the sweep.
func (r *Recorder) removeAll(ctx context.Context, gone []*wire.Record) {
	objects, err := r.cfg.JS.ObjectStore(ctx, wire.BucketObjects)
	if err != nil {
		r.cfg.Log.Warn("objects of deleted tasks stay for now", "err", err)
		return
	}
	for _, rec := range gone {
		for _, name := range []string{rec.Meta.PayloadObject, rec.Meta.ResultObject} {
			if name == "" {
				continue
			}
			if err := objects.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
				r.cfg.Log.Warn("an object stays for now", "object", name, "err", err)
			}
		}
	}
	r.removeLogs(ctx, gone)
}

func (r *Recorder) removeLogs(ctx context.Context, gone []*wire.Record) {
	s, err := r.cfg.JS.Stream(ctx, wire.StreamLogs)
	if err != nil || s.CachedInfo().State.Msgs == 0 {
		return
	}
	for _, rec := range gone {
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(wire.LogsSubject(rec.ID))); err != nil {
			r.cfg.Log.Warn("log lines stay until they age", "task_id", rec.ID, "err", err)
		}
	}
}

// lift makes a stream of events that ends below the position go on above it: it was made
// anew, or power was lost within a sync interval. What it holds is published again.
func (r *Recorder) lift(ctx context.Context, at wire.Position) error {
	info, err := natsx.StreamInfo(ctx, r.cfg.JS, wire.StreamEvents)
	if err != nil {
		return err
	}
	st := info.State
	if st.LastSeq >= at.Seq {
		return nil
	}
	s, err := r.cfg.JS.Stream(ctx, wire.StreamEvents)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", wire.StreamEvents, err)
	}
	r.cfg.Log.Error("the stream of events ends below the recorded position: it was made anew or has lost its end; going on above",
		"stream", wire.StreamEvents, "seq", st.LastSeq, "position", at.Seq)
	var kept [][]byte
	for seq := st.FirstSeq; seq > 0 && seq <= st.LastSeq; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read event message %d: %w", seq, err)
		}
		kept = append(kept, m.Data)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(at.Seq+1)); err != nil {
		return fmt.Errorf("lift %s to %d: %w", wire.StreamEvents, at.Seq+1, err)
	}
	for i, body := range kept {
		m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
		m.Header.Set(wire.HeaderMsgID, "lifted."+strconv.FormatUint(at.Seq, 10)+"."+strconv.Itoa(i))
		m.Data = body
		if _, err := r.pub.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
