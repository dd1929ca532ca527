package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// lane is how much lies in one lane.
type lane struct {
	wire.Lane
	// waiting for a taker, and held by one: messages, or tasks after inTasks. Runnable is how
	// many of those that wait limits would let run at once.
	waiting, held, runnable int
	paused                  bool
}

// bounded fills in how many tasks of each lane limits would let run at once, where a task
// takes so long: as many as there are permits, and as a rate keeps busy; the highest lanes
// first.
func bounded(lanes []lane, ledgers []core.Ledger, serviceMs float64) []lane {
	out := slices.Clone(lanes)
	slices.SortStableFunc(out, func(a, b lane) int { return a.Priority.Rank() - b.Priority.Rank() })
	for i := range out {
		out[i].runnable = out[i].waiting
	}
	types := slices.Clone(ledgers)
	slices.SortStableFunc(types, func(a, b core.Ledger) int { return len(b.Type) - len(a.Type) }) // queues last
	for i := range types {
		l := &types[i]
		if l.None() {
			continue
		}
		left := l.Free()
		if l.RatePerSecond != nil {
			left = min(left, max(int(math.Ceil(*l.RatePerSecond*serviceMs/1000))-l.Total(), 1))
		}
		for k := range out {
			if out[k].Queue == l.Queue && (l.Type == "" || out[k].Type == l.Type) {
				out[k].runnable = min(out[k].runnable, left)
				left -= out[k].runnable
			}
		}
	}
	return out
}

// lanes reads all lanes: the server keeps these counts for every consumer.
func (t *Tick) lanes(ctx context.Context) ([]lane, error) {
	var out []lane
	list := t.core.Stream(wire.StreamReady).ListConsumers(ctx)
	for info := range list.Info() {
		l, ok := wire.ParseLane(info.Name)
		if !ok {
			continue
		}
		out = append(out, lane{
			Lane: l, paused: info.Paused, waiting: int(info.NumPending), held: info.NumAckPending,
		})
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	return out, nil
}

// taskLanes is lanes with the tasks that wait in them.
func (t *Tick) taskLanes(ctx context.Context) ([]lane, error) {
	lanes, err := t.lanes(ctx)
	if err != nil {
		return nil, err
	}
	var totals wire.Totals
	if _, err := t.value(ctx, wire.BucketTasks, wire.KeyTotals, &totals); err != nil {
		return nil, err
	}
	return inTasks(lanes, totals.Waiting), nil
}

// inTasks counts what waits in lanes by tasks: a parcel is one message with several. The
// recorder knows how many wait in all, a moment late; the lanes know at once how many that are
// at least, and at most.
func inTasks(lanes []lane, waiting map[string]int64) []lane {
	limited := map[string]int{} // what waits in the lanes of limited types, where there are no parcels
	for _, l := range lanes {
		if l.Type != "" {
			limited[wire.WaitingKey(l.Queue, l.Priority)] += l.waiting
		}
	}
	out := slices.Clone(lanes)
	for i := range out {
		if l := &out[i]; l.Type == "" {
			key := wire.WaitingKey(l.Queue, l.Priority)
			l.waiting = min(max(int(waiting[key])-limited[key], l.waiting), l.waiting*wire.MaxParcel)
		}
	}
	return out
}

// values reads all keys of a bucket that match, decoded; what does not decode is left out.
func values[T any](ctx context.Context, t *Tick, bucket, match string) ([]T, error) {
	prefix := wire.KVSubject(bucket, "")
	found, err := natsx.LastOf(ctx, t.core.JS, "KV_"+bucket, []string{prefix + match})
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(found))
	for _, m := range found {
		var v T
		if len(m.Data) == 0 {
			continue // a marker
		}
		if err := json.Unmarshal(m.Data, &v); err != nil {
			t.core.Log.Warn("a value does not decode", "key", strings.TrimPrefix(m.Subject, prefix), "err", err)
			continue
		}
		out = append(out, v)
	}
	return out, nil
}

// poolSettings reads what operators set for a pool.
func (t *Tick) poolSettings(ctx context.Context, pool string) (wire.PoolSettings, error) {
	all, err := values[wire.PoolSettings](ctx, t, wire.BucketSettings, wire.PoolSettingsKey(pool))
	if err != nil || len(all) == 0 {
		return wire.PoolSettings{}, err
	}
	return all[0], nil
}

// value reads one key into v and returns its revision; 0 where there is none.
func (t *Tick) value(ctx context.Context, bucket, key string, v any) (uint64, error) {
	found, err := natsx.LastOf(ctx, t.core.JS, "KV_"+bucket, []string{wire.KVSubject(bucket, key)})
	if err != nil {
		return 0, fmt.Errorf("read key %s: %w", key, err)
	}
	if len(found) == 0 {
		return 0, nil
	}
	if len(found[0].Data) == 0 {
		return found[0].Seq, nil
	}
	if err := json.Unmarshal(found[0].Data, v); err != nil {
		return found[0].Seq, fmt.Errorf("key %s: %w", key, err)
	}
	return found[0].Seq, nil
}
