// Package model is the API's read model: what lists, figures and the live feed are made
// from, in memory, fed by the buckets and streams. It owns no state: kill it and start
// another.
package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a model.
type Config struct {
	JS  jetstream.JetStream
	Log *slog.Logger
	// Defaults of tasks that do not say: those of the scheduler.
	Defaults wire.Defaults
}

// Model implements httpapi.Model.
type Model struct {
	cfg   Config
	group lifecycle.Group
	store *store
	hub   *hub

	ready [feeds]atomic.Bool

	mu       sync.Mutex // all below
	overlay  map[string]*wire.Record
	bySubmit map[submission]string
	totals   *wire.Totals
	started  wire.Time
	fleet    fleet
	rates    map[string]*rates
	series   series
	events   eventLog
	losses   losses
	status   wire.Stats
	standing standing
	submits  position
}

// submission is one accepted task by its place.
type submission struct {
	seq    uint64
	member int
}

// The feeds that have to be read to their end before the model is ready.
const (
	feedTasks = iota
	feedWorkers
	feedSettings
	feedEvents
	feedSubmit
	feedSeries
	feeds
)

var feedNames = [feeds]string{wire.StreamTasks, wire.StreamWorkers, wire.StreamSettings, wire.StreamEvents, wire.StreamSubmit, wire.StreamSeries}

// New makes a model that does not run yet.
func New(cfg Config) *Model {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Model{
		cfg: cfg, store: newStore(), overlay: map[string]*wire.Record{}, bySubmit: map[submission]string{},
		totals: &wire.Totals{}, rates: map[string]*rates{}, started: wire.Now(),
	}
	m.fleet.reset()
	m.submits.changed = make(chan struct{})
	m.hub = newHub(m)
	return m
}

// Start begins to read; Ready tells when it is done.
func (m *Model) Start(ctx context.Context) error {
	if err := m.group.Start(ctx); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	m.group.Go("tasks", func(ctx context.Context) {
		m.settle(ctx)
		m.follow(ctx, feedTasks, m.tasksFeed())
	})
	m.group.Go("workers", func(ctx context.Context) { m.follow(ctx, feedWorkers, m.workersFeed()) })
	m.group.Go("settings", func(ctx context.Context) { m.follow(ctx, feedSettings, m.settingsFeed()) })
	m.group.Go("events", func(ctx context.Context) { m.follow(ctx, feedEvents, m.eventsFeed()) })
	m.group.Go("submissions", func(ctx context.Context) { m.follow(ctx, feedSubmit, m.submitFeed()) })
	m.group.Go("series", func(ctx context.Context) { m.follow(ctx, feedSeries, m.seriesFeed()) })
	m.group.Go("upkeep", m.upkeep)
	m.group.Go("live", m.hub.run)
	return nil
}

// Stop ends reading and closes every subscription.
func (m *Model) Stop(ctx context.Context) error {
	if err := m.group.Stop(ctx); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	return nil
}

// Ready is nil once every feed has been read to its end.
func (m *Model) Ready() error {
	for i := range m.ready {
		if !m.ready[i].Load() {
			return fmt.Errorf("the read model still reads %s", feedNames[i])
		}
	}
	return nil
}

func (m *Model) follow(ctx context.Context, feed int, f *follower) {
	f.js, f.stream = m.cfg.JS, feedNames[feed]
	reset, caught := f.reset, f.caught
	f.reset = func() {
		m.ready[feed].Store(false)
		if reset != nil {
			reset()
		}
	}
	f.caught = func() {
		if caught != nil {
			caught()
		}
		m.ready[feed].Store(true)
	}
	f.run(ctx, func(err error) { m.cfg.Log.Warn("the read model starts over", "err", err) })
}

// settleTimeout bounds how long the start waits for the recorder.
const settleTimeout = 3 * time.Second

// settle waits until the recorder has folded what was stored when the model started: a
// submission behind the scheduler's floor is then in the bucket.
func (m *Model) settle(ctx context.Context) {
	one, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	r, err := natsx.NewRecords(one, m.cfg.JS)
	if err != nil {
		m.cfg.Log.Warn("the recorder's position cannot be read", "err", err)
		return
	}
	defer r.Close()
	if _, err := r.Behind(one); err != nil && ctx.Err() == nil {
		m.cfg.Log.Warn("the recorder lags: tasks submitted a moment ago may be missing for as long", "err", err)
	}
}

func everything(policy jetstream.DeliverPolicy, filter ...string) func(context.Context) (jetstream.OrderedConsumerConfig, error) {
	return func(context.Context) (jetstream.OrderedConsumerConfig, error) {
		return jetstream.OrderedConsumerConfig{DeliverPolicy: policy, FilterSubjects: filter}, nil
	}
}

// isGone tells whether a message of a bucket says that its key is no more.
func isGone(msg jetstream.Msg) bool {
	h := msg.Headers()
	return h.Get(wire.HeaderKVOperation) != "" || h.Get("Nats-Marker-Reason") != ""
}

func (m *Model) tasksFeed() *follower {
	prefix := wire.KVSubject(wire.BucketTasks, "")
	return &follower{
		from:  everything(jetstream.DeliverAllPolicy),
		reset: m.store.clear,
		each: func(msg jetstream.Msg, _ *jetstream.MsgMetadata) {
			key := strings.TrimPrefix(msg.Subject(), prefix)
			switch {
			case key == wire.KeyTotals:
				m.seeTotals(msg.Data())
			case wire.IsOwnKey(key):
			case isGone(msg):
				m.forget(key)
			default:
				m.seeRecord(key, msg.Data())
			}
		},
	}
}

func (m *Model) seeTotals(body []byte) {
	var t wire.Totals
	if json.Unmarshal(body, &t) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.totals = &t
}

func (m *Model) seeRecord(key string, body []byte) {
	r, err := wire.DecodeRecord(body)
	if err != nil {
		m.cfg.Log.Error("a record cannot be read", "task_id", key, "err", err)
		return
	}
	if at := r.ExpiresAt(); at > 0 && at <= wire.Now() {
		m.forget(key)
		return
	}
	was := m.store.upsert(r, false)
	m.mu.Lock()
	if o := m.overlay[key]; o != nil {
		delete(m.overlay, key)
		delete(m.bySubmit, submission{o.Meta.SubmitSeq, o.Meta.Member})
	}
	m.countRates(was, r)
	m.losses.settle(r)
	m.mu.Unlock()
	m.hub.task(r)
}

func (m *Model) forget(id string) {
	if m.store.remove(id, false) != "" {
		m.hub.taskGone(id)
	}
}

// Accepted makes a task visible that was acknowledged.
func (m *Model) Accepted(sub *wire.Submission, seq uint64, member int, at wire.Time) {
	id := sub.ID
	if id == "" {
		id = wire.MakeID(seq, member)
	}
	r := &wire.Record{
		ID: id, Definition: sub.Definition, Status: wire.StatusPending, Attempt: 1, SubmittedAt: at,
		Meta: wire.Meta{SubmitSeq: seq, Member: member, DueAt: at},
	}
	if sub.PayloadObject != "" {
		r.Meta.PayloadObject = wire.PayloadObject(id)
	}
	if sub.ID != "" {
		r.Meta.Hash = sub.ContentHash()
	}
	if due := sub.ScheduledFor(at); due > 0 {
		r.Status, r.ScheduledFor, r.Meta.DueAt = wire.StatusScheduled, due, due
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.overlay[id] != nil || m.store.known(id) != nil {
		return // another submission has the id, or the record is here already
	}
	m.overlay[id] = r
	m.bySubmit[submission{seq, member}] = id
	m.store.upsert(r, true)
	m.hub.task(r)
}

// reject takes a task out that was accepted and then rejected.
func (m *Model) reject(seq uint64, member int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := submission{seq, member}
	id, known := m.bySubmit[key]
	if !known {
		return
	}
	delete(m.bySubmit, key)
	delete(m.overlay, id)
	if m.store.remove(id, true) != "" {
		m.hub.taskGone(id)
	}
}

// submitFeed reads submissions from the scheduler's floor: what it has not handled yet is
// in no record.
func (m *Model) submitFeed() *follower {
	var end uint64 // of the stream, when reading began: what is missing below was removed
	return &follower{
		from: func(ctx context.Context) (jetstream.OrderedConsumerConfig, error) {
			cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
			s, err := m.cfg.JS.Stream(ctx, wire.StreamSubmit)
			if err != nil {
				return cfg, fmt.Errorf("read the state of %s: %w", wire.StreamSubmit, err)
			}
			end = s.CachedInfo().State.LastSeq
			c, err := m.cfg.JS.Consumer(ctx, wire.StreamSubmit, wire.ConsumerSubmit)
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				return cfg, nil
			}
			if err != nil {
				return cfg, fmt.Errorf("read the scheduler's floor: %w", err)
			}
			if floor := c.CachedInfo().AckFloor.Stream; floor > 0 {
				cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor+1
				m.submits.reach(floor)
			}
			return cfg, nil
		},
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
			m.seeSubmission(msg, meta)
			m.submits.reach(meta.Sequence.Stream)
		},
		caught: func() { m.submits.reach(end) },
	}
}

func (m *Model) seeSubmission(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	d := wire.Decoder{Defaults: m.cfg.Defaults, Now: meta.Timestamp, SubjectType: wire.SubmitType(msg.Subject())}
	object := msg.Headers().Get(wire.HeaderPayloadObject)
	d.NoPayload = object != ""
	members, group, err := d.Decode(msg.Data())
	if err != nil {
		return // it becomes a task.rejected event
	}
	for i := range members {
		if len(members[i].Faults) > 0 {
			continue
		}
		number := 0
		if group {
			number = i + 1
		}
		sub := &members[i].Submission
		sub.PayloadObject, sub.PayloadHash = object, msg.Headers().Get(wire.HeaderPayloadHash)
		m.Accepted(sub, meta.Sequence.Stream, number, wire.At(meta.Timestamp))
	}
}

// position is how far the submissions have been read.
type position struct {
	mu      sync.Mutex
	seq     uint64
	changed chan struct{}
}

func (p *position) reach(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq > p.seq {
		p.seq = seq
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *position) wait(ctx context.Context, seq uint64) error {
	for {
		p.mu.Lock()
		at, changed := p.seq, p.changed
		p.mu.Unlock()
		if at >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("read submissions up to %d (at %d): %w", seq, at, context.Cause(ctx))
		}
	}
}

// Get is what is known of a task at this moment: its state and submission, no more; nil
// where there is none.
func (m *Model) Get(id string) *wire.Record { return m.store.known(id) }

// Lookup finds a task, whichever API accepted it; nil where there is none.
func (m *Model) Lookup(ctx context.Context, id string) (*wire.Record, error) {
	if m.store.known(id) == nil {
		s, err := m.cfg.JS.Stream(ctx, wire.StreamSubmit)
		if err != nil {
			return nil, fmt.Errorf("read the state of %s: %w", wire.StreamSubmit, err)
		}
		if err := m.submits.wait(ctx, s.CachedInfo().State.LastSeq); err != nil {
			return nil, err
		}
	}
	found, err := m.read(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return found[id], nil
}

// read gets whole records: from the bucket, or what is known of those not recorded yet.
func (m *Model) read(ctx context.Context, ids []string) (map[string]*wire.Record, error) {
	subjects := make([]string, len(ids))
	for i, id := range ids {
		subjects[i] = wire.KVSubject(wire.BucketTasks, id)
	}
	out := make(map[string]*wire.Record, len(ids))
	accepted := m.accepted(ids) // before the bucket: a record that comes meanwhile is in one of the two
	msgs, err := natsx.LastOf(ctx, m.cfg.JS, wire.StreamTasks, subjects)
	if err != nil {
		return nil, err
	}
	now := wire.Now()
	for _, s := range msgs {
		if len(s.Data) == 0 {
			continue
		}
		r, err := wire.DecodeRecord(s.Data)
		if err != nil {
			return nil, err
		}
		if at := r.ExpiresAt(); at == 0 || at > now {
			out[r.ID] = r
		}
	}
	for id, r := range accepted {
		if out[id] == nil {
			out[id] = r
		}
	}
	return out, nil
}

// accepted is what is known of those ids whose record has not been seen.
func (m *Model) accepted(ids []string) map[string]*wire.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]*wire.Record{}
	for _, id := range ids {
		if r := m.overlay[id]; r != nil {
			out[id] = r
		}
	}
	return out
}

// queryTimeout bounds how long the records of one page are waited for.
const queryTimeout = 5 * time.Second

// Query finds one page of tasks.
func (m *Model) Query(q httpapi.Query) (wire.TaskPage, error) {
	found, err := m.store.query(q)
	if err != nil {
		return wire.TaskPage{}, err
	}
	out := wire.TaskPage{Tasks: []wire.TaskResource{}, Total: found.total, NextCursor: wire.Text(found.next), Facets: found.facets}
	if len(found.ids) == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	records, err := m.read(ctx, found.ids)
	if err != nil {
		return out, err
	}
	for _, id := range found.ids {
		if r := records[id]; r != nil {
			out.Tasks = append(out.Tasks, wire.NewTaskResource(r))
		}
	}
	return out, nil
}

// Match lists every task that a filter takes, as Get knows them.
func (m *Model) Match(f httpapi.Filter) []*wire.Record { return m.store.all(f) }

// Counts is the number of tasks by status.
func (m *Model) Counts() wire.TaskCounts { return m.store.counts() }

// Totals are the recorder's latest.
func (m *Model) Totals() *wire.Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals
}

// Subscribe begins the live feed.
func (m *Model) Subscribe(since uint64) httpapi.Subscription { return m.hub.subscribe(since) }

// upkeep expires what is over and refreshes the figures.
func (m *Model) upkeep(ctx context.Context) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for n := 0; ; n++ {
		for _, id := range m.store.expire(wire.Now()) {
			m.hub.taskGone(id)
		}
		if n%5 == 0 {
			m.refresh()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
