package control

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// retry begins a new round of ended tasks whose payload is still there.
func (c *Control) retry(ctx context.Context, cmd *command, recs map[string]*wire.Record) {
	envs, err := c.rounds(ctx, cmd, recs)
	if err != nil {
		c.settle(cmd, err)
		return
	}
	var events []wire.Event
	var runs []core.Run
	for _, env := range envs {
		if recs[env.ID].Status.Ended() {
			events = append(events, wire.NewEvent(wire.Event{Event: wire.EventScheduled, TaskID: env.ID, Timestamp: env.DueAt, Data: wire.EventData{
				Reason: wire.ReasonManual, Round: env.Round, ControlSeq: cmd.msg.Seq, ScheduledFor: env.DueAt,
			}}))
		}
		// Checked, since the record may have gone another way than foreseen here.
		runs = append(runs, core.Run{Env: env, Check: true})
	}
	if _, err = c.core.Events.Publish(ctx, events...); err == nil {
		err = c.core.Lanes.Do(ctx, runs...)
	}
	c.settle(cmd, err)
}

// rounds makes the envelopes of the tasks that may run again.
func (c *Control) rounds(ctx context.Context, cmd *command, recs map[string]*wire.Record) ([]*wire.Envelope, error) {
	var mu sync.Mutex
	var envs []*wire.Envelope
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, id := range cmd.ids {
		rec := recs[id]
		if rec == nil {
			continue
		}
		env := nextRound(rec, cmd.msg.Seq)
		if env == nil {
			continue
		}
		g.Go(func() error {
			err := c.core.Payload(ctx, rec, env)
			if errors.Is(err, core.ErrPayloadGone) {
				c.core.Log.Warn("cannot retry a task: its payload is gone", "task_id", id)
				return nil
			}
			if err == nil {
				err = c.core.Lanes.Ensure(ctx, env.Task.Queue)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				envs = append(envs, env)
			}
			return err
		})
	}
	return envs, g.Wait()
}

// nextRound is what a manual retry runs: nil where it is not allowed. It agrees with what
// the fold makes of the event.
func nextRound(rec *wire.Record, seq uint64) *wire.Envelope {
	env := core.EnvelopeOf(rec)
	if rec.Meta.ControlSeq == seq && rec.Status == wire.StatusPending && rec.Meta.LaneSeq == 0 && rec.Meta.Round > 0 {
		return env // an earlier delivery was cut short after its event
	}
	if rec.Meta.ControlSeq >= seq || rec.Status != wire.StatusFailed && rec.Status != wire.StatusCancelled {
		return nil
	}
	if rec.Status == wire.StatusFailed {
		env.Attempt++
	}
	env.Retries, env.ControlSeq, env.DueAt = 0, seq, wire.Now()
	env.Round++
	return env
}
