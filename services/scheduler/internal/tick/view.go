package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// lane is how much lies in one lane.
type lane struct {
	queue    string
	priority wire.Priority
	// waiting for a taker, and held by one.
	waiting, held int
	paused        bool
}

// lanes reads all lanes: the server keeps these counts for every consumer.
func (t *Tick) lanes(ctx context.Context) ([]lane, error) {
	var out []lane
	list := t.core.Stream(wire.StreamReady).ListConsumers(ctx)
	for info := range list.Info() {
		i := strings.LastIndexByte(info.Name, '_')
		if i <= 0 || !wire.Priority(info.Name[i+1:]).Valid() {
			continue
		}
		out = append(out, lane{
			queue: info.Name[:i], priority: wire.Priority(info.Name[i+1:]), paused: info.Paused,
			waiting: int(info.NumPending), held: info.NumAckPending,
		})
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	return out, nil
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
