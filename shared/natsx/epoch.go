package natsx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Epoch is since when the server that js is connected to is known to run: a server has a
// new id at every start, and the first who sees it notes the time. What was stored before
// may have been delivered already although the server no longer knows: on streams without
// replicas the state of consumers is written up to 100 ms late.
func Epoch(ctx context.Context, js jetstream.JetStream) (time.Time, error) {
	kv, err := js.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return time.Time{}, fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	key := wire.EpochKey(js.Conn().ConnectedServerId())
	own, err := json.Marshal(wire.Epoch{Since: wire.Now()})
	if err != nil {
		return time.Time{}, fmt.Errorf("encode the epoch: %w", err)
	}
	if _, err = kv.Create(ctx, key, own); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return time.Time{}, fmt.Errorf("note the epoch: %w", err)
	}
	e, err := topology.Existing(ctx, kv, key)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the epoch: %w", err)
	}
	var epoch wire.Epoch
	if err := json.Unmarshal(e.Value(), &epoch); err != nil {
		return time.Time{}, fmt.Errorf("key %s of bucket %s: %w", key, wire.BucketSettings, err)
	}
	return epoch.Since.Time(), nil
}
