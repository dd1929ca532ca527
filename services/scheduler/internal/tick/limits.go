package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// liftedLanes is how long the lanes of a limit that was lifted are kept: longer than any
// scheduler can believe that it still holds.
const liftedLanes = 10 * time.Minute

// reclaim takes back the permits of holders that are dead: pool processes that were killed,
// or could not renew their lease and have stopped what ran under it.
func (t *Tick) reclaim(ctx context.Context) error {
	ledgers, err := t.core.Ledgers(ctx)
	if err != nil {
		return err
	}
	for i := range ledgers {
		l := &ledgers[i]
		if len(l.Dead) == 0 {
			continue
		}
		next := l.Clone()
		for _, holder := range l.Dead {
			delete(next.Held, holder)
		}
		key := wire.PermitsKey(l.Queue, l.Type)
		t.core.Log.Info("permits of the dead are taken back", "limit", key, "holders", len(l.Dead), "permits", l.Total()-next.Total())
		if err := t.put(ctx, wire.BucketPermits, key, next, int64(l.Seq), 0); err != nil && !natsx.IsConflict(err) {
			return err
		}
	}
	return nil
}

// followLimits makes the ledgers say what the settings of their queues say. Whoever changes a
// setting does so at once; this is for those who died in between.
func (t *Tick) followLimits(ctx context.Context) error {
	settings, err := t.queueSettings(ctx)
	if err != nil {
		return err
	}
	ledgers, err := t.core.Ledgers(ctx)
	if err != nil {
		return err
	}
	behind := map[string]bool{}
	known := map[[2]string]bool{}
	for i := range ledgers {
		l := &ledgers[i]
		s := settings[l.Queue]
		known[[2]string{l.Queue, l.Type}] = true
		if l.Settling || !l.Equal(s.LimitsOf(l.Type)) {
			behind[l.Queue] = true
		}
	}
	for queue, s := range settings {
		if !s.None() && !known[[2]string{queue, ""}] {
			behind[queue] = true
		}
		for taskType := range s.Types {
			behind[queue] = behind[queue] || !known[[2]string{queue, taskType}]
		}
	}
	for queue, is := range behind {
		if !is {
			continue
		}
		if err := topology.ApplyLimits(ctx, t.core.JS, queue); err != nil {
			return err
		}
	}
	return nil
}

// dropLifted removes ledgers and lanes of limits that were lifted long ago, and keeps those
// lanes served in which something lies after all.
func (t *Tick) dropLifted(ctx context.Context) error {
	ledgers, err := t.core.Ledgers(ctx)
	if err != nil {
		return err
	}
	lying, err := t.lyingLimited(ctx)
	if err != nil {
		return err
	}
	known := map[[2]string]bool{}
	for i := range ledgers {
		l := &ledgers[i]
		at := [2]string{l.Queue, l.Type}
		known[at] = true
		if l.Type == "" || !l.None() || l.LiftedAt == 0 || wire.Now().Sub(l.LiftedAt) < liftedLanes || lying[at] || l.Total() > 0 {
			continue
		}
		if err := t.drop(ctx, l); err != nil {
			return err
		}
	}
	for at := range lying {
		if known[at] {
			continue
		}
		// Put there by a scheduler that was stopped for long and did not know better.
		if err := topology.EnsureLimitedLanes(ctx, t.core.JS, at[0], at[1], t.core.Lease, false); err != nil {
			return err
		}
		lifted := &wire.Permits{LiftedAt: wire.Now()}
		if err := t.put(ctx, wire.BucketPermits, wire.PermitsKey(at[0], at[1]), lifted, 0, 0); err != nil && !natsx.IsConflict(err) {
			return err
		}
	}
	return nil
}

func (t *Tick) drop(ctx context.Context, l *core.Ledger) error {
	permits, err := t.core.JS.KeyValue(ctx, wire.BucketPermits)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketPermits, err)
	}
	key := wire.PermitsKey(l.Queue, l.Type)
	if err := permits.Purge(ctx, key, jetstream.LastRevision(l.Seq)); err != nil {
		if natsx.IsConflict(err) {
			return nil
		}
		return fmt.Errorf("remove ledger %s: %w", key, err)
	}
	for _, lane := range wire.Lanes(l.Queue, l.Type) {
		if err := t.core.Stream(wire.StreamReady).DeleteConsumer(ctx, lane.Consumer()); err != nil {
			return fmt.Errorf("remove lane %s: %w", lane.Consumer(), err)
		}
	}
	return nil
}

// lyingLimited are the queues and types that have tasks in limited lanes.
func (t *Tick) lyingLimited(ctx context.Context) (map[[2]string]bool, error) {
	info, err := t.core.Stream(wire.StreamReady).Info(ctx, jetstream.WithSubjectFilter(wire.SubjectLimitedAll))
	if err != nil {
		return nil, fmt.Errorf("look into the limited lanes: %w", err)
	}
	out := map[[2]string]bool{}
	for subject := range info.State.Subjects {
		if l, ok := wire.ParseLimited(subject); ok {
			out[[2]string{l.Queue, l.Type}] = true
		}
	}
	return out, nil
}

// queueSettings reads what operators set for queues.
func (t *Tick) queueSettings(ctx context.Context) (map[string]wire.QueueSettings, error) {
	prefix := wire.KVSubject(wire.BucketSettings, wire.QueueSettingsKey(""))
	found, err := natsx.LastOf(ctx, t.core.JS, wire.StreamSettings, []string{prefix + "*"})
	if err != nil {
		return nil, fmt.Errorf("read the settings of queues: %w", err)
	}
	out := map[string]wire.QueueSettings{}
	for _, m := range found {
		var s wire.QueueSettings
		if len(m.Data) > 0 && json.Unmarshal(m.Data, &s) == nil {
			out[strings.TrimPrefix(m.Subject, prefix)] = s
		}
	}
	return out, nil
}
