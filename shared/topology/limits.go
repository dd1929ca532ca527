package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// settleTime is how long a new limit gives nothing out, while pool processes that run tasks
// of it tell how many. They hear of it within milliseconds.
const settleTime = 300 * time.Millisecond

// standardLease is what a service sets where it is not told otherwise.
const standardLease = 5 * time.Second

// ApplyLimits makes the ledgers of a queue say what its settings say, and makes the lanes of
// types that have become limited. Any number of callers may do so at once; each ledger is
// read before the settings and changed by its revision, so the latest settings win.
func ApplyLimits(ctx context.Context, js jetstream.JetStream, queue string) error {
	a := applier{js: js, queue: queue}
	if err := a.open(ctx); err != nil {
		return err
	}
	types, err := a.types(ctx)
	if err != nil {
		return err
	}
	var settling []string
	for _, taskType := range types {
		fresh, err := a.apply(ctx, taskType)
		if err != nil {
			return fmt.Errorf("apply the limits of %s: %w", wire.PermitsKey(queue, taskType), err)
		}
		if fresh {
			settling = append(settling, taskType)
		}
	}
	if len(settling) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	for _, taskType := range settling {
		if err := a.settle(ctx, taskType); err != nil {
			return fmt.Errorf("apply the limits of %s: %w", wire.PermitsKey(queue, taskType), err)
		}
	}
	return nil
}

// applier brings the ledgers of one queue up to its settings.
type applier struct {
	js                jetstream.JetStream
	queue             string
	settings, permits jetstream.KeyValue
}

func (a *applier) open(ctx context.Context) (err error) {
	if a.settings, err = a.js.KeyValue(ctx, wire.BucketSettings); err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	if a.permits, err = a.js.KeyValue(ctx, wire.BucketPermits); err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketPermits, err)
	}
	return nil
}

// types are those that have limits, or had: "" is the queue itself.
func (a *applier) types(ctx context.Context) ([]string, error) {
	found := map[string]bool{"": true}
	keys, err := a.permits.ListKeysFiltered(ctx, wire.PermitsKeyAll(a.queue))
	if err != nil {
		return nil, fmt.Errorf("list the limits of queue %s: %w", a.queue, err)
	}
	for key := range keys.Keys() {
		if _, taskType, ok := wire.ParsePermitsKey(key); ok {
			found[taskType] = true
		}
	}
	s, err := a.wanted(ctx)
	if err != nil {
		return nil, err
	}
	for taskType := range s.Types {
		found[taskType] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func (a *applier) wanted(ctx context.Context) (wire.QueueSettings, error) {
	var s wire.QueueSettings
	_, err := get(ctx, a.settings, wire.QueueSettingsKey(a.queue), &s)
	return s, err
}

// get reads a key; revision 0 means that there is none.
func get(ctx context.Context, kv jetstream.KeyValue, key string, into any) (revision uint64, err error) {
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read key %s of bucket %s: %w", key, kv.Bucket(), err)
	}
	if err := json.Unmarshal(e.Value(), into); err != nil {
		return 0, fmt.Errorf("key %s of bucket %s: %w", key, kv.Bucket(), err)
	}
	return e.Revision(), nil
}

// apply changes one ledger; fresh says that it has still to settle.
func (a *applier) apply(ctx context.Context, taskType string) (fresh bool, err error) {
	for {
		var p wire.Permits
		revision, err := get(ctx, a.permits, wire.PermitsKey(a.queue, taskType), &p)
		if err != nil {
			return false, err
		}
		s, err := a.wanted(ctx)
		if err != nil {
			return false, err
		}
		want := s.LimitsOf(taskType)
		if p.Equal(want) {
			return p.Settling, nil
		}
		if revision == 0 && taskType != "" {
			if err := a.makeLanes(ctx, taskType, s.Paused); err != nil {
				return false, err
			}
		}
		change(&p, want, wire.Now())
		if err = a.put(ctx, taskType, &p, revision); err == nil {
			return p.Settling, nil
		}
		if !conflict(err) {
			return false, err
		}
	}
}

// change makes a ledger say what is wanted.
func change(p *wire.Permits, want wire.Limits, now wire.Time) {
	p.Settling = p.Settling || p.None()
	tokens := p.TokensAt(now)
	p.Limits, p.LiftedAt = want, 0
	if want.None() {
		p.Settling, p.LiftedAt = false, now
	}
	if want.RatePerSecond == nil {
		p.Tokens, p.At = 0, 0
		return
	}
	p.Tokens, p.At = min(tokens, wire.RateBurst(*want.RatePerSecond)), now // never more than before
}

func (a *applier) makeLanes(ctx context.Context, taskType string, paused bool) error {
	lease := standardLease // nobody has decided yet; who does makes the lanes again
	e, err := a.settings.Get(ctx, wire.KeyLease)
	switch {
	case err == nil:
		if lease, err = time.ParseDuration(string(e.Value())); err != nil {
			return fmt.Errorf("key %s of bucket %s: %w", wire.KeyLease, a.settings.Bucket(), err)
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return fmt.Errorf("read the lease: %w", err)
	}
	return EnsureLimitedLanes(ctx, a.js, a.queue, taskType, lease, paused)
}

func (a *applier) settle(ctx context.Context, taskType string) error {
	for {
		var p wire.Permits
		revision, err := get(ctx, a.permits, wire.PermitsKey(a.queue, taskType), &p)
		if err != nil || !p.Settling {
			return err
		}
		p.Settling = false
		if err = a.put(ctx, taskType, &p, revision); err == nil || !conflict(err) {
			return err
		}
	}
}

func (a *applier) put(ctx context.Context, taskType string, p *wire.Permits, revision uint64) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode a ledger: %w", err)
	}
	key := wire.PermitsKey(a.queue, taskType)
	if revision == 0 {
		_, err = a.permits.Create(ctx, key, body)
	} else {
		_, err = a.permits.Update(ctx, key, body, revision)
	}
	return err
}

// conflict tells whether a key has moved on.
func conflict(err error) bool {
	var ae *jetstream.APIError
	if errors.As(err, &ae) && (ae.ErrorCode == 10071 || ae.ErrorCode == 10164) {
		return true
	}
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}
