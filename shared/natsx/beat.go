package natsx

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Beat tells that a service process is alive, and makes streams and buckets again where
// they have vanished: the bucket of the living is in memory and goes with the server.
type Beat struct {
	js      jetstream.JetStream
	service wire.Service
	ensure  func(context.Context) error
}

// beatInterval and beatTTL are for service processes, not workers.
const (
	beatInterval = time.Second
	beatTTL      = 3 * time.Second
	// lookEvery is at which beats the streams are looked for.
	lookEvery = 2
)

// NewBeat prepares the heartbeat of a service. Ensure is called when a beat cannot be stored.
func NewBeat(js jetstream.JetStream, service, version string, ensure func(context.Context) error) *Beat {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Beat{js: js, ensure: ensure, service: wire.Service{
		Service: service, Instance: nuid.Next(), Host: host, PID: os.Getpid(), Version: version, StartedAt: wire.Now(),
	}}
}

// Instance is the process's own name among those of its service.
func (b *Beat) Instance() string { return b.service.Instance }

// Run beats until ctx ends, then takes the key away.
func (b *Beat) Run(ctx context.Context, log *slog.Logger) {
	t := time.NewTicker(beatInterval)
	defer t.Stop()
	key := wire.ServiceKey(b.service.Service, b.service.Instance)
	for n := 0; ; n++ {
		err := b.beat(ctx, key)
		if err == nil && n%lookEvery == 0 {
			err = b.look(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.Debug("heartbeat of the service failed", "err", err)
			if err := b.ensure(ctx); err != nil && ctx.Err() == nil {
				log.Warn("streams and buckets cannot be made sure of", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := DropKey(last, b.js, wire.BucketWorkers, key); err != nil {
				log.Debug("the heartbeat's key stays until it expires", "err", err)
			}
			return
		case <-t.C:
		}
	}
}

// look returns an error where a stream or bucket is not there.
func (b *Beat) look(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	missing, err := topology.Missing(one, b.js)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("streams are missing: %s", strings.Join(missing, ", "))
	}
	return err
}

func (b *Beat) beat(ctx context.Context, key string) error {
	b.service.LastHeartbeat = wire.Now()
	body, err := json.Marshal(b.service)
	if err != nil {
		return fmt.Errorf("encode the heartbeat: %w", err)
	}
	one, cancel := context.WithTimeout(ctx, beatInterval)
	defer cancel()
	return PutFor(one, b.js, wire.BucketWorkers, key, body, beatTTL)
}

// PutFor writes a key that expires after ttl, in whole seconds and at least one. (The
// library's Put takes no TTL and would make the key permanent.)
func PutFor(ctx context.Context, js jetstream.JetStream, bucket, key string, body []byte, ttl time.Duration) error {
	m := nats.NewMsg(wire.KVSubject(bucket, key))
	m.Header.Set(wire.HeaderTTL, strconv.Itoa(int(math.Max(1, math.Ceil(ttl.Seconds())))))
	m.Data = body
	if _, err := js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0)); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// DropKey deletes a key; its marker can be seen for a minute.
func DropKey(ctx context.Context, js jetstream.JetStream, bucket, key string) error {
	m := nats.NewMsg(wire.KVSubject(bucket, key))
	m.Header.Set(wire.HeaderKVOperation, "PURGE") // the marker of a DEL would leave another when it expires
	m.Header.Set(wire.HeaderTTL, "60")
	if _, err := js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0)); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}
