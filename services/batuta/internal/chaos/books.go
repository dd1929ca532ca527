package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// settled is nil once nothing is on its way any more: every submission was handled, every
// task has ended, no message is left that would run one, and the recorder has folded all.
func settled(ctx context.Context, js jetstream.JetStream) error {
	totals, pos, err := readTotals(ctx, js)
	if err != nil {
		return err
	}
	if totals.Open != 0 {
		return fmt.Errorf("%d tasks have not ended", totals.Open)
	}
	events, err := js.Stream(ctx, wire.StreamEvents)
	if err != nil {
		return fmt.Errorf("read %s: %w", wire.StreamEvents, err)
	}
	if last := events.CachedInfo().State.LastSeq; pos.Seq < last {
		return fmt.Errorf("the recorder stands at %d of %d", pos.Seq, last)
	}
	submissions, err := js.Consumer(ctx, wire.StreamSubmit, wire.ConsumerSubmit)
	if err != nil {
		return fmt.Errorf("read the scheduler's consumer: %w", err)
	}
	if i := submissions.CachedInfo(); i.NumPending > 0 || i.NumAckPending > 0 {
		return fmt.Errorf("%d submissions have not been handled", i.NumPending+uint64(i.NumAckPending))
	}
	for stream, filter := range map[string]string{wire.StreamReady: wire.SubjectReadyAll, wire.StreamLater: wire.SubjectLaterRunAll} {
		left, err := subjects(ctx, js, stream, filter)
		if err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d messages are left in %s", left, stream)
		}
	}
	return nil
}

// subjects counts the subjects that hold messages.
func subjects(ctx context.Context, js jetstream.JetStream, stream, filter string) (int, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", stream, err)
	}
	i, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", stream, err)
	}
	return len(i.State.Subjects), nil
}

// readBooks gives the checker what the streams hold.
func readBooks(ctx context.Context, js jetstream.JetStream, c *check.Checker) error {
	err := readAll(ctx, js, wire.StreamEvents, wire.SubjectEventsAll, func(seq uint64, m jetstream.Msg) error {
		return c.Message(seq, m.Data())
	})
	if err != nil {
		return err
	}
	return readAll(ctx, js, wire.StreamTasks, wire.KVSubject(wire.BucketTasks, "*"), func(_ uint64, m jetstream.Msg) error {
		if len(m.Data()) == 0 {
			return nil // a marker
		}
		r, err := wire.DecodeRecord(m.Data())
		if err == nil {
			c.Record(r)
		}
		return err
	})
}

// silence is how long a stream may say nothing while it is read.
const silence = 10 * time.Second

var errSilent = errors.New("it says nothing more")

// readAll reads a stream from its first message to the one that is its last now.
func readAll(ctx context.Context, js jetstream.JetStream, stream, filter string, each func(uint64, jetstream.Msg) error) error {
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	if info.NumPending == 0 && info.Delivered.Consumer == 0 {
		return nil
	}
	msgs, err := c.Messages(jetstream.PullMaxMessages(1000))
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	defer msgs.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, silence)
		m, err := msgs.Next(jetstream.NextContext(one))
		cancel()
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				err = errSilent
			}
			return fmt.Errorf("read %s: %w", stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if err := each(meta.Sequence.Stream, m); err != nil {
			return err
		}
		if meta.NumPending == 0 {
			return nil
		}
	}
}
