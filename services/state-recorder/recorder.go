// Package recorder is the state recorder: the only writer of task state. It folds the
// event stream into the record of each task by wire.Next, in order, and commits records,
// totals and its own position as one atomic batch. So every event is applied exactly once,
// and any replica can go on where another stopped: there is no leader and no lock.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a recorder.
type Config struct {
	// JS is the connection to use. It should come from natsx.Connect.
	JS jetstream.JetStream
	// Replicas is topology.Options.Replicas.
	Replicas int
	// ClusterSize is topology.Options.ClusterSize.
	ClusterSize int
	// MaxFinished is how many ended records are kept; more shortens retention, oldest
	// first. 0 is 1,000,000.
	MaxFinished int64
	// Gather is the least time between two commits: each costs 3 to 5 ms of disk whatever
	// its size. Under load it is three times as long. 0 is 20 ms.
	Gather time.Duration
	// Takeover is how long the position may stand still, while events wait, before a
	// standby goes on in its place. 0 is 1 s.
	Takeover time.Duration
	// Keep is how often events and ended records beyond their bounds are removed. 0 is 5 s.
	Keep time.Duration
	// MarkerTTL is how long the marker of a deleted record stays, for those who watch; whole
	// seconds. 0 is 2 min.
	MarkerTTL time.Duration
	// Version is shown with the service's heartbeat.
	Version string
	// Metrics takes the recorder's own; may be nil.
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Recorder folds events. Any number may run.
type Recorder struct {
	cfg   Config
	pub   *natsx.Publisher
	group lifecycle.Group
	beat  *natsx.Beat

	// positionRev is the revision of the position as last read or written; only the
	// folding goroutine uses it.
	positionRev uint64
	lastErr     atomic.Pointer[error]
	position    atomic.Uint64
	// foldingSince is when this replica began to fold; nil while it stands by.
	foldingSince atomic.Pointer[time.Time]
	removals     removals
	committed    atomic.Int64
}

// Bounds of one commit: the server takes 1,000 messages, two of them are totals and position.
const (
	maxKeys  = 990
	maxBytes = 4 << 20
	// maxGathered bounds the events folded together. It is above maxKeys, since a task has
	// several: what it went through between two commits is written once.
	maxGathered = 8 * maxKeys
	// busyKeys is from how many records in a commit on there is load; then busyGather times
	// Config.Gather is rested, so that more of what a task goes through is written once.
	busyKeys   = 200
	busyGather = 3
	// maxCached bounds the records kept in memory between commits.
	maxCached = 50_000
)

// New checks the configuration.
func New(cfg Config) (*Recorder, error) {
	if cfg.JS == nil {
		return nil, errors.New("recorder: Config.JS is required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.MaxFinished, 1_000_000)
	setDefault(&cfg.Gather, 20*time.Millisecond)
	setDefault(&cfg.Takeover, time.Second)
	setDefault(&cfg.Keep, 5*time.Second)
	setDefault(&cfg.MarkerTTL, 2*time.Minute)
	r := &Recorder{cfg: cfg, pub: natsx.NewPublisher(cfg.JS)}
	return r, r.register()
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// String names the service.
func (r *Recorder) String() string { return "state-recorder" }

// Start makes what is missing of streams and buckets and begins to fold.
func (r *Recorder) Start(ctx context.Context) error {
	o := topology.Options{Replicas: r.cfg.Replicas, ClusterSize: r.cfg.ClusterSize}
	if err := topology.Ensure(ctx, r.cfg.JS, o); err != nil {
		return fmt.Errorf("state-recorder: %w", err)
	}
	if err := r.group.Start(ctx); err != nil {
		return fmt.Errorf("state-recorder: %w", err)
	}
	r.beat = natsx.NewBeat(r.cfg.JS, "state-recorder", r.cfg.Version, func(ctx context.Context) error {
		return topology.Repair(ctx, r.cfg.JS, o)
	})
	r.group.Go("heartbeat", func(ctx context.Context) { r.beat.Run(ctx, r.cfg.Log) })
	r.group.Go("fold", r.run)
	r.group.Go("keep", r.keep)
	return nil
}

// Stop ends after the commit in hand; what is not committed is folded by whoever comes next.
func (r *Recorder) Stop(ctx context.Context) error {
	if err := r.group.Stop(ctx); err != nil {
		return fmt.Errorf("state-recorder: %w", err)
	}
	return nil
}

// Ready is nil while the recorder folds or stands by.
func (r *Recorder) Ready() error {
	if !r.group.Running() {
		return errors.New("the recorder does not run")
	}
	if p := r.lastErr.Load(); p != nil {
		return *p
	}
	return nil
}

// Position is the last event message folded here, and Committed how many commits were made.
func (r *Recorder) Position() uint64 { return r.position.Load() }

// Committed is the number of commits this process has made.
func (r *Recorder) Committed() int64 { return r.committed.Load() }

func (r *Recorder) fail(err error) {
	if err == nil {
		r.lastErr.Store(nil)
		return
	}
	r.lastErr.Store(&err)
	r.cfg.Log.Warn("fold interrupted; reading on from the stored position", "err", err)
}

// run folds, and stands by whenever another replica turns out to fold already.
func (r *Recorder) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.fold(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case natsx.IsConflict(err) && r.overtaken(ctx):
			r.fail(nil)
			r.standBy(ctx)
		case natsx.IsConflict(err):
			// A record expired, or housekeeping removed it: read it anew and go on.
		default:
			r.fail(err)
			sleep(ctx, 100*time.Millisecond)
		}
	}
}

// overtaken tells whether another replica has moved the position.
func (r *Recorder) overtaken(ctx context.Context) bool {
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at, _, err := r.load(one)
	return err == nil && at.positionRev != r.positionRev
}

// standBy returns when events wait and the position has not moved for the time of Takeover.
func (r *Recorder) standBy(ctx context.Context) {
	r.cfg.Log.Info("standing by: another recorder folds")
	r.foldingSince.Store(nil)
	var last wire.Position
	still := time.Now()
	for ctx.Err() == nil {
		sleep(ctx, r.cfg.Takeover/4)
		pos, _, err := r.load(ctx)
		if err != nil {
			continue
		}
		info, err := r.cfg.JS.Stream(ctx, wire.StreamEvents)
		if err != nil || pos.position != last || info.CachedInfo().State.LastSeq <= pos.position.Seq {
			last, still = pos.position, time.Now()
			r.position.Store(pos.position.Seq)
			continue
		}
		if time.Since(still) >= r.cfg.Takeover {
			r.cfg.Log.Info("taking over: the position stands still while events wait", "seq", last.Seq)
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
