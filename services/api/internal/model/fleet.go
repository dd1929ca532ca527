package model

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// fleet is who is alive, and what operators set.
type fleet struct {
	workers   map[string]*wire.Worker
	ended     map[string]wire.EndedWorker
	instances map[string]*wire.Instance // by key
	desired   map[string]*wire.Desired
	services  map[string]*wire.Service // by key
	pools     map[string]*wire.PoolSettings
	queues    map[string]*wire.QueueSettings
}

// keepEnded is how long a worker that ended is listed.
const keepEnded = time.Minute

func (f *fleet) reset() {
	f.workers, f.instances = map[string]*wire.Worker{}, map[string]*wire.Instance{}
	f.desired, f.services = map[string]*wire.Desired{}, map[string]*wire.Service{}
	if f.ended == nil {
		f.ended = map[string]wire.EndedWorker{}
		f.pools, f.queues = map[string]*wire.PoolSettings{}, map[string]*wire.QueueSettings{}
	}
}

func decodeInto[T any](into map[string]*T, key string, body []byte) {
	var v T
	if json.Unmarshal(body, &v) == nil {
		into[key] = &v
	}
}

func (m *Model) workersFeed() *follower {
	prefix := wire.KVSubject(wire.BucketWorkers, "")
	return &follower{
		from: everything(jetstream.DeliverLastPerSubjectPolicy, prefix+">"),
		reset: func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.fleet.reset()
		},
		each: func(msg jetstream.Msg, _ *jetstream.MsgMetadata) {
			m.mu.Lock()
			defer m.mu.Unlock()
			key := strings.TrimPrefix(msg.Subject(), prefix)
			if isGone(msg) {
				m.vanish(key, msg.Headers().Get("Nats-Marker-Reason") != "")
				return
			}
			m.appear(key, msg.Data())
		},
	}
}

func (m *Model) appear(key string, body []byte) {
	f := &m.fleet
	kind, _, own := strings.Cut(key, ".")
	switch {
	case !own:
		decodeInto(f.workers, key, body)
		delete(f.ended, key)
	case kind == "instance":
		decodeInto(f.instances, key, body)
	case kind == "desired":
		decodeInto(f.desired, strings.TrimPrefix(key, "desired."), body)
	case kind == "service":
		decodeInto(f.services, key, body)
	}
}

// vanish is the end of a key; expired tells that nobody took it away in order.
func (m *Model) vanish(key string, expired bool) {
	f := &m.fleet
	kind, _, own := strings.Cut(key, ".")
	switch {
	case !own:
		m.end(key, "its pool was lost", expired)
	case kind == "instance":
		if i := f.instances[key]; i != nil && expired && !i.Draining {
			m.losses.add("pool "+i.Pool+" on "+i.Host+" was lost", m.tasksOfInstance(i.Instance))
		}
		delete(f.instances, key)
	case kind == "desired":
		delete(f.desired, strings.TrimPrefix(key, "desired."))
	case kind == "service":
		delete(f.services, key)
	}
}

func (m *Model) tasksOfInstance(instance string) []string {
	var ids []string
	for _, w := range m.fleet.workers {
		if w.Instance == instance {
			ids = append(ids, m.store.running(w.ID)...)
		}
	}
	return ids
}

// end moves a worker to those that ended, with the figures of its last heartbeat.
func (m *Model) end(id, reason string, lost bool) {
	w := m.fleet.workers[id]
	if w == nil {
		return
	}
	delete(m.fleet.workers, id)
	now := wire.Now()
	if e, known := m.fleet.ended[id]; known {
		e.WorkerView = wire.NewWorkerView(w, now)
		m.fleet.ended[id] = e
		return
	}
	if lost {
		m.losses.add(id+" was lost", m.store.running(id))
	} else {
		reason = "stopped"
	}
	m.fleet.ended[id] = wire.EndedWorker{WorkerView: wire.NewWorkerView(w, now), EndedAt: now, Reason: wire.Text(reason)}
}

// tell takes the reason of a worker's end from its event.
func (m *Model) tell(e *wire.Event) {
	reason := e.Data.Reason
	if reason == "" {
		reason = strings.TrimPrefix(string(e.Event), "worker.")
	}
	if time.Since(e.Timestamp.Time()) > keepEnded {
		return
	}
	ended, known := m.fleet.ended[e.WorkerID]
	if !known {
		ended = wire.EndedWorker{WorkerView: wire.NewWorkerView(&wire.Worker{ID: e.WorkerID, Pool: e.Pool, Host: e.Data.Host, PID: e.Data.PID}, wire.Now())}
		if w := m.fleet.workers[e.WorkerID]; w != nil {
			ended.WorkerView = wire.NewWorkerView(w, wire.Now())
			if e.Event != wire.EventWorkerHung { // it is killed, and then lost
				delete(m.fleet.workers, e.WorkerID)
			}
		}
	}
	ended.EndedAt, ended.Reason = e.Timestamp, wire.Text(reason)
	if e.Event != wire.EventWorkerHung || !known {
		m.fleet.ended[e.WorkerID] = ended
	}
}

func (m *Model) settingsFeed() *follower {
	prefix := wire.KVSubject(wire.BucketSettings, "")
	return &follower{
		from: everything(jetstream.DeliverLastPerSubjectPolicy, prefix+"pool.*", prefix+"queue.*"),
		each: func(msg jetstream.Msg, _ *jetstream.MsgMetadata) {
			m.mu.Lock()
			defer m.mu.Unlock()
			kind, name, _ := strings.Cut(strings.TrimPrefix(msg.Subject(), prefix), ".")
			switch {
			case kind == "pool" && isGone(msg):
				delete(m.fleet.pools, name)
			case kind == "pool":
				decodeInto(m.fleet.pools, name, msg.Data())
			case isGone(msg):
				delete(m.fleet.queues, name)
			default:
				decodeInto(m.fleet.queues, name, msg.Data())
			}
		},
	}
}

// Workers lists the living, once their first sample is there, and those that ended lately.
func (m *Model) Workers() wire.WorkersAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers()
}

func (m *Model) workers() wire.WorkersAnswer {
	now := wire.Now()
	out := wire.WorkersAnswer{Workers: []wire.WorkerView{}, Ended: []wire.EndedWorker{}, UpdatedAt: now}
	for _, w := range m.fleet.workers {
		if w.CPUPercent == nil || w.MemoryMb == nil {
			continue
		}
		v := wire.NewWorkerView(w, now)
		v.Tasks = m.store.running(w.ID)
		slices.Sort(v.Tasks)
		if v.Tasks == nil {
			v.Tasks = []string{}
		}
		v.AssignedTasks = len(v.Tasks)
		v.Status = statusOf(v)
		out.Workers = append(out.Workers, v)
	}
	for id, e := range m.fleet.ended {
		if now.Sub(e.EndedAt) > keepEnded {
			delete(m.fleet.ended, id)
		} else if m.fleet.workers[id] == nil {
			out.Ended = append(out.Ended, e)
		}
	}
	slices.SortFunc(out.Workers, func(a, b wire.WorkerView) int { return compareIDs(a.ID, b.ID) })
	slices.SortFunc(out.Ended, func(a, b wire.EndedWorker) int { return int(b.EndedAt - a.EndedAt) })
	return out
}

// statusOf is a worker's status by the tasks it has now, where it is one of those that tell
// how many: the heartbeat's may be older than the records.
func statusOf(w wire.WorkerView) wire.WorkerStatus {
	switch {
	case w.Status != wire.WorkerIdle && w.Status != wire.WorkerActive && w.Status != wire.WorkerBusy:
		return w.Status
	case w.AssignedTasks == 0:
		return wire.WorkerIdle
	case w.AssignedTasks < w.Concurrency:
		return wire.WorkerActive
	}
	return wire.WorkerBusy
}

// compareIDs puts worker-9 before worker-10.
func compareIDs(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Pools lists the pools that have processes, or settings.
func (m *Model) Pools() []wire.PoolView {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pools()
}

func (m *Model) pools() []wire.PoolView {
	by := map[string]*wire.PoolView{}
	pool := func(name string) *wire.PoolView {
		if by[name] == nil {
			by[name] = &wire.PoolView{Name: name, Queues: []string{}, Instances: []wire.InstanceView{}}
		}
		return by[name]
	}
	for _, i := range m.fleet.instances {
		p := pool(i.Pool)
		v := wire.InstanceView{
			ID: i.Instance, Host: i.Host, PID: i.PID, Min: i.Min, Max: i.Max, Running: i.Running, Active: i.Active,
			Slots: i.Slots, BusySlots: i.BusySlots, Draining: i.Draining, StartedAt: i.StartedAt, LastHeartbeat: i.LastHeartbeat,
		}
		if d := m.fleet.desired[i.Pool]; d != nil {
			if n, known := d.Instances[i.Instance]; known {
				v.Desired = &n
			}
		}
		p.Min, p.Max, p.Running = p.Min+i.Min, p.Max+i.Max, p.Running+i.Running
		p.Instances = append(p.Instances, v)
		for _, q := range i.Queues {
			if !slices.Contains(p.Queues, q) {
				p.Queues = append(p.Queues, q)
			}
		}
	}
	for name, set := range m.fleet.pools {
		p := pool(name)
		p.Paused = set.Paused
		if set.Min != nil {
			p.Min = *set.Min
		}
		if set.Max != nil {
			p.Max = *set.Max
		}
	}
	out := make([]wire.PoolView, 0, len(by))
	for name, p := range by {
		if d := m.fleet.desired[name]; d != nil {
			p.Desired, p.Reason, p.ScaledAt = &d.Desired, wire.Text(d.Reason), d.ScaledAt
		}
		slices.SortFunc(p.Instances, func(a, b wire.InstanceView) int { return strings.Compare(a.Host+a.ID, b.Host+b.ID) })
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b wire.PoolView) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Queues lists the queues that have tasks, pools or settings.
func (m *Model) Queues() []wire.QueueView {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queues()
}

func (m *Model) queues() []wire.QueueView {
	served := map[string][]string{}
	for _, i := range m.fleet.instances {
		for _, q := range i.Queues {
			if !slices.Contains(served[q], i.Pool) {
				served[q] = append(served[q], i.Pool)
			}
		}
	}
	names := m.store.queueNames()
	for q := range served {
		names = append(names, q)
	}
	for q := range m.fleet.queues {
		names = append(names, q)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	now := wire.Now()
	out := make([]wire.QueueView, 0, len(names))
	for _, name := range names {
		v := wire.QueueView{Name: name, ServedBy: served[name], Types: map[string]wire.QueueLimits{}}
		if v.ServedBy == nil {
			v.ServedBy = []string{}
		}
		slices.Sort(v.ServedBy)
		if set := m.fleet.queues[name]; set != nil {
			v.Paused = set.Paused
		}
		var oldest wire.Time
		if v.Depth, oldest = m.store.depth(name); oldest > 0 {
			v.OldestWaitMs = new(max(int64(now-oldest), 0))
		}
		in, gone := m.rates[name].perSecond(now)
		v.RateIn, v.RateOut = &in, &gone
		out = append(out, v)
	}
	return out
}

// rates counts, per second of the last minute, the tasks of a queue that came to wait and
// those that were started.
type rates struct {
	at      [ratesWindow]int64
	in, out [ratesWindow]int64
}

const ratesWindow = 60

func (r *rates) slot(now wire.Time) int {
	second := int64(now) / 1000
	i := int(second % ratesWindow)
	if r.at[i] != second {
		r.at[i], r.in[i], r.out[i] = second, 0, 0
	}
	return i
}

func (r *rates) perSecond(now wire.Time) (in, out float64) {
	if r == nil {
		return 0, 0
	}
	second := int64(now) / 1000
	for i := range r.at {
		if r.at[i] > second-ratesWindow {
			in, out = in+float64(r.in[i]), out+float64(r.out[i])
		}
	}
	return in / ratesWindow, out / ratesWindow
}

// countRates takes a change of state into the rates; the caller holds the lock.
func (m *Model) countRates(was wire.Status, r *wire.Record) {
	if !m.ready[feedTasks].Load() || was == r.Status {
		return
	}
	now := wire.Now()
	if m.rates[r.Queue] == nil {
		m.rates[r.Queue] = &rates{}
	}
	q := m.rates[r.Queue]
	i := q.slot(now)
	waited := was == wire.StatusPending
	if r.Status == wire.StatusPending || !waited && r.Status != wire.StatusScheduled && was == "" {
		q.in[i]++
	}
	if r.Status == wire.StatusInProgress || r.Status.Ended() && waited {
		q.out[i]++
	}
}
