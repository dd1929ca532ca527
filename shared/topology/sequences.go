package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Numbered are the streams whose sequences must never come twice, whoever makes them anew:
// ids and fences are made of them, and records keep them. How far they have got is noted in
// wire.KeySequences now and then.
var Numbered = []string{wire.StreamSubmit, wire.StreamControl, wire.StreamReady}

// LiftMargin is above what a stream can grow by between two notes of its sequence.
const LiftMargin = 2_000_000

// firstSequence is where a stream that is made anew begins: above all that is known of the
// old one; 0 where nothing is.
func firstSequence(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	if stream == wire.StreamEvents { // the recorder's position is exact
		value, err := valueOf(ctx, js, wire.BucketTasks, wire.KeyPosition)
		if err != nil || value == nil {
			return 0, err
		}
		position, err := wire.ParsePosition(string(value))
		if err != nil {
			return 0, fmt.Errorf("key %s: %w", wire.KeyPosition, err)
		}
		return position.Seq + 1, nil
	}
	if !slices.Contains(Numbered, stream) {
		return 0, nil
	}
	value, err := valueOf(ctx, js, wire.BucketSettings, wire.KeySequences)
	if err != nil || value == nil {
		return 0, err
	}
	known := map[string]uint64{}
	if err := json.Unmarshal(value, &known); err != nil {
		return 0, fmt.Errorf("key %s: %w", wire.KeySequences, err)
	}
	if known[stream] == 0 {
		return 0, nil
	}
	return known[stream] + LiftMargin, nil
}

// valueOf reads a key; nil where there is none, or no bucket yet.
func valueOf(ctx context.Context, js jetstream.JetStream, bucket, key string) ([]byte, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return e.Value(), nil
}

// Existing reads a key that is known to be there. On several replicas any of them may answer
// a read, also one that has not heard of the key yet.
func Existing(ctx context.Context, kv jetstream.KeyValue, key string) (jetstream.KeyValueEntry, error) {
	for try := 1; ; try++ {
		e, err := kv.Get(ctx, key)
		if !errors.Is(err, jetstream.ErrKeyNotFound) || try == existingTries {
			return e, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

// existingTries is how often Existing asks: about 4 s.
const existingTries = 20
