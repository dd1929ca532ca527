package readmodel

import (
	"maps"
	"slices"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Queues are all queues that hold a task, that a pool serves, or that somebody has set
// something for, by name.
func (m *Model) Queues() []wire.QueueView {
	m.expire()
	queues := map[string]*wire.QueueView{}
	queue := func(name string) *wire.QueueView {
		if queues[name] == nil {
			queues[name] = &wire.QueueView{Name: name, ServedBy: []string{}, Types: map[string]wire.QueueLimits{}}
		}
		return queues[name]
	}
	m.addDepths(queue)
	for _, p := range m.Pools() {
		for _, name := range p.Queues {
			if q := queue(name); len(p.Instances) > 0 {
				q.ServedBy = append(q.ServedBy, p.Name)
			}
		}
	}
	_, set := m.set.read()
	for name, s := range set {
		q := queue(name)
		q.Paused = s.Paused
		q.SetLimits(&s)
	}
	m.addRates(queues)
	out := make([]wire.QueueView, 0, len(queues))
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		out = append(out, *queues[name])
	}
	return out
}

func (m *Model) addDepths(queue func(string) *wire.QueueView) {
	s := m.store
	oldest := s.oldest()
	now := wire.At(s.now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n, name := range s.queues.values {
		if name == "" || s.queues.refs[n] == 0 {
			continue
		}
		q := queue(name)
		if n >= len(s.depth) {
			continue
		}
		d := s.depth[n]
		q.Depth = wire.Depth{Critical: d[0], High: d[1], Medium: d[2], Low: d[3]}
		if due, waits := oldest[uint32(n)]; waits && d != [4]int64{} {
			q.OldestWaitMs = new(max(int64(now-due), 0))
		}
	}
}

func (m *Model) addRates(queues map[string]*wire.QueueView) {
	m.mu.Lock()
	since := m.readySince
	m.mu.Unlock()
	if since.IsZero() {
		return
	}
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, q := range queues {
		number, known := s.queues.numbers[name]
		if !known {
			number = ^uint32(0) // no task, no rate
		}
		q.RateIn, q.RateOut = s.ratesOf(number, since)
	}
}

// oldest is since when the oldest pending task of each queue waits.
func (s *store) oldest() map[uint32]wire.Time {
	out := map[uint32]wire.Time{}
	s.mu.RLock()
	waiting := s.counts[statusPending]
	s.mu.RUnlock()
	if waiting == 0 {
		return out
	}
	s.scan(false, func() {}, func(c *chunk) {
		for i, state := range c.state[:c.used] {
			if state&15 != statusPending+1 {
				continue
			}
			if due, known := out[c.queue[i]]; !known || c.due[i] < due {
				out[c.queue[i]] = c.due[i]
			}
		}
	})
	return out
}
