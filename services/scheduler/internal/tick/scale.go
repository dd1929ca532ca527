package tick

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// desiredTTL is how long the scheduler's word holds without a further tick.
const desiredTTL = 5 * time.Second

// scaleState is what the autoscaler remembers between ticks, whoever gets them.
type scaleState struct {
	Pools map[string]*poolState `json:"pools"`
}

type poolState struct {
	Rate     rate      `json:"rate"`
	Needs    []need    `json:"needs"`
	Desired  int       `json:"desired"`
	Reason   string    `json:"reason"`
	ScaledAt wire.Time `json:"scaledAt"`
}

// scale decides the size of every pool that lives.
func (t *Tick) scale(ctx context.Context) error {
	t.scaling.Lock()
	defer t.scaling.Unlock()
	instances, err := values[wire.Instance](ctx, t, wire.BucketWorkers, "instance.*.*")
	if err != nil {
		return fmt.Errorf("read the pools: %w", err)
	}
	state := scaleState{}
	revision, err := t.value(ctx, wire.BucketSettings, wire.KeyScale, &state)
	if err != nil {
		return err
	}
	if len(instances) == 0 && len(state.Pools) == 0 {
		return nil
	}
	lanes, err := t.taskLanes(ctx)
	if err != nil {
		return err
	}
	t.burst.arm(!slices.ContainsFunc(lanes, func(l lane) bool { return l.waiting > 0 }))
	ledgers, err := t.core.Ledgers(ctx)
	if err != nil {
		return err
	}
	now := wire.Now()
	next := scaleState{Pools: map[string]*poolState{}}
	var words []wire.Desired
	var events []wire.Event
	for pool, own := range byPool(instances) {
		settings, err := t.poolSettings(ctx, pool)
		if err != nil {
			return fmt.Errorf("read the settings of pool %s: %w", pool, err)
		}
		d := t.demand(own, settings)
		d.count = func(serviceMs float64) (waiting, runnable int) {
			return waitingFor(pool, instances, bounded(lanes, ledgers, serviceMs))
		}
		p, word, event := step(state.Pools[pool], pool, own, d, now)
		next.Pools[pool] = p
		words = append(words, word)
		events = append(events, event...)
	}
	// The state first: of two replicas with a tick each, one is refused and says nothing.
	if err := t.put(ctx, wire.BucketSettings, wire.KeyScale, &next, int64(revision), 0); err != nil {
		if natsx.IsConflict(err) {
			return nil
		}
		return err
	}
	for _, w := range words {
		if err := t.put(ctx, wire.BucketWorkers, wire.DesiredKey(w.Pool), &w, -1, desiredTTL); err != nil {
			return err
		}
	}
	t.core.Events.PublishAsync(nil, events...)
	return nil
}

func byPool(all []wire.Instance) map[string][]wire.Instance {
	out := map[string][]wire.Instance{}
	for _, i := range all {
		out[i.Pool] = append(out[i.Pool], i)
	}
	return out
}

// demand gathers what decides a pool's size.
func (t *Tick) demand(own []wire.Instance, settings wire.PoolSettings) demand {
	d := demand{Paused: settings.Paused, Target: t.cfg.ScaleTarget, DownAfter: t.cfg.ScaleDownAfter, Concurrency: 1}
	for _, i := range own {
		d.Running += i.Running
		d.Busy += i.BusySlots
		if i.Concurrency > 0 {
			d.Concurrency = i.Concurrency
		}
		if i.ScaleTargetMs > 0 {
			d.Target = time.Duration(i.ScaleTargetMs) * time.Millisecond
		}
		if i.ScaleDownAfterMs > 0 {
			d.DownAfter = time.Duration(i.ScaleDownAfterMs) * time.Millisecond
		}
		if !i.Draining {
			d.Min += i.Min
			d.Max += i.Max
		}
	}
	if settings.Min != nil {
		d.Min = *settings.Min
	}
	if settings.Max != nil {
		d.Max = *settings.Max
	}
	d.Min = min(d.Min, d.Max)
	return d
}

// waitingFor is a pool's part of what waits in its queues: a queue that several pools serve
// is split by their maxima. Runnable are those that limits would let run at once.
func waitingFor(pool string, all []wire.Instance, lanes []lane) (waiting, runnable int) {
	serving := map[string]map[string]int{}
	for _, i := range all {
		if i.Draining {
			continue
		}
		for _, q := range i.Queues {
			if serving[q] == nil {
				serving[q] = map[string]int{}
			}
			serving[q][i.Pool] += max(i.Max, 1)
		}
	}
	for _, l := range lanes {
		own := serving[l.Queue][pool]
		if own == 0 || l.paused {
			continue
		}
		total := 0
		for _, n := range serving[l.Queue] {
			total += n
		}
		waiting += (l.waiting*own + total - 1) / total
		runnable += (l.runnable*own + total - 1) / total
	}
	return waiting, runnable
}

// step is one decision: the pool's next state, the word to its processes, and the event
// where the size changes.
func step(before *poolState, pool string, own []wire.Instance, d demand, now wire.Time) (*poolState, wire.Desired, []wire.Event) {
	next := &poolState{}
	if before != nil {
		*next = *before
	}
	next.Rate.measure(now, own)
	d.ServiceMs, d.StalledMs = next.Rate.estimate(now)
	if d.count != nil {
		d.Waiting, d.Runnable = d.count(max(d.ServiceMs, d.StalledMs))
	}
	if before == nil {
		// Unknown until now: what runs may have been needed.
		next.Desired, next.ScaledAt = max(d.Running, d.Min), now
		next.Needs = []need{{now, d.Running}}
	}
	desired, reason, needs := decide(d, now, next.Needs)
	next.Needs = needs
	var events []wire.Event
	if desired != next.Desired {
		events = append(events, wire.NewEvent(wire.Event{Event: wire.EventPoolScaled, Timestamp: now, Pool: pool, Data: wire.EventData{
			From: new(next.Desired), To: new(desired), Reason: reason,
		}}))
		next.Desired, next.Reason, next.ScaledAt = desired, reason, now
	}
	if next.Reason == "" {
		next.Reason = reason
	}
	slices.SortFunc(own, func(a, b wire.Instance) int { return compareText(a.Instance, b.Instance) })
	return next, wire.Desired{
		Pool: pool, Desired: desired, Min: d.Min, Max: d.Max, Paused: d.Paused, Reason: next.Reason, ScaledAt: next.ScaledAt,
		Instances: share(desired, own),
	}, events
}
