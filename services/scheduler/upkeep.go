package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	heartbeatEvery = time.Second
	heartbeatTTL   = 3 * time.Second
	// tryFirst bounds the first attempt to make what is missing: a server that is just coming
	// up may lose a request. Each further one gets twice the time, up to tryMost; tryAgain is
	// the pause between two.
	tryFirst = time.Second
	tryMost  = 30 * time.Second
	tryAgain = 100 * time.Millisecond
	// tellAgain is how often an outage is logged.
	tellAgain = 10 * time.Second
)

func (s *Scheduler) ensureStreams(ctx context.Context) error {
	return topology.Ensure(ctx, s.js, s.topology())
}

func (s *Scheduler) topology() topology.Options {
	return topology.Options{Replicas: s.cfg.Replicas, ClusterSize: natsx.ClusterSize(s.nc)}
}

// ensure makes whatever is missing in NATS and learns since when its present run is known.
func (s *Scheduler) ensure(ctx context.Context, c *core.Core) error {
	connection := s.connection()
	if err := topology.Repair(ctx, s.js, s.topology()); err != nil {
		return err
	}
	if err := c.LiftStreams(ctx); err != nil {
		return err
	}
	for _, want := range []struct{ stream, consumer, filter string }{
		{wire.StreamSubmit, wire.ConsumerSubmit, ""},
		{wire.StreamControl, wire.ConsumerControl, ""},
		{wire.StreamLater, wire.ConsumerDue, wire.SubjectDueAll},
	} {
		_, err := s.js.CreateOrUpdateConsumer(ctx, want.stream, jetstream.ConsumerConfig{
			Durable: want.consumer, FilterSubject: want.filter, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: c.Lease, MaxDeliver: -1, MaxAckPending: -1,
		})
		if err != nil {
			return fmt.Errorf("make consumer %s of %s: %w", want.consumer, want.stream, err)
		}
	}
	if err := s.ensureTick(ctx); err != nil {
		return err
	}
	if err := c.Limits.Load(ctx); err != nil {
		return err
	}
	server := s.nc.ConnectedServerId()
	since, err := natsx.Epoch(ctx, s.js)
	if err != nil {
		return err
	}
	if s.nc.ConnectedServerId() != server {
		return errors.New("the connection went to another server meanwhile")
	}
	c.Lanes.Forget()
	s.epoch.Store(&epoch{server, since})
	s.made.Store(connection)
	return nil
}

// epoch is since when a run of a server is known.
type epoch struct {
	server string
	since  time.Time
}

// ensureTick makes the schedule of ticks where there is none: to publish it again would
// begin its second anew.
func (s *Scheduler) ensureTick(ctx context.Context) error {
	m := nats.NewMsg(wire.SubjectLaterTick)
	m.Header.Set(wire.HeaderSchedule, "@every "+wire.TickInterval.String())
	m.Header.Set(wire.HeaderScheduleTarget, wire.SubjectDueTick)
	// Or an hour without a scheduler would store an hour of ticks.
	m.Header.Set(wire.HeaderScheduleTTL, wire.TickInterval.String())
	m.Header.Set(wire.HeaderExpectedLast, "0")
	if _, err := s.js.PublishMsg(ctx, m); err != nil && !natsx.IsConflict(err) {
		return fmt.Errorf("schedule the ticks: %w", err)
	}
	return nil
}

// since is when the present run of the server was seen first; the far future while that is
// not known, so that everything is checked.
func (s *Scheduler) since() time.Time {
	if e := s.epoch.Load(); e != nil && e.server == s.nc.ConnectedServerId() {
		return e.since
	}
	return unknown
}

// unknown is the far future.
var unknown = time.Unix(0, math.MaxInt64)

// lookAgain has what is missing in NATS made, soon.
func (s *Scheduler) lookAgain() {
	select {
	case s.repair <- struct{}{}:
	default:
	}
}

// lookEvery is how often the connection is looked at. Its changes are told, too, but told
// only as far as there is room: a server whose address accepts and closes, as a proxy's does,
// makes more of them than fit.
const lookEvery = 500 * time.Millisecond

// watchConnection makes anew what a restart of the server may have taken away.
func (s *Scheduler) watchConnection(ctx context.Context) {
	changes := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(changes)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-changes:
			if !open || s.nc.IsClosed() {
				s.fail(errors.New("the connection to NATS was closed"))
				return
			}
		case <-look.C:
			if s.ensured() || !s.nc.IsConnected() {
				continue
			}
		case <-s.repair:
		}
		s.restore(ctx)
	}
}

// ensured tells whether everything was made sure of on the present connection.
func (s *Scheduler) ensured() bool { return s.made.Load() == s.connection() }

// connection numbers the connections from 1.
func (s *Scheduler) connection() uint64 { return s.nc.Stats().Reconnects + 1 }

func (s *Scheduler) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

func (s *Scheduler) restore(ctx context.Context) {
	p := s.parts.Load()
	var told time.Time
	for timeout := tryFirst; ctx.Err() == nil; timeout = min(2*timeout, tryMost) {
		one, cancel := context.WithTimeout(ctx, timeout)
		err := s.ensure(one, p.core)
		cancel()
		if err == nil {
			for _, puller := range p.pullers {
				puller.Kick()
			}
			return
		}
		if time.Since(told) >= tellAgain {
			told = time.Now()
			s.cfg.Log.Warn("cannot make streams and consumers yet", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(tryAgain):
		}
	}
}

// heartbeat tells that this process lives; the library's put would drop the time to live.
func (s *Scheduler) heartbeat(ctx context.Context) {
	t := time.NewTicker(heartbeatEvery)
	defer t.Stop()
	host := s.cfg.Host
	if host == "" {
		host, _ = os.Hostname()
	}
	for {
		body, _ := json.Marshal(wire.Service{
			Service: "scheduler", Instance: s.instance, Host: host, PID: os.Getpid(), Version: obs.Version,
			StartedAt: s.started, LastHeartbeat: wire.Now(),
		})
		m := nats.NewMsg(wire.KVSubject(wire.BucketWorkers, wire.ServiceKey("scheduler", s.instance)))
		m.Header.Set(wire.HeaderTTL, heartbeatTTL.String())
		m.Data = body
		one, cancel := context.WithTimeout(ctx, heartbeatEvery)
		_, err := s.js.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			err = s.missing(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("cannot store the heartbeat", "err", err)
			s.lookAgain()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// missing returns an error where a stream or bucket is not there: its sequences must go on
// above the old ones before anybody uses it.
func (s *Scheduler) missing(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, heartbeatEvery)
	defer cancel()
	names, err := topology.Missing(one, s.js)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("streams are missing: %v", names)
	}
	return err
}
