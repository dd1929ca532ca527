// Package workerpool is one process of a worker pool: it supervises worker processes,
// claims tasks from the lanes of its queues in strict order of priority, runs them, and
// stores their outcomes before it acknowledges anything. It alone holds the leases of its
// tasks, so the death of a worker is a local fact, answered at once.
//
// Any number of processes may form a pool. None of them keeps anything: what a process
// held that died is handed out again after one lease.
package workerpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/claim"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/lease"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/permits"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/presence"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/proc"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/run"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Pool is one process of a pool.
type Pool struct {
	cfg      Config
	nc       *nats.Conn
	instance string
	started  wire.Time

	group  lifecycle.Group
	ready  atomic.Bool
	pub    atomic.Pointer[natsx.Publisher]
	stopMu sync.Mutex
	live   *parts // nil unless running
}

// parts live from Start to Stop.
type parts struct {
	lease time.Duration
	// reconnects of the connection when all was made sure of.
	reconnects uint64
	// built says that all of the following are there.
	built atomic.Bool

	events  *natsx.Events
	records *natsx.Records
	keeper  *lease.Keeper
	permits *permits.Book
	runner  *run.Runner
	fleet   *fleet.Fleet
	claims  *claim.Loop
	board   *presence.Board
	// control follows cancels, and heard is the sequence of the last one.
	control jetstream.ConsumeContext
	heard   atomic.Uint64
	// pause follows what operators set.
	pause     jetstream.ConsumeContext
	subs      []*nats.Subscription
	noClaims  context.CancelFunc
	claimsEnd chan struct{}
}

// New checks the configuration.
func New(cfg Config) (*Pool, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Pool{cfg: cfg, nc: cfg.JS.Conn()}, nil
}

// String names the service.
func (p *Pool) String() string { return "worker-pool" }

// Instance is this process's own name in its pool, while it runs.
func (p *Pool) Instance() string { return p.instance }

// Ready is nil while the pool claims tasks, or would if there were any.
func (p *Pool) Ready() error {
	switch {
	case !p.group.Running():
		return errors.New("the worker pool does not run")
	case !p.ready.Load():
		return errors.New("streams and lanes are not made sure of yet")
	}
	if pub := p.pub.Load(); pub != nil {
		return pub.Refusal()
	}
	return nil
}

// Start makes what is missing of streams and lanes, starts workers and begins to claim.
func (p *Pool) Start(ctx context.Context) error {
	p.stopMu.Lock()
	defer p.stopMu.Unlock()
	if p.live != nil {
		return fmt.Errorf("worker-pool: %w", lifecycle.ErrStarted)
	}
	p.instance, p.started = nuid.Next(), wire.Now()
	l := &parts{reconnects: p.nc.Stats().Reconnects}
	err := p.ensure(ctx, l, topology.Ensure)
	if err == nil {
		err = p.build(ctx, l)
	}
	if err == nil {
		err = p.group.Start(ctx)
	}
	if err == nil {
		err = p.learnEpoch(ctx, l)
	}
	if err != nil {
		_ = p.group.Stop(ctx) // nothing runs in it
		l.release(ctx)
		return fmt.Errorf("worker-pool: %w", err)
	}
	p.live = l
	p.ready.Store(true)
	p.run(l) //nolint:contextcheck // what runs outlives the start
	return nil
}

// ensure makes lanes, and by the means given streams and buckets.
func (p *Pool) ensure(ctx context.Context, l *parts, streams func(context.Context, jetstream.JetStream, topology.Options) error) error {
	if err := streams(ctx, p.cfg.JS, topology.Options{Replicas: p.cfg.Replicas, ClusterSize: p.cfg.ClusterSize}); err != nil {
		return err
	}
	kept, err := topology.Lease(ctx, p.cfg.JS, p.cfg.Lease)
	if err != nil {
		return err
	}
	if kept != p.cfg.Lease {
		p.cfg.Log.Info("the lease of this system differs from this process's setting", "lease", kept, "setting", p.cfg.Lease)
	}
	l.lease = kept
	return p.ensureLanes(ctx, kept)
}

// build makes the parts, which do nothing yet.
func (p *Pool) build(ctx context.Context, l *parts) (err error) {
	objects, err := p.cfg.JS.ObjectStore(ctx, wire.BucketObjects)
	if err != nil {
		return fmt.Errorf("open %s: %w", wire.BucketObjects, err)
	}
	if l.records, err = natsx.NewRecords(ctx, p.cfg.JS); err != nil {
		return err
	}
	if l.keeper, err = lease.New(p.nc, l.lease, p.cfg.Log); err != nil {
		return fmt.Errorf("keep leases: %w", err)
	}
	if l.permits, err = p.openPermits(ctx, l); err != nil {
		return err
	}
	pub := natsx.NewPublisher(p.cfg.JS)
	p.pub.Store(pub)
	l.events = natsx.NewEvents(pub)
	l.runner = run.New(run.Config{
		JS: p.cfg.JS, Pool: p.cfg.Pool, Objects: objects, Events: l.events, Pub: pub, Records: l.records, Keeper: l.keeper,
		Permits:  l.permits,
		Instance: p.instance, MaxCrashes: p.cfg.MaxCrashes, CancelGrace: p.cfg.CancelGrace, TempDir: p.cfg.TempDir,
		HandledCommands: p.handledCommands, CancelSettles: p.cfg.cancelSettles, ParcelTrust: p.cfg.parcelTrust,
		ParcelWait: p.cfg.parcelWait, ApartWait: p.cfg.apartWait,
		Wake: func() { l.claims.Wake() }, Log: p.cfg.Log,
	})
	l.claims, err = claim.New(claim.Config{
		JS: p.cfg.JS, Queues: p.cfg.Queues, Lease: l.lease, Taker: l.runner, Gate: l.permits, Log: p.cfg.Log,
		Repair: func(ctx context.Context) error { return p.ensureLanes(ctx, l.lease) },
	})
	if err != nil {
		return err
	}
	l.fleet = fleet.New(p.fleetConfig(l))
	l.runner.SetFleet(l.fleet)
	l.board = presence.New(presence.Config{
		NC: p.nc, Heartbeat: p.cfg.Heartbeat, Instance: p.instance, Workers: l.fleet.Snapshot,
		Self: func() wire.Instance { return p.describe(l) }, Log: p.cfg.Log,
	})
	l.built.Store(true)
	return p.listen(ctx, l)
}

// openPermits follows the limits of the pool's queues. What it calls is made after it.
func (p *Pool) openPermits(ctx context.Context, l *parts) (*permits.Book, error) {
	b, err := permits.New(ctx, permits.Config{
		JS: p.cfg.JS, Queues: p.cfg.Queues, Lease: l.lease, Log: p.cfg.Log,
		Adopt: func(limit *permits.Limit) { //nolint:contextcheck // called long after openPermits; the book bounds it
			if l.built.Load() {
				l.runner.Adopt(limit)
			}
		},
		Lost: func(owner any) { l.runner.PermitLost(owner) },
		Wake: func() {
			if l.built.Load() {
				l.claims.Wake()
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("follow the limits: %w", err)
	}
	return b, nil
}

func (p *Pool) fleetConfig(l *parts) fleet.Config {
	c := fleet.Config{
		Pool: p.cfg.Pool, Concurrency: p.cfg.Concurrency, HungAfter: p.cfg.HungAfter, NextID: p.nextWorkerID,
		Publish: func(events ...wire.Event) { l.events.PublishAsync(nil, events...) },
		Noted:   func() { l.board.Noted() }, Gone: func(id string) { l.board.Gone(id) },
		Owner: l.runner, Log: p.cfg.Log,
		Launcher: &proc.Command{Args: p.cfg.Command, Env: p.cfg.Env, Heartbeat: p.cfg.Heartbeat, Log: p.cfg.Log},
	}
	if p.cfg.Handlers != nil {
		c.Launcher, c.HungAfter = &proc.InProcess{Mux: p.cfg.Handlers}, 0
	}
	return c
}

// run starts the goroutines.
func (p *Pool) run(l *parts) {
	l.fleet.SetTarget(p.cfg.Min)
	beat := natsx.NewBeat(p.cfg.JS, "worker-pool", p.cfg.Version, func(ctx context.Context) error {
		return topology.Repair(ctx, p.cfg.JS, topology.Options{Replicas: p.cfg.Replicas, ClusterSize: p.cfg.ClusterSize})
	})
	p.group.Go("service heartbeat", func(ctx context.Context) { beat.Run(ctx, p.cfg.Log) })
	p.group.Go("leases", l.keeper.Run)
	p.group.Go("permits", l.permits.Run)
	p.group.Go("tasks", l.runner.Run)
	p.group.Go("workers", l.fleet.Run)
	p.group.Go("heartbeats", l.board.Run)
	p.group.Go("connection", func(ctx context.Context) { p.follow(ctx, l) })
	l.claimsEnd = make(chan struct{})
	claimCtx, cancel := context.WithCancel(context.WithoutCancel(p.group.Context()))
	l.noClaims = cancel
	p.group.Go("claims", func(context.Context) {
		defer close(l.claimsEnd)
		l.claims.Run(claimCtx)
	})
}

// describe is this process's heartbeat.
func (p *Pool) describe(l *parts) wire.Instance {
	t := l.fleet.Totals()
	finished, busyMs := l.runner.Figures()
	return wire.Instance{
		Pool: p.cfg.Pool, Instance: p.instance, Host: l.fleet.Host(), PID: os.Getpid(), Queues: p.cfg.Queues, Min: p.cfg.Min, Max: p.cfg.Max,
		Running: t.Running, Active: t.Active, Slots: t.Slots, BusySlots: t.BusySlots, Concurrency: t.Concurrency, Draining: t.Closing,
		Finished: finished, BusyMs: busyMs, ServiceUs: l.runner.Service(), ScaleTargetMs: p.cfg.ScaleTarget.Milliseconds(),
		ScaleDownAfterMs: p.cfg.ScaleDownAfter.Milliseconds(), StartedAt: p.started, LastHeartbeat: wire.Now(),
	}
}

const (
	// lastWords is how long idle workers, killed workers, and what is left to store, may take
	// at the end.
	lastWords = 5 * time.Second
)

// Stop claims nothing more, lets running tasks finish for Config.Drain, hands the rest back
// at once, and waits for everything. No worker outlives it.
func (p *Pool) Stop(ctx context.Context) error {
	p.stopMu.Lock()
	defer p.stopMu.Unlock()
	l := p.live
	if l == nil {
		return nil
	}
	p.ready.Store(false)
	empty := l.runner.Drain()
	l.noClaims()
	<-l.claimsEnd
	closing, cancel := context.WithTimeout(ctx, time.Second)
	l.claims.Close(closing)
	cancel()
	l.fleet.Close()
	l.board.Noted()
	waitFor(ctx, p.cfg.Drain, empty)
	if !isClosed(empty) {
		p.cfg.Log.Info("tasks that have not finished are handed back")
		l.fleet.KillAll("the pool stops")
	}
	waitFor(ctx, lastWords, l.fleet.Empty())
	l.fleet.KillAll("the pool stops")
	waitFor(context.WithoutCancel(ctx), lastWords, l.fleet.Empty())
	waitFor(ctx, lastWords, empty)
	err := p.group.Stop(ctx)
	l.release(ctx)
	p.live = nil
	if err != nil {
		return fmt.Errorf("worker-pool: %w", err)
	}
	return nil
}

// release lets go of what was built, in reverse.
func (l *parts) release(ctx context.Context) {
	for _, c := range []jetstream.ConsumeContext{l.control, l.pause} {
		if c != nil {
			c.Stop()
			<-c.Closed()
		}
	}
	for _, s := range l.subs {
		_ = s.Unsubscribe() // or the connection is gone
	}
	if l.claims != nil && l.claimsEnd == nil {
		l.claims.Close(ctx)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if l.runner != nil {
		l.runner.Close(end)
	}
	if l.permits != nil {
		l.permits.Close(end)
	}
	if l.events != nil {
		l.events.Close(end)
	}
	if l.keeper != nil {
		l.keeper.Close()
	}
	if l.records != nil {
		l.records.Close()
	}
}

// waitFor waits for done, for at most d and while ctx lasts.
func waitFor(ctx context.Context, d time.Duration, done <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-ctx.Done():
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// nextWorkerID takes a number that no pool has used before.
func (p *Pool) nextWorkerID(ctx context.Context) (string, error) {
	n, err := nextNumber(ctx, p.cfg.JS)
	if err != nil {
		return "", fmt.Errorf("take a worker number: %w", err)
	}
	return fmt.Sprintf("worker-%d", n), nil
}
