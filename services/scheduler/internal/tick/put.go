package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// putTimeout bounds one write: a tick that misses it is followed by the next.
const putTimeout = 2 * time.Second

// put writes a key. The revision, where not negative, must be the one it has (0: none).
// A time to live is renewed by each write; the library's own call has none.
func (t *Tick) put(ctx context.Context, bucket, key string, v any, revision int64, ttl time.Duration) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", key, err)
	}
	m := nats.NewMsg(wire.KVSubject(bucket, key))
	m.Data = body
	if ttl > 0 {
		m.Header.Set(wire.HeaderTTL, ttl.String())
	}
	if revision >= 0 {
		m.Header.Set(wire.HeaderExpectedLast, strconv.FormatInt(revision, 10))
	}
	one, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	if _, err := t.core.JS.PublishMsg(one, m, jetstream.WithRetryAttempts(0)); err != nil {
		return fmt.Errorf("write key %s: %w", key, err)
	}
	return nil
}
