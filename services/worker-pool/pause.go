package workerpool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// followPause learns whether operators have paused the pool, and follows what they say: by
// the settings themselves and not by the scheduler's word, which comes with the next tick
// and is unknown where all has just been started. It is begun anew after each reconnection,
// like followCancels.
func (p *Pool) followPause(ctx context.Context, l *parts) error {
	if l.pause != nil {
		l.pause.Stop()
		<-l.pause.Closed()
		l.pause = nil
	}
	key := wire.PoolSettingsKey(p.cfg.Pool)
	settings, err := p.cfg.JS.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	e, err := settings.Get(ctx, key)
	switch {
	case err == nil:
		p.pauseBy(l, e.Value())
	case errors.Is(err, jetstream.ErrKeyNotFound):
		p.pauseBy(l, nil)
	default:
		return fmt.Errorf("read the settings of pool %s: %w", p.cfg.Pool, err)
	}
	c, err := p.cfg.JS.OrderedConsumer(ctx, wire.StreamSettings, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{wire.KVSubject(wire.BucketSettings, key)}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err == nil {
		l.pause, err = c.Consume(func(m jetstream.Msg) { p.pauseBy(l, m.Data()) })
	}
	if err != nil {
		return fmt.Errorf("follow the settings of pool %s: %w", p.cfg.Pool, err)
	}
	return nil
}

// pauseBy does what the settings say; no settings are those of a pool that is not paused.
func (p *Pool) pauseBy(l *parts, value []byte) {
	var s wire.PoolSettings
	if len(value) > 0 {
		if err := json.Unmarshal(value, &s); err != nil {
			p.cfg.Log.Warn("the settings of the pool cannot be read; it stays as it is", obs.Err(err))
			return
		}
	}
	l.runner.SetPaused(s.Paused)
}
