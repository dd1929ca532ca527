package readmodel

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/services/api/internal/live"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a model.
type Config struct {
	// JS is where the streams and buckets are; they must exist.
	JS  jetstream.JetStream
	Log *slog.Logger
	// Defaults of submissions: the scheduler's. The zero value is wire.StandardDefaults.
	Defaults wire.Defaults
}

var _ httpapi.Model = (*Model)(nil)

// Model is the read model. All methods may be called by any number of goroutines.
type Model struct {
	js       jetstream.JetStream
	log      *slog.Logger
	defaults wire.Defaults

	group    lifecycle.Group
	hub      *live.Hub
	standing standing
	// began is when this process did, which is a running service.
	began wire.Time

	store   *store
	changes changes
	reader  rowReader // of the follower of records
	pending pendingTasks
	events  eventLog
	workers workerBook
	set     settingsBook
	series  seriesBook

	tasksIn, submitsIn, workersIn, settingsIn, eventsIn, seriesIn *follower

	// position is the sequence of the last event message that the rows contain whole.
	position atomic.Uint64
	// barrier is an event that must be contained before an unknown id is known to be none:
	// the submissions that the scheduler had acknowledged at the start.
	barrier atomic.Uint64

	mu sync.Mutex
	// totals as the recorder stored them last.
	totals *wire.Totals
	// readySince is since when rates are counted.
	readySince time.Time
}

const (
	tasksInFlight  = 4096
	othersInFlight = 256
	// eventsInFlight is small: a message of events has up to wire.MaxEventBytes.
	eventsInFlight = 48
	// tasksGap is below the time for which markers of deleted records are kept.
	tasksGap = time.Minute
	// workersGap is the same for workers.
	workersGap = 10 * time.Second
)

// New makes a model that knows nothing yet.
func New(c Config) *Model {
	m := &Model{js: c.JS, log: c.Log, defaults: c.Defaults, store: newStore(), totals: &wire.Totals{}, began: wire.Now()}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.defaults == (wire.Defaults{}) {
		m.defaults = wire.StandardDefaults
	}
	m.changes.reset()
	m.workers.reset()
	m.set.reset()
	m.hub = live.NewHub(m, m.log)
	m.tasksIn = m.follow(source{
		stream: wire.StreamTasks, inFlight: tasksInFlight, longestGap: tasksGap,
		begin: m.store.beginReplay, replayed: m.tasksReplayed, take: m.takeTasks,
	})
	m.submitsIn = m.follow(source{
		stream: wire.StreamSubmit, inFlight: othersInFlight,
		start: m.startOfSubmissions, begin: m.forgetSubmissions, take: m.takeSubmissions,
	})
	m.workersIn = m.follow(source{
		stream: wire.StreamWorkers, inFlight: othersInFlight, longestGap: workersGap,
		begin: m.workers.beginReplay, replayed: m.workers.endReplay, take: m.takeWorkers,
	})
	m.settingsIn = m.follow(source{
		stream: wire.StreamSettings, inFlight: othersInFlight,
		begin: m.set.reset, take: m.set.take,
	})
	m.eventsIn = m.follow(source{
		stream: wire.StreamEvents, inFlight: eventsInFlight,
		start: m.startOfEvents, begin: m.events.forget, take: m.takeEvents,
	})
	m.seriesIn = m.follow(source{
		stream: wire.StreamSeries, inFlight: othersInFlight,
		start: m.startOfSeries, begin: m.series.reset, take: m.takeSamples,
	})
	return m
}

func (m *Model) follow(s source) *follower { return newFollower(m.js, m.log, s) }

func (m *Model) followers() []*follower {
	return []*follower{m.tasksIn, m.submitsIn, m.workersIn, m.settingsIn, m.eventsIn, m.seriesIn}
}

// Start begins to follow and returns at once; Ready tells when everything has been read.
func (m *Model) Start(ctx context.Context) error {
	if err := m.group.Start(ctx); err != nil {
		return err
	}
	for _, f := range m.followers() {
		m.group.Go("follow "+f.stream, f.run)
	}
	m.group.Go("settle submissions", m.settleLoop)
	m.group.Go("sweep submissions", m.sweepLoop)
	m.group.Go("expire", m.expireLoop)
	m.group.Go("watch the connection", m.watchConnection)
	m.group.Go("live feed", m.hub.Run)
	m.group.Go("tell the state", m.tellLoop)
	return nil
}

// Stop ends all that Start began and waits for it.
func (m *Model) Stop(ctx context.Context) error { return m.group.Stop(ctx) }

// Ready is nil once everything has been read and while NATS is connected.
func (m *Model) Ready() error {
	if m.js.Conn().Status() != nats.CONNECTED {
		return errDisconnected
	}
	for _, f := range m.followers() {
		if err := f.err(); err != nil {
			return err
		}
	}
	return nil
}

// Subscribe adds a client to the live feed: it begins after the message of this number where
// that is still possible, else, and for 0, with a snapshot.
func (m *Model) Subscribe(since uint64) httpapi.Subscription { return m.hub.Subscribe(since) }

// watchConnection tells the followers when the connection was made anew.
func (m *Model) watchConnection(ctx context.Context) {
	conn := m.js.Conn()
	changed := conn.StatusChanged(nats.CONNECTED)
	defer conn.RemoveStatusListener(changed)
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-changed:
			if !open {
				return // the connection was closed for good
			}
			for _, f := range m.followers() {
				f.reconnected()
			}
		}
	}
}

// expireLoop hides tasks in time also while nobody reads.
func (m *Model) expireLoop(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Second)
		m.expire()
	}
}

func (m *Model) expire() {
	for _, id := range m.store.expire() {
		m.changes.remove(id)
	}
}
