// Package live is the feed behind /ws, less the socket: a snapshot first, then what has
// changed, at most four times and at least once in two seconds.
//
// Every message is encoded once and its bytes are shared by all clients. A client has a
// bounded queue; one that does not keep up is closed with a reason, never waited for. The
// last messages are kept, so that a client that was cut off can go on where it was.
//
// A message tells no more than MaxTasks, MaxRemoved and MaxEvents allow: under load it has
// what changed last. Tasks come without their results.
package live

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// interval is the shortest time between two messages, longest the longest.
	interval = 250 * time.Millisecond
	longest  = 2 * time.Second
	// queued is how many messages a client may be behind, resumed how many it may have missed
	// and be told again.
	queued  = 32
	resumed = 224
	// keptMessages and keptBytes bound what is kept for those who come back.
	keptMessages = 480
	keptBytes    = 16 << 20
	// lingers is how long changes are followed after the last client has left.
	lingers = 2 * time.Minute
)

// Hub makes the feed for all clients of one API.
type Hub struct {
	source Source
	log    *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	clients map[*Subscription]struct{}
	joining []*Subscription
	// watched tells that changes are collected.
	watched bool
	ended   bool

	// The rest belongs to Run.
	seq      uint64
	kept     []message
	bytes    int
	snapshot []byte
	// last is the state that clients have been told, newest the last event.
	last   state
	newest wire.Position
	// told is when the last message was made, left when the last client was seen.
	told, left time.Time
}

type message struct {
	seq  uint64
	body []byte
}

// NewHub makes a hub; Run does its work.
func NewHub(source Source, log *slog.Logger) *Hub {
	return &Hub{
		source: source, log: log, wake: make(chan struct{}, 1), clients: map[*Subscription]struct{}{},
		// Numbers of one API do not meet those of another, or of an earlier start: at four
		// a second they never catch up with the clock.
		seq: uint64(time.Now().UnixMicro()),
	}
}

// Subscribe adds a client. It begins after the message of this number where that is still
// kept, else, and for 0, with a snapshot.
func (h *Hub) Subscribe(since uint64) *Subscription {
	s := &Subscription{hub: h, since: since, messages: make(chan []byte, queued+resumed)}
	h.mu.Lock()
	if h.ended {
		s.finish(reasonStopped)
	} else {
		h.joining = append(h.joining, s)
	}
	h.mu.Unlock()
	h.poke()
	return s
}

// Watched tells whether anybody is, or was lately, interested in changes.
func (h *Hub) Watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watched
}

func (h *Hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run makes messages until ctx ends, then closes all clients.
func (h *Hub) Run(ctx context.Context) {
	defer h.end()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
			h.admit()
		case <-tick.C:
			h.step(time.Now())
		}
	}
}

func (h *Hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for _, s := range h.joining {
		s.finish(reasonStopped)
	}
	for s := range h.clients {
		s.finish(reasonStopped)
	}
	h.joining, h.clients = nil, map[*Subscription]struct{}{}
	h.source.Collect(false)
}

// step makes one message where there is something to tell.
func (h *Hub) step(now time.Time) {
	h.mu.Lock()
	watched, anybody := h.watched, len(h.clients) > 0
	h.mu.Unlock()
	switch {
	case !watched:
		return
	case anybody:
		h.left = now
	case now.Sub(h.left) > lingers:
		h.rest()
		return
	}
	changes, next := h.source.Changes(), h.read()
	changes.Events = h.unheard(changes.Events)
	delta := next.since(&h.last, changes, now.Sub(h.told) >= longest-interval)
	h.last = next
	if delta == nil {
		return
	}
	h.told = now
	h.seq++
	delta.Type, delta.Seq, delta.At = wire.LiveDelta, h.seq, wire.At(now)
	h.tell(delta)
}

// unheard leaves out the events that a snapshot has told already.
func (h *Hub) unheard(events []wire.EventView) []wire.EventView {
	last := h.newest
	out := events[:0]
	for _, e := range events {
		if pos := position(&e); h.newest.Before(pos) {
			out = append(out, e)
			if last.Before(pos) {
				last = pos
			}
		}
	}
	h.newest = last
	return out
}

func position(e *wire.EventView) wire.Position {
	pos, err := wire.ParsePosition(e.Seq)
	if err != nil {
		return wire.Position{}
	}
	return pos
}

// rest stops following changes: nobody has listened for a while.
func (h *Hub) rest() {
	h.mu.Lock()
	h.watched = false
	h.mu.Unlock()
	h.source.Collect(false)
	h.kept, h.bytes, h.snapshot, h.last = nil, 0, nil, state{}
	h.seq++ // what was missed is not to be resumed over
}

func (h *Hub) read() state {
	return state{h.source.Stats(), h.source.Workers().Workers, h.source.Pools(), h.source.Queues()}
}

// tell sends a delta to all clients and keeps it.
func (h *Hub) tell(delta *wire.Delta) {
	body, err := wire.EncodeHTTP(delta)
	if err != nil {
		h.log.Error("a message of the live feed does not encode", obs.KeyErr, err)
		return
	}
	h.snapshot = nil
	h.keep(message{h.seq, body})
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.clients {
		if !s.send(body) {
			delete(h.clients, s)
			s.finish(reasonSlow)
		}
	}
}

func (h *Hub) keep(m message) {
	h.kept = append(h.kept, m)
	h.bytes += len(m.body)
	n := 0
	for len(h.kept)-n > keptMessages || h.bytes > keptBytes && len(h.kept)-n > 1 {
		h.bytes -= len(h.kept[n].body)
		n++
	}
	h.kept = slices.Delete(h.kept, 0, n)
}

// admit gives those who join their first messages, and the same place in the feed as all.
func (h *Hub) admit() {
	h.mu.Lock()
	joining := h.joining
	h.joining = nil
	begin := len(joining) > 0 && !h.watched
	h.watched = h.watched || begin
	h.mu.Unlock()
	if begin {
		h.begin()
	}
	for _, s := range joining {
		first, err := h.first(s.since)
		h.mu.Lock()
		switch {
		case err != nil:
			h.log.Warn("a client of the live feed gets no snapshot", obs.KeyErr, err)
			s.finish(reasonFailed)
		case s.closed:
		default:
			s.begin(first)
			h.clients[s] = struct{}{}
		}
		h.mu.Unlock()
	}
}

// begin starts to follow changes.
func (h *Hub) begin() {
	h.source.Collect(true)
	h.last, h.left, h.told = h.read(), time.Now(), time.Now()
	h.newest = wire.Position{}
	if newest := h.source.NewestEvents(1); len(newest) > 0 {
		h.newest = position(&newest[0])
	}
}

// first is what a client gets first: the messages it has missed, or a snapshot.
func (h *Hub) first(since uint64) ([][]byte, error) {
	if since == h.seq {
		return nil, nil
	}
	i := slices.IndexFunc(h.kept, func(m message) bool { return m.seq == since+1 })
	if i >= 0 && len(h.kept)-i <= resumed {
		missed := make([][]byte, 0, len(h.kept)-i)
		for _, m := range h.kept[i:] {
			missed = append(missed, m.body)
		}
		return missed, nil
	}
	if h.snapshot == nil {
		if err := h.makeSnapshot(); err != nil {
			return nil, err
		}
	}
	return [][]byte{h.snapshot}, nil
}

// makeSnapshot shows what the messages up to now have told, so that the next one fits. Tasks
// may be newer; what is newer in them is told again.
func (h *Hub) makeSnapshot() error {
	tasks, err := h.source.NewestTasks(SnapshotTasks)
	if err != nil {
		return fmt.Errorf("read the newest tasks: %w", err)
	}
	events := slices.DeleteFunc(h.source.NewestEvents(SnapshotEvents), func(e wire.EventView) bool { return h.newest.Before(position(&e)) })
	h.snapshot, err = wire.EncodeHTTP(wire.Snapshot{
		Type: wire.LiveSnapshot, Seq: h.seq, At: wire.Now(), Stats: h.last.stats, Workers: h.last.workers, Pools: h.last.pools,
		Queues: h.last.queues, Tasks: tasks, Events: events,
	})
	if err != nil {
		return fmt.Errorf("encode the snapshot: %w", err)
	}
	return nil
}
