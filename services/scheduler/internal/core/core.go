// Package core is what the scheduler's duties have in common: lanes, schedules, payloads
// and rejected submissions.
package core

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Core holds the connections of one scheduler.
type Core struct {
	JS      jetstream.JetStream
	Pub     *natsx.Publisher
	Events  *natsx.Events
	Records *natsx.Records
	Limits  *Limits
	Service *Service
	Lanes   *Lanes
	Later   *Later
	Rejects *Rejects
	Objects jetstream.ObjectStore
	Log     *slog.Logger
	// Dispatched, where set before the first task, is told how many tasks were put into lanes;
	// it must not block.
	Dispatched func(n int)
	// Lease of all lanes.
	Lease time.Duration
	// Replicated tells whether the streams have copies: their consumers forget nothing.
	Replicated bool

	streams map[string]jetstream.Stream
}

// Open makes a core on streams that exist.
func Open(ctx context.Context, js jetstream.JetStream, lease time.Duration, log *slog.Logger) (*Core, error) {
	c := &Core{JS: js, Pub: natsx.NewPublisher(js), Log: log, Lease: lease, streams: map[string]jetstream.Stream{}}
	for _, name := range []string{wire.StreamSubmit, wire.StreamControl, wire.StreamReady, wire.StreamLater, wire.StreamTasks, wire.StreamObjects, wire.StreamSettings} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		c.streams[name] = s
	}
	c.Replicated = c.streams[wire.StreamSubmit].CachedInfo().Config.Replicas > 1
	objects, err := js.ObjectStore(ctx, wire.BucketObjects)
	if err != nil {
		return nil, fmt.Errorf("open object store %s: %w", wire.BucketObjects, err)
	}
	c.Objects = objects
	if c.Records, err = natsx.NewRecords(ctx, js); err != nil {
		return nil, err
	}
	c.Events = natsx.NewEvents(c.Pub)
	if c.Limits, err = newLimits(c); err != nil {
		return nil, err
	}
	if c.Service, err = newService(js.Conn()); err != nil {
		return nil, err
	}
	c.Lanes = newLanes(c)
	c.Later = newLater(c)
	c.Rejects = newRejects(c)
	return c, nil
}

// Stream is a handle that needs no request.
func (c *Core) Stream(name string) jetstream.Stream { return c.streams[name] }

// Close stores what waits until ctx ends.
func (c *Core) Close(ctx context.Context) {
	c.Rejects.gather.Close(ctx)
	c.Later.gather.Close(ctx)
	c.Lanes.gather.Close(ctx)
	c.Events.Close(ctx)
	c.Records.Close()
	for _, sub := range []*nats.Subscription{c.Limits.sub, c.Service.sub} {
		_ = sub.Unsubscribe() // or the connection is gone
	}
}

// Submitted is how far the shared consumer of submissions has got: every sequence up to
// Floor is processed for good; Idle means that nothing waits or is held by anybody.
type Submitted struct {
	Floor, Last uint64
	Idle        bool
}

// Submitted reads how far submissions are processed.
func (c *Core) Submitted(ctx context.Context) (Submitted, error) {
	info, err := natsx.ConsumerInfo(ctx, c.JS, wire.StreamSubmit, wire.ConsumerSubmit)
	if err != nil {
		return Submitted{}, err
	}
	s, err := natsx.StreamInfo(ctx, c.JS, wire.StreamSubmit)
	if err != nil {
		return Submitted{}, err
	}
	out := Submitted{Floor: info.AckFloor.Stream, Last: s.State.LastSeq}
	if info.NumPending == 0 && info.NumAckPending == 0 {
		// The floor stands below gaps and purged stretches where nothing is left to do.
		out.Idle, out.Floor = true, max(out.Floor, info.Delivered.Stream)
	}
	return out, nil
}
