package live

import (
	"reflect"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// state is what clients have been told, but for tasks and events.
type state struct {
	stats   wire.Stats
	workers []wire.WorkerView
	pools   []wire.PoolView
	queues  []wire.QueueView
}

// since is the delta from an earlier state; nil where nothing is to be told. With beat it
// is never nil, and has the stats, since their clock goes on.
func (s *state) since(before *state, c Changes, beat bool) *wire.Delta {
	d := &wire.Delta{Events: c.Events}
	if beat || !reflect.DeepEqual(still(s.stats), still(before.stats)) {
		d.Stats = &s.stats
	}
	d.Workers = diff(before.workers, s.workers, func(w *wire.WorkerView) string { return w.ID }, sameWorker)
	d.Pools = diff(before.pools, s.pools, func(p *wire.PoolView) string { return p.Name }, samePool)
	d.Queues = diff(before.queues, s.queues, func(q *wire.QueueView) string { return q.Name }, sameQueue)
	if len(c.Upserted)+len(c.Removed) > 0 {
		d.Tasks = &wire.Change[wire.TaskResource]{Upserted: c.Upserted, Removed: c.Removed}
	}
	if d.Stats == nil && d.Workers == nil && d.Pools == nil && d.Queues == nil && d.Tasks == nil && len(d.Events) == 0 {
		return nil
	}
	return d
}

// still is the stats without their clock.
func still(s wire.Stats) wire.Stats {
	s.UpdatedAt, s.Uptime = 0, ""
	return s
}

// sameWorker leaves out the age of the heartbeat, which follows from its time.
func sameWorker(a, b wire.WorkerView) bool {
	a.LastHeartbeatAgoMs, b.LastHeartbeatAgoMs = nil, nil
	return reflect.DeepEqual(a, b)
}

// samePool leaves out the heartbeats of its processes: their figures say what matters.
func samePool(a, b wire.PoolView) bool {
	a.Instances, b.Instances = quiet(a.Instances), quiet(b.Instances)
	return reflect.DeepEqual(a, b)
}

func quiet(instances []wire.InstanceView) []wire.InstanceView {
	out := make([]wire.InstanceView, len(instances))
	for i, v := range instances {
		v.LastHeartbeat = 0
		out[i] = v
	}
	return out
}

// sameQueue takes the oldest wait by the second: it grows all the time.
func sameQueue(a, b wire.QueueView) bool {
	a.OldestWaitMs, b.OldestWaitMs = seconds(a.OldestWaitMs), seconds(b.OldestWaitMs)
	return reflect.DeepEqual(a, b)
}

func seconds(ms *int64) *int64 {
	if ms == nil {
		return nil
	}
	return new(*ms / 1000)
}

// diff says what became of a list; nil where nothing did.
func diff[T any](before, now []T, key func(*T) string, same func(a, b T) bool) *wire.Change[T] {
	var c wire.Change[T]
	was := make(map[string]*T, len(before))
	for i := range before {
		was[key(&before[i])] = &before[i]
	}
	for i := range now {
		k := key(&now[i])
		if old := was[k]; old == nil || !same(*old, now[i]) {
			c.Upserted = append(c.Upserted, now[i])
		}
		delete(was, k)
	}
	for i := range before {
		if k := key(&before[i]); was[k] != nil {
			c.Removed = append(c.Removed, k)
		}
	}
	if len(c.Upserted)+len(c.Removed) == 0 {
		return nil
	}
	return &c
}
