package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// maxWaiting is how many pull requests one lane holds: each pool process has one standing.
const maxWaiting = 10000

// farFuture is until when a lane is paused that waits for somebody to resume it.
var farFuture = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// EnsureLanes makes the four lanes of a queue, with the given lease as ack wait, paused
// where the queue is.
func EnsureLanes(ctx context.Context, js jetstream.JetStream, queue string, lease time.Duration, paused bool) error {
	return ensureLanes(ctx, js, wire.Lanes(queue, ""), lease, paused)
}

// EnsureLimitedLanes is the same for a type that has limits of its own.
func EnsureLimitedLanes(ctx context.Context, js jetstream.JetStream, queue, taskType string, lease time.Duration, paused bool) error {
	return ensureLanes(ctx, js, wire.Lanes(queue, taskType), lease, paused)
}

func ensureLanes(ctx context.Context, js jetstream.JetStream, lanes []wire.Lane, lease time.Duration, paused bool) error {
	for _, l := range lanes {
		c := jetstream.ConsumerConfig{
			Durable: l.Consumer(), FilterSubject: l.Filter(),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: maxWaiting,
		}
		if paused {
			c.PauseUntil = &farFuture
		}
		if _, err := js.CreateOrUpdateConsumer(ctx, wire.StreamReady, c); err != nil {
			return fmt.Errorf("make lane %s: %w", c.Durable, err)
		}
	}
	return nil
}

// PauseLanes stops the lanes of a queue from delivering; ResumeLanes lets them go on.
func PauseLanes(ctx context.Context, js jetstream.JetStream, queue string) error {
	return eachLane(ctx, js, queue, func(s jetstream.Stream, lane string) error {
		_, err := s.PauseConsumer(ctx, lane, farFuture)
		return err
	})
}

// ResumeLanes undoes PauseLanes.
func ResumeLanes(ctx context.Context, js jetstream.JetStream, queue string) error {
	return eachLane(ctx, js, queue, func(s jetstream.Stream, lane string) error {
		_, err := s.ResumeConsumer(ctx, lane)
		return err
	})
}

// eachLane does something with every lane that a queue has, those of limited types included.
func eachLane(ctx context.Context, js jetstream.JetStream, queue string, do func(s jetstream.Stream, lane string) error) error {
	s, err := js.Stream(ctx, wire.StreamReady)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", wire.StreamReady, err)
	}
	names := s.ConsumerNames(ctx)
	var lanes []string
	for name := range names.Name() {
		if l, ok := wire.ParseLane(name); ok && l.Queue == queue {
			lanes = append(lanes, name)
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("list the lanes: %w", err)
	}
	for _, lane := range lanes {
		if err := do(s, lane); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("change lane %s: %w", lane, err)
		}
	}
	return nil
}
