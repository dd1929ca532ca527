package core

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// parcelTime is how long the pool that takes a parcel may need to start all of it: for so
	// long a task of a higher priority may find its slots taken.
	parcelTime = time.Millisecond
	// staleService is for how long a pool's word on how long tasks take is believed.
	staleService = time.Minute
)

// Service knows how long tasks take and how many a pool runs at once, from the heartbeats of
// pools, which it hears as they are stored. What it misses is said again a heartbeat later.
type Service struct {
	sub *nats.Subscription

	mu    sync.Mutex
	pools map[string]heard // by the subject of their heartbeats
	// merged is what costs said last, of that time; not what it would say where nil.
	merged map[string]time.Duration
	at     time.Time
}

// heard is what a pool process last said.
type heard struct {
	at    time.Time
	costs map[string]time.Duration
}

func newService(nc *nats.Conn) (*Service, error) {
	s := &Service{pools: map[string]heard{}}
	var err error
	s.sub, err = nc.Subscribe(wire.KVSubject(wire.BucketWorkers, wire.InstanceKey("*", "*")), s.hear)
	if err != nil {
		return nil, fmt.Errorf("follow the heartbeats of pools: %w", err)
	}
	return s, nil
}

func (s *Service) hear(m *nats.Msg) {
	var i wire.Instance
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &i) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merged = nil
	if len(i.ServiceUs) == 0 || i.Slots <= 0 { // gone, or it has run nothing yet
		delete(s.pools, m.Subject)
		return
	}
	costs := make(map[string]time.Duration, len(i.ServiceUs))
	for taskType, us := range i.ServiceUs {
		costs[taskType] = max(time.Duration(us)*time.Microsecond, time.Nanosecond) / time.Duration(i.Slots)
	}
	s.pools[m.Subject] = heard{at: time.Now(), costs: costs}
}

// costs are how much longer a parcel occupies its pool for each task of a type in it, in the
// pool where that is longest. A type that is not there has run nowhere of late. What is
// returned must not be changed.
func (s *Service) costs() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.merged != nil && time.Since(s.at) < time.Second {
		return s.merged
	}
	out := map[string]time.Duration{}
	for subject, h := range s.pools {
		if time.Since(h.at) > staleService {
			delete(s.pools, subject)
			continue
		}
		for taskType, cost := range h.costs {
			out[taskType] = max(out[taskType], cost)
		}
	}
	s.merged, s.at = out, time.Now()
	return out
}
