package tick

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// strandedMost bounds the lane messages that one look for stranded ones reads.
	strandedMost = 2000
	// strandedTasks bounds the tasks in them.
	strandedTasks = 10_000
	// strandedAge is how old a lane message must be before it is looked at: what was
	// acknowledged a moment ago is being removed.
	strandedAge = 10 * time.Second
)

// stranded lane messages are those that their consumer counts as acknowledged and the stream
// still holds: a server that was killed has stored the one and not the other, and does not
// compare them when it starts again. No pool would ever get them, so none would remove them.
type stranded struct {
	// from is the sequence after which the next look begins.
	from uint64
	// excess tells that the last look, too, found more messages than the lanes count.
	excess bool
}

// removeStranded removes lane messages that run nothing any more, where the stream holds more
// messages than its consumers count, twice in a row.
func (t *Tick) removeStranded(ctx context.Context) error {
	excess, err := t.moreThanLanesCount(ctx)
	if err != nil {
		return err
	}
	before := t.strand.excess
	if t.strand.excess = excess; !excess || !before {
		return nil
	}
	found, err := t.laneMessages(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	ids := make([]string, 0, len(found))
	for _, members := range found {
		for _, env := range members {
			ids = append(ids, env.ID)
		}
	}
	recs, err := t.core.Records.Behind(ctx, ids...)
	if err != nil {
		return err
	}
	var errs []error
	for seq, members := range found {
		runs := slices.ContainsFunc(members, func(env *wire.Envelope) bool {
			rec := recs[env.ID]
			return rec == nil || !runsNothing(env, rec)
		})
		if !runs {
			t.core.Log.Info("removing a lane message that runs nothing", "task_id", members[0].ID, "tasks", len(members), "lane_seq", seq)
			errs = append(errs, t.core.RemoveLaneMessage(ctx, seq))
		}
	}
	return errors.Join(errs...)
}

// moreThanLanesCount tells whether the stream holds more messages than wait in all lanes or
// are held by pools. The stream is read first, so that what comes meanwhile makes no excess.
func (t *Tick) moreThanLanesCount(ctx context.Context) (bool, error) {
	info, err := t.core.Stream(wire.StreamReady).Info(ctx)
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", wire.StreamReady, err)
	}
	if info.State.Msgs == 0 {
		return false, nil
	}
	lanes, err := t.lanes(ctx)
	if err != nil {
		return false, err
	}
	counted := uint64(0)
	for _, l := range lanes {
		counted += uint64(l.waiting) + uint64(l.held)
	}
	return info.State.Msgs > counted, nil
}

// laneMessages reads the next stretch of lane messages that are old enough, by sequence.
func (t *Tick) laneMessages(ctx context.Context) (map[uint64][]*wire.Envelope, error) {
	found := map[uint64][]*wire.Envelope{}
	for walked, tasks := 0, 0; walked < strandedMost && tasks < strandedTasks; {
		young := false
		n, err := t.batch(ctx, wire.StreamReady, wire.SubjectReadyAll, t.strand.from+1, func(m *jetstream.RawStreamMsg) {
			t.strand.from = m.Sequence
			if young = time.Since(m.Time) < strandedAge; young {
				return
			}
			if members, err := wire.DecodeLaneMessage(m.Data); err == nil {
				found[m.Sequence] = members
				tasks += len(members)
			}
		})
		if err != nil {
			return nil, err
		}
		if walked += n; n < auditBatch || young {
			t.strand.from = 0
			break
		}
	}
	return found, nil
}

// runsNothing tells whether a pool that got this message would give it up at once: its task
// has ended in that round, or goes by a later message. What could still become true of a
// message that was stored before its event is left alone.
func runsNothing(env *wire.Envelope, rec *wire.Record) bool {
	if env.Round != rec.Meta.Round {
		return env.Round < rec.Meta.Round
	}
	return rec.Status.Ended() || env.Attempt < rec.Attempt
}
