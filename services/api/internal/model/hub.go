package model

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// hub makes the live feed: one snapshot for each client, then deltas that are encoded once
// for all of them.
type hub struct {
	model *Model

	mu      sync.Mutex
	seq     uint64
	clients map[*subscription]bool
	recent  []delta // the last ones, for those who come back
	tasks   map[string]*wire.Record
	order   []string
	gone    map[string]bool
	events  []wire.EventView
	sent    sent
	last    time.Time
}

type delta struct {
	seq  uint64
	body []byte
}

// sent is what clients know, so that only what changed is sent.
type sent struct {
	stats   wire.Stats
	workers map[string]wire.WorkerView
	pools   map[string]wire.PoolView
	queues  map[string]wire.QueueView
}

// Times and bounds of the feed.
const (
	deltaEvery   = 250 * time.Millisecond
	deltaAtLeast = 1900 * time.Millisecond
	keptDeltas   = 120
	clientQueue  = 32
	// deltaTasks and deltaEvents bound one delta: of more changes within a quarter of a
	// second the newest are sent. The figures tell that there were more, and lists are
	// asked for again.
	deltaTasks    = 500
	deltaEvents   = 200
	snapshotTasks = 200
	tooSlow       = "the client reads too slowly: connect again"
	stopping      = "the service stops"
)

func newHub(m *Model) *hub {
	return &hub{
		model: m, clients: map[*subscription]bool{}, tasks: map[string]*wire.Record{}, gone: map[string]bool{},
		// Numbers of one process must not be taken for those of another.
		seq: uint64(time.Now().UnixMicro()),
	}
}

func (h *hub) task(r *wire.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) == 0 {
		return
	}
	delete(h.gone, r.ID)
	if h.tasks[r.ID] == nil {
		h.order = append(h.order, r.ID)
		if len(h.order) > 4*deltaTasks { // only the newest are sent anyway
			for _, id := range h.order[:2*deltaTasks] {
				delete(h.tasks, id)
			}
			h.order = slices.Clone(h.order[2*deltaTasks:])
		}
	}
	h.tasks[r.ID] = r
}

func (h *hub) taskGone(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) > 0 {
		delete(h.tasks, id)
		h.gone[id] = true
	}
}

func (h *hub) event(v wire.EventView) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) > 0 {
		h.events = keepLast(append(h.events, v), deltaEvents)
	}
}

func (h *hub) run(ctx context.Context) {
	t := time.NewTicker(deltaEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			h.closeAll()
			return
		case <-t.C:
			h.publish()
		}
	}
}

func (h *hub) publish() {
	h.mu.Lock()
	idle := len(h.clients) == 0
	h.mu.Unlock()
	if idle {
		return
	}
	stats, workers := h.model.Stats(), h.model.Workers()
	pools, queues := h.model.Pools(), h.model.Queues()
	h.mu.Lock()
	defer h.mu.Unlock()
	d := wire.Delta{Type: wire.LiveDelta, At: wire.Now(), Events: h.takeEvents()}
	if d.Tasks = h.takeTasks(); changed(h.sent.stats, stats) {
		d.Stats, h.sent.stats = &stats, stats
	}
	d.Workers = diff(&h.sent.workers, workers.Workers, func(w wire.WorkerView) string { return w.ID },
		func(w wire.WorkerView) wire.WorkerView { w.LastHeartbeatAgoMs = nil; return w })
	d.Pools = diff(&h.sent.pools, pools, func(p wire.PoolView) string { return p.Name }, quietPool)
	d.Queues = diff(&h.sent.queues, queues, func(q wire.QueueView) string { return q.Name },
		func(q wire.QueueView) wire.QueueView {
			if q.OldestWaitMs != nil { // it grows by itself
				q.OldestWaitMs = new(*q.OldestWaitMs / 1000)
			}
			return q
		})
	empty := d.Stats == nil && d.Workers == nil && d.Pools == nil && d.Queues == nil && d.Tasks == nil && len(d.Events) == 0
	if empty && time.Since(h.last) < deltaAtLeast {
		return
	}
	h.send(&d)
}

// quietPool leaves out what changes with every heartbeat.
func quietPool(p wire.PoolView) wire.PoolView {
	p.Instances = slices.Clone(p.Instances)
	for i := range p.Instances {
		p.Instances[i].LastHeartbeat = 0
	}
	return p
}

func (h *hub) send(d *wire.Delta) {
	h.seq++
	d.Seq = h.seq
	body, err := wire.EncodeHTTP(d)
	if err != nil {
		h.model.cfg.Log.Error("a delta cannot be encoded", "err", err)
		return
	}
	h.last = time.Now()
	h.recent = append(h.recent, delta{h.seq, body})
	if len(h.recent) > keptDeltas {
		h.recent = slices.Clone(h.recent[len(h.recent)-keptDeltas:])
	}
	for c := range h.clients {
		select {
		case c.out <- body:
		default: // never waited for
			h.drop(c, tooSlow)
		}
	}
}

func (h *hub) drop(c *subscription, reason string) {
	if h.clients[c] {
		delete(h.clients, c)
		c.reason = reason
		close(c.out)
	}
	if len(h.clients) == 0 {
		h.recent, h.order, h.events = nil, nil, nil
		clear(h.tasks)
		clear(h.gone)
		h.sent = sent{}
	}
}

func (h *hub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		h.drop(c, stopping)
	}
}

func (h *hub) takeEvents() []wire.EventView {
	out := h.events
	if len(out) > deltaEvents {
		out = out[len(out)-deltaEvents:]
	}
	h.events = nil
	return out
}

func (h *hub) takeTasks() *wire.Change[wire.TaskResource] {
	if len(h.tasks) == 0 && len(h.gone) == 0 {
		return nil
	}
	c := &wire.Change[wire.TaskResource]{}
	order := h.order
	if len(order) > deltaTasks {
		order = order[len(order)-deltaTasks:]
	}
	for _, id := range order {
		if r := h.tasks[id]; r != nil {
			t := wire.NewTaskResource(r)
			if t.Result != nil {
				t.Result, t.ResultOmitted = nil, true
			}
			c.Upserted = append(c.Upserted, t)
		}
	}
	for id := range h.gone {
		c.Removed = append(c.Removed, id)
	}
	slices.Sort(c.Removed)
	h.order = nil
	clear(h.tasks)
	clear(h.gone)
	return c
}

// changed tells whether figures differ but for their time.
func changed(a, b wire.Stats) bool {
	a.UpdatedAt, b.UpdatedAt, a.Uptime, b.Uptime = 0, 0, "", ""
	return !reflect.DeepEqual(a, b)
}

// diff is what changed in a list since it was last sent; nil where nothing did. Plain leaves
// out what changes by itself.
func diff[T any](known *map[string]T, now []T, key func(T) string, plain func(T) T) *wire.Change[T] {
	c := &wire.Change[T]{}
	next := make(map[string]T, len(now))
	for _, v := range now {
		k, p := key(v), plain(v)
		if before, there := (*known)[k]; !there || !reflect.DeepEqual(before, p) {
			c.Upserted = append(c.Upserted, v)
		}
		next[k] = p
	}
	for k := range *known {
		if _, there := next[k]; !there {
			c.Removed = append(c.Removed, k)
		}
	}
	*known = next
	if len(c.Upserted) == 0 && len(c.Removed) == 0 {
		return nil
	}
	return c
}

// subscription is one client.
type subscription struct {
	hub    *hub
	out    chan []byte
	reason string
}

// Messages are the encoded messages; closed when the client was cut off or the service stops.
func (s *subscription) Messages() <-chan []byte { return s.out }

// Reason says why the messages ended.
func (s *subscription) Reason() string {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.reason
}

// Close ends the subscription.
func (s *subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s, "closed")
}

// subscribe begins with a snapshot, or after a message that is still kept.
func (h *hub) subscribe(since uint64) *subscription {
	c := &subscription{hub: h, out: make(chan []byte, keptDeltas+clientQueue)}
	h.mu.Lock()
	if first := h.kept(since); first >= 0 {
		for _, d := range h.recent[first:] {
			c.out <- d.body
		}
		h.clients[c] = true
		h.mu.Unlock()
		return c
	}
	h.clients[c] = true // from now on nothing is missed; what comes twice is the same twice
	h.mu.Unlock()
	body, err := h.snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.drop(c, "the snapshot cannot be made: "+err.Error())
		return c
	}
	c.prepend(body)
	return c
}

// prepend puts the snapshot before the deltas that came while it was made.
func (s *subscription) prepend(body []byte) {
	if !s.hub.clients[s] {
		return
	}
	var after [][]byte
	for len(s.out) > 0 {
		after = append(after, <-s.out)
	}
	s.out <- body
	for _, b := range after {
		s.out <- b
	}
}

// kept is where the delta after since lies among the recent ones; -1 where it is no longer kept.
func (h *hub) kept(since uint64) int {
	if since == 0 || len(h.recent) == 0 {
		return -1
	}
	if since == h.seq {
		return len(h.recent)
	}
	for i, d := range h.recent {
		if d.seq == since+1 {
			return i
		}
	}
	return -1
}

func (h *hub) snapshot() ([]byte, error) {
	h.mu.Lock()
	seq := h.seq
	h.mu.Unlock()
	page, err := h.model.Query(httpapi.Query{Sort: "submittedAt", Descending: true, Limit: snapshotTasks})
	if err != nil {
		return nil, err
	}
	for i := range page.Tasks {
		if page.Tasks[i].Result != nil {
			page.Tasks[i].Result, page.Tasks[i].ResultOmitted = nil, true
		}
	}
	s := wire.Snapshot{
		Type: wire.LiveSnapshot, Seq: seq, At: wire.Now(), Stats: h.model.Stats(), Workers: h.model.Workers().Workers,
		Pools: h.model.Pools(), Queues: h.model.Queues(), Tasks: page.Tasks,
	}
	h.model.mu.Lock()
	s.Events = h.model.events.last(keptEvents)
	h.model.mu.Unlock()
	return wire.EncodeHTTP(s)
}
