// Package presence shows a pool process and its workers in the bucket of the living, and
// measures what the workers use.
package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/shirou/gopsutil/v3/process"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a Board.
type Config struct {
	NC        *nats.Conn
	Heartbeat time.Duration
	// Instance names this pool process in wire.Worker.Instance.
	Instance string
	// Workers and Self describe what there is now.
	Workers func() []wire.Worker
	Self    func() wire.Instance
	Log     *slog.Logger
}

// Board publishes heartbeats. They are plain messages to the subjects of keys, each with a
// life of a few heartbeats: what is lost is said again.
type Board struct {
	cfg  Config
	ttl  string
	wake chan struct{}

	mu      sync.Mutex
	samples map[string]*sample
	gone    map[string]time.Time // workers that have ended: no late heartbeat may revive them
}

// sample measures one process.
type sample struct {
	proc     *process.Process
	cpu      float64 // seconds used until at
	at       time.Time
	percent  float64
	memoryMb float64
	measured bool
}

const (
	// leastTTL is because the server counts whole seconds.
	leastTTL = 2 * time.Second
	// changesEvery bounds how often changes between heartbeats are shown.
	changesEvery = 100 * time.Millisecond
	// shortest is the shortest time that a share of the CPU is measured over.
	shortest = 50 * time.Millisecond
	// rememberGone is longer than any heartbeat is under way.
	rememberGone = 10 * time.Second
)

// New makes a board.
func New(cfg Config) *Board {
	ttl := max(3*cfg.Heartbeat, leastTTL)
	return &Board{
		cfg: cfg, ttl: strconv.Itoa(int(math.Ceil(ttl.Seconds()))), wake: make(chan struct{}, 1),
		samples: map[string]*sample{}, gone: map[string]time.Time{},
	}
}

// Noted says that something changed which people should see before the next heartbeat.
func (b *Board) Noted() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends, then takes this process's own key away.
func (b *Board) Run(ctx context.Context) {
	beat := time.NewTicker(b.cfg.Heartbeat)
	defer beat.Stop()
	for {
		b.publish(true)
		if !b.rest(ctx, beat.C) {
			self := b.cfg.Self()
			b.drop(wire.InstanceKey(self.Pool, self.Instance))
			return
		}
	}
}

// rest waits for the next heartbeat and publishes changes meanwhile; false when ctx ends.
func (b *Board) rest(ctx context.Context, beat <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-beat:
			return true
		case <-b.wake:
			b.publish(false)
		}
		pause := time.NewTimer(changesEvery)
		select {
		case <-ctx.Done():
			pause.Stop()
			return false
		case <-beat:
			pause.Stop()
			return true
		case <-pause.C:
		}
	}
}

// publish shows all workers, measured anew with each heartbeat.
func (b *Board) publish(measure bool) {
	now := time.Now()
	for _, w := range b.cfg.Workers() {
		w.Instance = b.cfg.Instance
		b.mu.Lock()
		if _, gone := b.gone[w.ID]; !gone {
			b.measure(&w, now, measure)
			b.put(w.ID, w)
		}
		b.mu.Unlock()
	}
	self := b.cfg.Self()
	b.put(wire.InstanceKey(self.Pool, self.Instance), self)
	if err := b.cfg.NC.Flush(); err != nil {
		b.cfg.Log.Debug("heartbeats are not on their way", obs.Err(err))
	}
}

// measure fills in CPU and memory. It needs the lock.
func (b *Board) measure(w *wire.Worker, now time.Time, again bool) {
	s := b.samples[w.ID]
	if s == nil {
		p, err := process.NewProcess(int32(w.PID))
		if err != nil {
			return // it has just ended
		}
		s = &sample{proc: p, at: w.StartedAt.Time()}
		b.samples[w.ID] = s
	}
	if again || !s.measured {
		s.take(now)
	}
	if s.measured {
		w.CPUPercent, w.MemoryMb = new(s.percent), new(s.memoryMb)
	}
}

func (s *sample) take(now time.Time) {
	memory, err := s.proc.MemoryInfo()
	if err != nil {
		return
	}
	times, err := s.proc.Times()
	if err != nil {
		return
	}
	cpu := times.User + times.System
	if over := now.Sub(s.at); over >= shortest {
		s.percent = round(max(cpu-s.cpu, 0) / over.Seconds() * 100)
		s.cpu, s.at = cpu, now
	}
	s.memoryMb, s.measured = round(float64(memory.RSS)/(1<<20)), true
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// Gone takes a worker away.
func (b *Board) Gone(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for old, at := range b.gone {
		if now.Sub(at) > rememberGone {
			delete(b.gone, old)
		}
	}
	b.gone[id] = now
	delete(b.samples, id)
	b.drop(id)
}

func (b *Board) put(key string, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		b.cfg.Log.Error("a heartbeat does not encode", "key", key, obs.Err(err))
		return
	}
	m := nats.NewMsg(wire.KVSubject(wire.BucketWorkers, key))
	m.Header.Set(wire.HeaderTTL, b.ttl)
	m.Data = body
	b.send(m)
}

func (b *Board) drop(key string) {
	m := nats.NewMsg(wire.KVSubject(wire.BucketWorkers, key))
	m.Header.Set(wire.HeaderKVOperation, "PURGE")
	m.Header.Set(wire.HeaderRollup, "sub")
	m.Header.Set(wire.HeaderTTL, strconv.Itoa(int(topology.WorkerMarkerTTL.Seconds())))
	b.send(m)
}

func (b *Board) send(m *nats.Msg) {
	if err := b.cfg.NC.PublishMsg(m); err != nil {
		b.cfg.Log.Debug("a heartbeat was not sent", obs.Err(err)) // the next one says it again
	}
}
