package tick

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// submitAge is above the longest retention, since manual retries and details read submissions.
	submitAge = 31 * 24 * time.Hour
	// Above fullShare of its bytes a stream of submissions is cut to thinShare, oldest first.
	fullShare, thinShare = 0.8, 0.7
	// controlAge is how long pools may be behind with commands.
	controlAge = time.Minute
)

// trims says when to trim: with the ticks, and as soon as so much was processed that
// waiting for the next one could fill a small stream with what is finished.
type trims struct {
	due       chan struct{}
	processed atomic.Int64 // bytes since the last trim
	after     atomic.Int64 // so many are worth one; 0: not known yet
}

// trimShare of a stream's bytes is worth a trim.
const trimShare = 0.05

// worthTrim is how many bytes are worth a trim of a stream that may hold so many; without a
// limit none are.
func worthTrim(maxBytes int64) int64 {
	if maxBytes <= 0 {
		return math.MaxInt64
	}
	return int64(trimShare * float64(maxBytes))
}

func (t *trims) ask() {
	select {
	case t.due <- struct{}{}:
	default:
	}
}

// Processed counts bytes of submissions that are dealt with, and trims their stream when
// they are many.
func (t *Tick) Processed(bytes int) {
	if n := t.trims.processed.Add(int64(bytes)); n >= t.trims.after.Load() {
		t.trims.ask()
	}
}

// trim purges what all have read: never by a limit of the stream, which would drop what
// nobody has read yet.
func (t *Tick) trim(ctx context.Context) error {
	t.trims.processed.Store(0)
	return errors.Join(
		t.trimStream(ctx, wire.StreamSubmit, wire.ConsumerSubmit, submitAge),
		t.trimStream(ctx, wire.StreamControl, wire.ConsumerControl, controlAge),
	)
}

//nolint:unparam // both consumers happen to have one name
func (t *Tick) trimStream(ctx context.Context, stream, consumer string, age time.Duration) error {
	cons, err := t.core.JS.Consumer(ctx, stream, consumer)
	if err != nil {
		return fmt.Errorf("read consumer %s of %s: %w", consumer, stream, err)
	}
	s, err := t.core.JS.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	info := s.CachedInfo()
	if stream == wire.StreamSubmit {
		t.trims.after.Store(worthTrim(info.Config.MaxBytes))
	}
	upTo := cutForBytes(info)
	old, err := firstSince(ctx, t.core.JS, s, info.State, time.Now().Add(-age))
	if err != nil {
		return err
	}
	upTo = min(max(upTo, old), cons.CachedInfo().AckFloor.Stream+1)
	if upTo <= info.State.FirstSeq || info.State.Msgs == 0 {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(upTo)); err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	return nil
}

// cutForBytes is the first sequence to keep of a stream that is nearly full; 0 where it is not.
func cutForBytes(info *jetstream.StreamInfo) uint64 {
	limit := float64(info.Config.MaxBytes)
	if limit <= 0 || info.State.Msgs == 0 || float64(info.State.Bytes) < fullShare*limit {
		return 0
	}
	excess := float64(info.State.Bytes) - thinShare*limit
	mean := float64(info.State.Bytes) / float64(info.State.Msgs)
	return info.State.FirstSeq + uint64(excess/mean)
}

// firstSince finds the first sequence stored at or after a time, by halves.
func firstSince(ctx context.Context, js jetstream.JetStream, s jetstream.Stream, st jetstream.StreamState, at time.Time) (uint64, error) {
	if st.Msgs == 0 || !st.FirstTime.Before(at) {
		return st.FirstSeq, nil
	}
	if st.LastTime.Before(at) {
		return st.LastSeq + 1, nil
	}
	var failed error
	n := sort.Search(int(st.LastSeq-st.FirstSeq), func(i int) bool {
		if failed != nil {
			return true
		}
		seq := st.FirstSeq + uint64(i)
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // or the replica that answers lags
			m, err = natsx.MessageOfLeader(ctx, js, s.CachedInfo().Config.Name, seq)
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return false // a gap, which only an operator can have made
		}
		if err != nil {
			failed = err
			return true
		}
		return !m.Time.Before(at)
	})
	if failed != nil {
		return 0, fmt.Errorf("look for the age of messages: %w", failed)
	}
	return st.FirstSeq + uint64(n), nil
}
