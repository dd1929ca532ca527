package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/control"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/due"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/intake"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/pull"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/tick"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Bounds of what one replica holds.
const (
	pullBatch   = 1000
	holdSubmits = 8000
	holdOthers  = 4000
	// finishMost is how long a stop waits for what is in hand: without a recorder that would
	// be for ever, and another replica can go on with it.
	finishMost = 3 * time.Second
)

// Scheduler is one replica. It is a lifecycle.Service and a lifecycle.Failer.
type Scheduler struct {
	cfg      Config
	instance string
	started  wire.Time

	// pulls ends first, then work when all in hand is done, then keep.
	pulls, work, keep lifecycle.Group

	nc *nats.Conn
	js jetstream.JetStream
	// parts are there while the scheduler runs.
	parts atomic.Pointer[parts]

	epoch atomic.Pointer[epoch]
	// made is the number of the connection on which everything was made sure of; 0 is none.
	made    atomic.Uint64
	repair  chan struct{}
	failed  chan error
	running atomic.Bool

	accepted, rejected atomic.Uint64
}

// parts are what one run of a scheduler is made of.
type parts struct {
	core    *core.Core
	pullers []*pull.Puller
}

// New makes a scheduler that is not yet running.
func New(cfg Config) (*Scheduler, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Scheduler{cfg: cfg, instance: nuid.Next(), repair: make(chan struct{}, 1), failed: make(chan error, 1)}
	return s, s.register()
}

// String is the service's name in logs.
func (s *Scheduler) String() string { return "scheduler" }

// Failed yields the first fatal error.
func (s *Scheduler) Failed() <-chan error { return s.failed }

// Start connects, makes what is missing in NATS and begins to work.
func (s *Scheduler) Start(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return lifecycle.ErrStarted
	}
	err := s.start(ctx)
	if err != nil {
		err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	return err
}

func (s *Scheduler) start(ctx context.Context) error {
	s.started = wire.Now()
	if err := s.connect(); err != nil {
		return err
	}
	for _, g := range []*lifecycle.Group{&s.keep, &s.work, &s.pulls} {
		if err := g.Start(ctx); err != nil {
			return err
		}
	}
	if err := s.ensureStreams(ctx); err != nil {
		return err
	}
	lease, err := topology.Lease(ctx, s.js, s.cfg.Lease)
	if err != nil {
		return err
	}
	c, err := core.Open(ctx, s.js, lease, s.cfg.Log)
	if err != nil {
		return err
	}
	s.parts.Store(&parts{core: c})
	if err := s.ensure(ctx, c); err != nil {
		return err
	}
	s.run(c) //nolint:contextcheck // what it starts outlives the start
	return nil
}

func (s *Scheduler) connect() error {
	var err error
	if s.nc = s.cfg.Conn; s.nc == nil {
		if s.nc, err = natsx.Connect(s.cfg.Connect); err != nil {
			return err
		}
	}
	// What has no answer is repeated by us, under its id.
	s.js, err = jetstream.New(s.nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	return nil
}

func (s *Scheduler) run(c *core.Core) {
	auditAfter := s.cfg.AuditAfter
	if auditAfter == 0 {
		auditAfter = 2 * c.Lease
	}
	full := c.Pub.Full
	submits := s.puller(wire.StreamSubmit, wire.ConsumerSubmit, c.Lease, holdSubmits, full)
	dues := s.puller(wire.StreamLater, wire.ConsumerDue, c.Lease, holdOthers, full)
	// Commands are taken also while lanes are full: a cancel makes room.
	commands := s.puller(wire.StreamControl, wire.ConsumerControl, c.Lease, holdOthers, nil)
	p := &parts{core: c, pullers: []*pull.Puller{submits, dues, commands}}
	s.parts.Store(p)

	ticks := tick.New(c, tick.Config{ScaleTarget: s.cfg.ScaleTarget, ScaleDownAfter: s.cfg.ScaleDownAfter, AuditAfter: auditAfter})
	c.Dispatched = ticks.Dispatched
	submitWork := intake.New(intake.Config{
		Core: c, Puller: submits, Defaults: s.cfg.Defaults, Epoch: s.since, Processed: ticks.Processed,
		Accepted: &s.accepted, Rejected: &s.rejected,
	})
	dueWork := due.New(c, dues, ticks.Due)
	commandWork := control.New(c, commands)

	s.keep.Go("reconnects", s.watchConnection)
	s.keep.Go("heartbeat", s.heartbeat)
	for _, one := range p.pullers {
		s.keep.Go("extend", one.Extend)
		s.pulls.Go("pull", one.Run)
	}
	pulling, keep := s.pulls.Context(), s.keep.Context()
	s.work.Go("tick", func(context.Context) { ticks.Run(pulling) })
	s.work.Go("submissions", func(context.Context) { submitWork.Run(keep) })
	s.work.Go("due", func(context.Context) { dueWork.Run(keep) })
	s.work.Go("commands", func(context.Context) { commandWork.Run(keep) })
}

func (s *Scheduler) puller(stream, consumer string, lease time.Duration, hold int, blocked func() bool) *pull.Puller {
	return pull.New(pull.Config{
		JS: s.js, Stream: stream, Consumer: consumer, Batch: pullBatch, MaxHeld: hold, AckWait: lease,
		Blocked: blocked, Missing: s.lookAgain, Log: s.cfg.Log,
	})
}

// Stop takes nothing more, finishes what is in hand until ctx ends, and hands the rest back.
func (s *Scheduler) Stop(ctx context.Context) error {
	if !s.running.Load() {
		return nil
	}
	err := s.pulls.Stop(ctx)
	s.finish(ctx)
	p := s.parts.Load()
	if p != nil {
		for _, one := range p.pullers {
			one.HandBack()
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err = errors.Join(err, s.keep.Stop(end), s.work.Stop(end))
	if p != nil {
		p.core.Close(end)
	}
	if s.nc != nil && s.cfg.Conn == nil {
		_ = s.nc.FlushTimeout(time.Second) // acknowledgements are on their way
		s.nc.Close()
	}
	s.parts.Store(nil)
	s.made.Store(0)
	s.running.Store(false)
	return err
}

// finish waits until nothing is held, for finishMost or until ctx ends.
func (s *Scheduler) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishMost)
	defer cancel()
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for s.held() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Scheduler) held() int {
	n := 0
	if p := s.parts.Load(); p != nil {
		for _, one := range p.pullers {
			n += one.Held()
		}
	}
	return n
}

// Ready returns nil when the scheduler can do its work, else why not.
func (s *Scheduler) Ready() error {
	p := s.parts.Load()
	switch {
	case p == nil:
		return errors.New("the scheduler does not run")
	case !s.nc.IsConnected():
		return errors.New("NATS does not answer")
	case !s.ensured(), s.since().Unix() == unknown.Unix():
		return errors.New("streams and consumers are being made")
	}
	return p.core.Pub.Refusal()
}
