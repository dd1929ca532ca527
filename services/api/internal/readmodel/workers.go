package readmodel

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	workersPrefix = "$KV." + wire.BucketWorkers + "."
	// endedFor is how long a worker that ended is listed.
	endedFor = time.Minute
	// lossFor is how long a loss makes the system Recovering at least.
	lossFor = 15 * time.Second
	// lossMost bounds how long its tasks can do so: what waits for longer waits for
	// something else.
	lossMost = 10 * time.Minute
)

// workerBook is what the bucket of workers holds, and what became of those that left it.
type workerBook struct {
	mu        sync.Mutex
	living    map[string]wire.Worker
	instances map[string]wire.Instance
	desired   map[string]wire.Desired
	services  map[string]wire.Service
	// ended workers by id; why holds the ends that events told of.
	ended  map[string]wire.EndedWorker
	why    map[string]end
	losses []loss
	// seen holds the keys met while the bucket is read anew; nil at other times.
	seen map[string]bool
}

// end is what an event said of the end of a worker.
type end struct {
	at     wire.Time
	reason string
	// lost: not in order. Over: a hung worker is not, until it is killed.
	lost, over bool
}

// loss is a worker or pool that was lost while it had tasks.
type loss struct {
	what, worker string
	at           wire.Time
	// tasks that are not known to run again or to have ended.
	tasks []string
}

func (b *workerBook) reset() {
	b.living, b.instances, b.desired, b.services = map[string]wire.Worker{}, map[string]wire.Instance{}, map[string]wire.Desired{}, map[string]wire.Service{}
	b.ended, b.why = map[string]wire.EndedWorker{}, map[string]end{}
}

// beginReplay keeps what is known until the replay has shown what is left. (The bucket is in
// memory: after a restart of NATS it is empty, and nobody has died.)
func (b *workerBook) beginReplay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = map[string]bool{}
}

func (b *workerBook) endReplay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		return
	}
	dropUnseen(b.living, func(id string) bool { return b.seen[id] })
	dropUnseen(b.instances, func(k string) bool { return b.seen[k] })
	dropUnseen(b.services, func(k string) bool { return b.seen[k] })
	dropUnseen(b.desired, func(pool string) bool { return b.seen[wire.DesiredKey(pool)] })
	b.seen = nil
}

func dropUnseen[T any](m map[string]T, seen func(string) bool) {
	for k := range m {
		if !seen(k) {
			delete(m, k)
		}
	}
}

func (m *Model) takeWorkers(batch []message) {
	for _, msg := range batch {
		key := strings.TrimPrefix(msg.Subject(), workersPrefix)
		if removal(msg) {
			m.dropWorkerKey(key, expired(msg), wire.At(msg.at))
			continue
		}
		if err := m.workers.put(key, msg.Data()); err != nil {
			m.log.Warn("a key of the bucket of workers cannot be read", "key", key, obs.KeyErr, err)
		}
	}
}

func (b *workerBook) put(key string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen != nil {
		b.seen[key] = true
	}
	kind, rest, own := strings.Cut(key, ".")
	switch {
	case !own && b.over(key):
		return nil // a heartbeat that was on its way when the worker ended
	case !own:
		return decodeInto(b.living, key, data)
	case kind == "instance":
		return decodeInto(b.instances, key, data)
	case kind == "service":
		return decodeInto(b.services, key, data)
	case kind == "desired":
		return decodeInto(b.desired, rest, data)
	}
	return nil
}

// over tells whether an event has told of a worker's end. Numbers of workers are never used again.
func (b *workerBook) over(id string) bool {
	why, told := b.why[id]
	return told && why.over
}

func decodeInto[T any](m map[string]T, key string, data []byte) error {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	m[key] = v
	return nil
}

// dropWorkerKey takes a key away; a worker or pool whose key expired was lost.
func (m *Model) dropWorkerKey(key string, lost bool, at wire.Time) {
	b := &m.workers
	b.mu.Lock()
	defer b.mu.Unlock()
	kind, rest, own := strings.Cut(key, ".")
	switch {
	case !own:
		w, known := b.living[key]
		if delete(b.living, key); known {
			m.endWorker(&w, at, lost)
		}
	case kind == "instance":
		i, known := b.instances[key]
		if delete(b.instances, key); known && lost && !i.Draining {
			b.lose(loss{what: "a process of pool " + i.Pool, at: at})
		}
	case kind == "service":
		delete(b.services, key)
	case kind == "desired":
		delete(b.desired, rest)
	}
}

// endWorker lists a worker whose key is gone among the ended ones; it needs the book's lock.
func (m *Model) endWorker(w *wire.Worker, at wire.Time, lost bool) {
	b := &m.workers
	view := wire.NewWorkerView(w, at)
	view.AssignedTasks, view.Tasks = 0, []string{}
	ended := wire.EndedWorker{WorkerView: view, EndedAt: at, Reason: "stopped"}
	if why, told := b.why[w.ID]; told {
		ended.EndedAt, ended.Reason = why.at, wire.Text(why.reason)
	} else if lost {
		ended.Reason = "lost: its heartbeat ended"
		b.lose(loss{what: w.ID, worker: w.ID, at: at, tasks: append(slices.Clone(w.Tasks), m.runningOn(w.ID)...)})
	}
	b.ended[w.ID] = ended
	b.forgetEnded(at)
}

// workerEnded takes an event that tells of the end of a worker.
func (m *Model) workerEnded(e *wire.Event) {
	b := &m.workers
	b.mu.Lock()
	defer b.mu.Unlock()
	why := end{at: e.Timestamp, reason: e.Data.Reason, lost: e.Event != wire.EventWorkerStop, over: e.Event != wire.EventWorkerHung}
	if why.reason == "" {
		why.reason = strings.TrimPrefix(string(e.Event), "worker.")
	}
	b.why[e.WorkerID] = why
	if why.lost {
		b.lose(loss{what: e.WorkerID, worker: e.WorkerID, at: e.Timestamp, tasks: append(slices.Clone(e.Data.Tasks), m.runningOn(e.WorkerID)...)})
	}
	w, lives := b.living[e.WorkerID]
	if lives && why.over {
		delete(b.living, e.WorkerID)
		m.endWorker(&w, e.Timestamp, why.lost)
	} else if ended, gone := b.ended[e.WorkerID]; gone {
		ended.EndedAt, ended.Reason = why.at, wire.Text(why.reason)
		b.ended[e.WorkerID] = ended
	} else if !lives && wire.Now().Sub(e.Timestamp) < endedFor {
		view := wire.NewWorkerView(&wire.Worker{ID: e.WorkerID, Pool: e.Pool, Host: e.Data.Host, PID: e.Data.PID, Status: wire.WorkerDraining}, e.Timestamp)
		b.ended[e.WorkerID] = wire.EndedWorker{WorkerView: view, EndedAt: why.at, Reason: wire.Text(why.reason)}
	}
	b.forgetEnded(wire.Now())
}

func (b *workerBook) forgetEnded(now wire.Time) {
	for id, w := range b.ended {
		if now.Sub(w.EndedAt) > endedFor {
			delete(b.ended, id)
		}
	}
	for id, w := range b.why {
		if _, lives := b.living[id]; !lives && now.Sub(w.at) > endedFor {
			delete(b.why, id)
		}
	}
}

// lose notes a loss; one that is known of the same worker already is not told twice.
func (b *workerBook) lose(l loss) {
	now := wire.Now()
	slices.Sort(l.tasks)
	l.tasks = slices.Compact(l.tasks) // by the heartbeat or event, and by the records
	b.losses = slices.DeleteFunc(b.losses, func(o loss) bool { return now.Sub(o.at) > lossMost })
	if now.Sub(l.at) > lossMost {
		return
	}
	if i := slices.IndexFunc(b.losses, func(o loss) bool { return o.worker != "" && o.worker == l.worker }); i >= 0 {
		all := append(b.losses[i].tasks, l.tasks...)
		slices.Sort(all)
		b.losses[i].tasks = slices.Compact(all)
		return
	}
	b.losses = append(b.losses, l)
}

// runningOn lists the tasks in progress on a worker by their records, sorted.
func (m *Model) runningOn(worker string) []string {
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	number, known := s.workers.numbers[worker]
	if !known {
		return nil
	}
	var ids []string
	for slot := range s.running[number] {
		c, i := s.at(slot)
		ids = append(ids, c.id[i])
	}
	slices.Sort(ids)
	return ids
}

// Workers are the living workers, listed once their CPU and memory were measured, and those
// that ended in the last 60 s. Their tasks are those in progress by the records.
func (m *Model) Workers() wire.WorkersAnswer {
	now := wire.Now()
	out := wire.WorkersAnswer{Workers: []wire.WorkerView{}, Ended: []wire.EndedWorker{}, UpdatedAt: now}
	b := &m.workers
	b.mu.Lock()
	var living []wire.Worker
	for _, w := range b.living {
		if w.CPUPercent != nil && w.MemoryMb != nil {
			living = append(living, w)
		}
	}
	for _, w := range b.ended {
		if _, again := b.living[w.ID]; !again && now.Sub(w.EndedAt) <= endedFor {
			if w.LastHeartbeat > 0 {
				w.LastHeartbeatAgoMs = new(max(int64(now-w.LastHeartbeat), 0))
			}
			out.Ended = append(out.Ended, w)
		}
	}
	b.mu.Unlock()
	for i := range living {
		out.Workers = append(out.Workers, m.workerView(&living[i], now))
	}
	slices.SortFunc(out.Workers, func(a, b wire.WorkerView) int { return byWorker(a.ID, b.ID) })
	slices.SortFunc(out.Ended, func(a, b wire.EndedWorker) int { return byWorker(a.ID, b.ID) })
	return out
}

func (m *Model) workerView(w *wire.Worker, now wire.Time) wire.WorkerView {
	v := wire.NewWorkerView(w, now)
	if v.Tasks = m.runningOn(w.ID); v.Tasks == nil {
		v.Tasks = []string{}
	}
	v.AssignedTasks = len(v.Tasks)
	switch v.Status {
	case wire.WorkerStarting, wire.WorkerDraining, wire.WorkerHung: // the pool knows better
	case wire.WorkerIdle, wire.WorkerActive, wire.WorkerBusy:
		v.Status = wire.WorkerActive // as of now, not of the last heartbeat
		if v.AssignedTasks == 0 {
			v.Status = wire.WorkerIdle
		} else if v.AssignedTasks >= v.Concurrency {
			v.Status = wire.WorkerBusy
		}
	}
	return v
}

// byWorker orders `worker-2` before `worker-10`.
func byWorker(a, b string) int {
	if n, m := workerNumber(a), workerNumber(b); n != m {
		return n - m
	}
	return strings.Compare(a, b)
}

func workerNumber(id string) int {
	n, err := strconv.Atoi(id[strings.LastIndexByte(id, '-')+1:])
	if err != nil {
		return -1
	}
	return n
}
