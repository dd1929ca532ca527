package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// LaneMessage reads the lane message of a task: its envelope, and whether others share the
// message. Nil where that sequence holds none of it.
func (c *Core) LaneMessage(ctx context.Context, id string, seq uint64) (env *wire.Envelope, shared bool, err error) {
	if seq == 0 {
		return nil, false, nil
	}
	m, err := c.laneMessage(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read lane message %d: %w", seq, err)
	}
	members, err := wire.DecodeLaneMessage(m.Data)
	if err != nil {
		return nil, false, nil //nolint:nilerr // what nobody can read is not this task's message
	}
	for _, env := range members {
		if env.ID == id {
			return env, len(members) > 1, nil
		}
	}
	return nil, false, nil
}

// laneMessage asks the leader about what a replica, which may lag, does not find.
func (c *Core) laneMessage(ctx context.Context, seq uint64) (*jetstream.RawStreamMsg, error) {
	m, err := c.Stream(wire.StreamReady).GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && c.Replicated {
		return natsx.MessageOfLeader(ctx, c.JS, wire.StreamReady, seq)
	}
	return m, err
}

// Withdraw removes what would run an ended task: its lane message, its schedules and what
// has fallen due. It may be repeated, and is safe while any of them is being delivered. A
// parcel stays, for the sake of its other members: its taker leaves out those that have ended.
func (c *Core) Withdraw(ctx context.Context, rec *wire.Record) error {
	env, shared, err := c.LaneMessage(ctx, rec.ID, rec.Meta.LaneSeq)
	if err != nil {
		return err
	}
	if env != nil && !shared && env.Round == rec.Meta.Round {
		if err := c.RemoveLaneMessage(ctx, rec.Meta.LaneSeq); err != nil {
			return err
		}
	}
	subjects := []string{}
	if rec.Status != wire.StatusPending || rec.ScheduledFor > 0 {
		subjects = append(subjects, laterRuns(rec.ID), wire.DueRunSubject(rec.ID))
	}
	if rec.Deadline > 0 {
		subjects = append(subjects, wire.LaterDeadlineSubject(rec.ID))
	}
	for _, s := range subjects {
		if err := c.Stream(wire.StreamLater).Purge(ctx, jetstream.WithPurgeSubject(s)); err != nil {
			return fmt.Errorf("remove %s: %w", s, err)
		}
	}
	return nil
}

// RemoveLaneMessage removes a lane message, if it is still there.
func (c *Core) RemoveLaneMessage(ctx context.Context, seq uint64) error {
	err := c.Stream(wire.StreamReady).DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if _, gone := c.laneMessage(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil // its taker was faster
	}
	return fmt.Errorf("remove lane message %d: %w", seq, err)
}

// laterRuns matches the schedules of all runs of a task.
func laterRuns(id string) string { return "batuta.later.run." + id + ".*" }

// WaitsLater tells whether a schedule of a run, or one that has fallen due, is stored.
func (c *Core) WaitsLater(ctx context.Context, id string) (bool, error) {
	found, err := natsx.LastOf(ctx, c.JS, wire.StreamLater, []string{laterRuns(id), wire.DueRunSubject(id), wire.DueMoveSubject(id)})
	if err != nil {
		return false, fmt.Errorf("look for the schedules of %s: %w", id, err)
	}
	return len(found) > 0, nil
}
