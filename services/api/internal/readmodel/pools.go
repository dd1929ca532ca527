package readmodel

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const settingsPrefix = "$KV." + wire.BucketSettings + "."

// settingsBook is what operators have set.
type settingsBook struct {
	mu     sync.Mutex
	pools  map[string]wire.PoolSettings
	queues map[string]wire.QueueSettings
}

func (b *settingsBook) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pools, b.queues = map[string]wire.PoolSettings{}, map[string]wire.QueueSettings{}
}

func (b *settingsBook) take(batch []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, msg := range batch {
		kind, name, _ := strings.Cut(strings.TrimPrefix(msg.Subject(), settingsPrefix), ".")
		switch {
		case kind == "pool" && removal(msg):
			delete(b.pools, name)
		case kind == "queue" && removal(msg):
			delete(b.queues, name)
		case kind == "pool":
			_ = decodeInto(b.pools, name, msg.Data()) // what cannot be read leaves what was there
		case kind == "queue":
			_ = decodeInto(b.queues, name, msg.Data())
		}
	}
}

func (b *settingsBook) read() (map[string]wire.PoolSettings, map[string]wire.QueueSettings) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.pools), maps.Clone(b.queues)
}

// Pools are all pools that have a process, or that somebody has set something for, by name.
func (m *Model) Pools() []wire.PoolView {
	set, _ := m.set.read()
	b := &m.workers
	b.mu.Lock()
	instances, desired := slices.Collect(maps.Values(b.instances)), maps.Clone(b.desired)
	running := map[string]int{}
	for _, w := range b.living {
		running[w.Pool]++
	}
	b.mu.Unlock()
	pools := map[string]*wire.PoolView{}
	pool := func(name string) *wire.PoolView {
		if pools[name] == nil {
			pools[name] = &wire.PoolView{Name: name, Queues: []string{}, Instances: []wire.InstanceView{}}
		}
		return pools[name]
	}
	slices.SortFunc(instances, func(a, b wire.Instance) int { return strings.Compare(a.Instance, b.Instance) })
	for i := range instances {
		addInstance(pool(instances[i].Pool), &instances[i], desired)
	}
	for name, d := range desired {
		p := pool(name)
		p.Desired, p.Reason, p.ScaledAt, p.Paused = &d.Desired, wire.Text(d.Reason), d.ScaledAt, d.Paused
	}
	for name, s := range set {
		p := pool(name)
		p.Paused = s.Paused
		if s.Min != nil {
			p.Min = *s.Min
		}
		if s.Max != nil {
			p.Max = *s.Max
		}
	}
	out := make([]wire.PoolView, 0, len(pools))
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		p := pools[name]
		p.Running = running[name]
		out = append(out, *p)
	}
	return out
}

func addInstance(p *wire.PoolView, i *wire.Instance, desired map[string]wire.Desired) {
	v := wire.InstanceView{
		ID: i.Instance, Host: i.Host, PID: i.PID, Min: i.Min, Max: i.Max, Running: i.Running, Active: i.Active, Slots: i.Slots,
		BusySlots: i.BusySlots, Draining: i.Draining, StartedAt: i.StartedAt, LastHeartbeat: i.LastHeartbeat,
	}
	if share, told := desired[p.Name].Instances[i.Instance]; told {
		v.Desired = &share
	}
	p.Instances = append(p.Instances, v)
	p.Min += i.Min
	p.Max += i.Max
	for _, q := range i.Queues {
		if !slices.Contains(p.Queues, q) {
			p.Queues = append(p.Queues, q)
		}
	}
}
