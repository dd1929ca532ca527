package workerpool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// ensureLanes makes the lanes of the pool's queues, paused where their queue is.
func (p *Pool) ensureLanes(ctx context.Context, lease time.Duration) error {
	settings, err := p.cfg.JS.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	limited, err := p.limitedTypes(ctx)
	if err != nil {
		return err
	}
	for _, q := range p.cfg.Queues {
		var s wire.QueueSettings
		e, err := settings.Get(ctx, wire.QueueSettingsKey(q))
		if err == nil {
			err = json.Unmarshal(e.Value(), &s)
		}
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return fmt.Errorf("read the settings of queue %s: %w", q, err)
		}
		if err := topology.EnsureLanes(ctx, p.cfg.JS, q, lease, s.Paused); err != nil {
			return err
		}
		for _, taskType := range limited[q] {
			if err := topology.EnsureLimitedLanes(ctx, p.cfg.JS, q, taskType, lease, s.Paused); err != nil {
				return err
			}
		}
	}
	return nil
}

// limitedTypes are the types by queue that have lanes of their own.
func (p *Pool) limitedTypes(ctx context.Context) (map[string][]string, error) {
	var subjects []string
	for _, q := range p.cfg.Queues {
		subjects = append(subjects, wire.KVSubject(wire.BucketPermits, wire.PermitsKeyAll(q)))
	}
	found, err := natsx.LastOf(ctx, p.cfg.JS, wire.StreamPermits, subjects)
	if err != nil {
		return nil, fmt.Errorf("read the limits: %w", err)
	}
	out := map[string][]string{}
	prefix := wire.KVSubject(wire.BucketPermits, "")
	for _, m := range found {
		if q, taskType, ok := wire.ParsePermitsKey(strings.TrimPrefix(m.Subject, prefix)); ok && len(m.Data) > 0 {
			out[q] = append(out[q], taskType)
		}
	}
	return out, nil
}

// nextNumber counts workers over all pools, by compare and swap.
func nextNumber(ctx context.Context, js jetstream.JetStream) (uint64, error) {
	kv, err := js.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return 0, err
	}
	for {
		e, err := kv.Get(ctx, wire.KeyWorkerNumber)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = kv.Create(ctx, wire.KeyWorkerNumber, []byte("1"))
			if err == nil {
				return 1, nil
			}
		case err == nil:
			last, parseErr := strconv.ParseUint(string(e.Value()), 10, 64)
			if parseErr != nil {
				return 0, fmt.Errorf("key %s: %w", wire.KeyWorkerNumber, parseErr)
			}
			_, err = kv.Update(ctx, wire.KeyWorkerNumber, []byte(strconv.FormatUint(last+1, 10)), e.Revision())
			if err == nil {
				return last + 1, nil
			}
		}
		if !natsx.IsConflict(err) {
			return 0, err
		}
	}
}

// listen subscribes to what others say to this process: how many workers there should be,
// commands to workers, cancels of tasks. Puts to a bucket are ordinary messages; a plain
// subscription hears them at once and outlives the bucket, which goes with its server. What
// it misses is read with each heartbeat.
func (p *Pool) listen(ctx context.Context, l *parts) error {
	for subject, hear := range map[string]nats.MsgHandler{
		wire.KVSubject(wire.BucketWorkers, wire.DesiredKey(p.cfg.Pool)): func(m *nats.Msg) { p.desired(l, m.Data) },
		wire.KVSubject(wire.BucketWorkers, wire.WorkerCommandKey("*")):  func(m *nats.Msg) { p.command(l, m.Subject, m.Data) },
	} {
		s, err := p.nc.Subscribe(subject, hear)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		l.subs = append(l.subs, s)
	}
	handled, err := p.handledCommands(ctx)
	if err != nil {
		return err
	}
	l.heard.Store(handled)
	if err := p.followPause(ctx, l); err != nil {
		return err
	}
	return p.followCancels(ctx, l)
}

// handledCommands is up to where schedulers have dealt with all commands. What comes after may
// cancel a task that this process starts before a scheduler has told of it.
func (p *Pool) handledCommands(ctx context.Context) (uint64, error) {
	c, err := p.cfg.JS.Consumer(ctx, wire.StreamControl, wire.ConsumerControl)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, nil // no scheduler was ever here
	}
	if err != nil {
		return 0, fmt.Errorf("read consumer %s of %s: %w", wire.ConsumerControl, wire.StreamControl, err)
	}
	return c.CachedInfo().AckFloor.Stream, nil
}

// followCancels reads cancels from behind the last one heard. It is begun anew after each
// reconnection: a consumer for new messages only would miss those of the meantime.
func (p *Pool) followCancels(ctx context.Context, l *parts) error {
	if l.control != nil {
		l.control.Stop()
		<-l.control.Closed()
		l.control = nil
	}
	c, err := p.cfg.JS.OrderedConsumer(ctx, wire.StreamControl, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{wire.SubjectCancelAll, wire.SubjectRequestCancel},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: l.heard.Load() + 1,
	})
	if err != nil {
		return fmt.Errorf("follow cancels: %w", err)
	}
	l.control, err = c.Consume(func(m jetstream.Msg) {
		if meta, err := m.Metadata(); err == nil {
			l.heard.Store(meta.Sequence.Stream)
		}
		l.runner.Control(m)
	}, jetstream.PullExpiry(natsx.FollowExpiry), jetstream.PullHeartbeat(natsx.FollowHeartbeat))
	if err != nil {
		return fmt.Errorf("follow cancels: %w", err)
	}
	return nil
}

func (p *Pool) desired(l *parts, value []byte) {
	var d wire.Desired
	if len(value) == 0 || json.Unmarshal(value, &d) != nil {
		return // gone: the pool keeps its size
	}
	if n, ok := d.Instances[p.instance]; ok && n != l.fleet.Target() {
		l.fleet.SetTarget(max(n, 0))
	}
}

func (p *Pool) command(l *parts, subject string, value []byte) {
	var c wire.WorkerCommand
	if len(value) == 0 || json.Unmarshal(value, &c) != nil {
		return
	}
	worker := strings.TrimPrefix(subject, wire.KVSubject(wire.BucketWorkers, wire.WorkerCommandKey("")))
	if l.fleet.Command(worker, c.Command) {
		p.cfg.Log.Info("command for a worker", "worker", worker, "command", c.Command)
	}
}

// follow keeps up with the connection: after each reconnection leases are extended first,
// then everything is made sure of that may have gone with the server.
func (p *Pool) follow(ctx context.Context, l *parts) {
	statuses := p.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	defer p.nc.RemoveStatusListener(statuses)
	tick := time.NewTicker(p.cfg.Heartbeat)
	defer tick.Stop()
	seen := l.reconnects
	for {
		select {
		case <-ctx.Done():
			return
		case <-statuses:
		case <-tick.C:
			p.reread(ctx, l)
		}
		if !p.nc.IsConnected() {
			p.ready.Store(false)
			l.runner.ForgetEpoch()
			continue
		}
		if now := p.nc.Stats().Reconnects; now != seen || !p.ready.Load() {
			seen = now
			p.connected(ctx, l)
		}
	}
}

// connected makes sure of everything after a connection was made. Nothing is claimed before;
// where it does not succeed the next tick tries again.
func (p *Pool) connected(ctx context.Context, l *parts) {
	p.ready.Store(false)
	l.runner.ForgetEpoch()
	l.keeper.ExtendAll()
	l.permits.Renew() //nolint:contextcheck // a renewal ends with the book, not with the connection
	l.claims.Reset()
	one, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var again parts
	if err := p.ensure(one, &again, topology.Repair); err != nil {
		p.cfg.Log.WarnContext(ctx, "streams and lanes cannot be made sure of yet", obs.Err(err))
		return
	}
	if err := p.followCancels(one, l); err != nil {
		p.cfg.Log.WarnContext(ctx, "cancels are not heard yet", obs.Err(err))
		return
	}
	if err := l.permits.Refresh(one); err != nil {
		p.cfg.Log.WarnContext(ctx, "the limits are not known yet", obs.Err(err))
		return
	}
	if err := p.followPause(one, l); err != nil {
		p.cfg.Log.WarnContext(ctx, "whether the pool is paused is not known yet", obs.Err(err))
		return
	}
	if err := p.learnEpoch(one, l); err != nil {
		p.cfg.Log.WarnContext(ctx, "the server's epoch is not known yet", obs.Err(err))
		return
	}
	p.ready.Store(true)
	l.board.Noted()
	p.reread(ctx, l)
}

func (p *Pool) learnEpoch(ctx context.Context, l *parts) error {
	at, err := p.epoch(ctx)
	if err == nil {
		l.runner.SetEpoch(at)
	}
	return err
}

// epoch is since when the server may have forgotten deliveries: never, where the lanes have
// replicas.
func (p *Pool) epoch(ctx context.Context) (time.Time, error) {
	s, err := p.cfg.JS.Stream(ctx, wire.StreamReady)
	if err != nil {
		return time.Time{}, fmt.Errorf("read stream %s: %w", wire.StreamReady, err)
	}
	if s.CachedInfo().Config.Replicas > 1 {
		return time.Time{}, nil
	}
	return natsx.Epoch(ctx, p.cfg.JS)
}

// reread reads what subscriptions may have missed.
func (p *Pool) reread(ctx context.Context, l *parts) {
	one, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if l.permits.Waits() {
		_ = l.permits.Refresh(one) // or with the next heartbeat
	}
	desired := wire.KVSubject(wire.BucketWorkers, wire.DesiredKey(p.cfg.Pool))
	subjects := []string{desired}
	for _, w := range l.fleet.Snapshot() {
		if len(subjects) < 1000 {
			subjects = append(subjects, wire.KVSubject(wire.BucketWorkers, wire.WorkerCommandKey(w.ID)))
		}
	}
	found, err := natsx.LastOf(one, p.cfg.JS, wire.StreamWorkers, subjects)
	if err != nil {
		return // with the next heartbeat
	}
	for _, m := range found {
		if m.Subject == desired {
			p.desired(l, m.Data)
			continue
		}
		p.command(l, m.Subject, m.Data)
	}
}
