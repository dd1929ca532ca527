package control

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// cancel ends open tasks. That of a running one ends it in the books; its pool hears the
// same command and tells the worker.
func (c *Control) cancel(ctx context.Context, cmd *command, submitted core.Submitted, recs map[string]*wire.Record) {
	var events []wire.Event
	var open []*wire.Record
	wait := false
	for _, id := range cmd.ids {
		rec := recs[id]
		switch {
		case c.early(cmd, id, rec, submitted):
			wait = true
		case rec == nil:
		case rec.Status == wire.StatusCancelled && rec.Meta.ControlSeq == cmd.msg.Seq:
			open = append(open, rec) // an earlier delivery may have been cut short
		case rec.Status.Ended() || rec.Meta.ControlSeq >= cmd.msg.Seq:
		default:
			open = append(open, rec)
			events = append(events, cancelled(cmd, rec))
		}
	}
	_, err := c.core.Events.Publish(ctx, events...)
	if err == nil {
		err = c.withdraw(ctx, open)
	}
	if err == nil && wait {
		cmd.msg.Nak(waitDelay)
		return
	}
	c.settle(cmd, err)
}

func cancelled(cmd *command, rec *wire.Record) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventCancelled, TaskID: rec.ID, WorkerID: rec.Worker, Pool: rec.Pool, Data: wire.EventData{
		ControlSeq: cmd.msg.Seq, Round: rec.Meta.Round, Reason: cmd.actor,
	}})
}

func (c *Control) withdraw(ctx context.Context, recs []*wire.Record) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, rec := range recs {
		if rec.Status == wire.StatusInProgress {
			continue // its lane message is in its pool's hand
		}
		g.Go(func() error { return c.core.Withdraw(ctx, rec) })
	}
	return g.Wait()
}

// early tells whether a cancel must wait: its task, or the lane message that would have to
// be taken back, may not be known yet.
func (c *Control) early(cmd *command, id string, rec *wire.Record, s core.Submitted) bool {
	if rec != nil && (rec.Status != wire.StatusPending || rec.Meta.LaneSeq != 0 || rec.Meta.ControlSeq >= cmd.msg.Seq) {
		return false
	}
	if rec != nil && rec.Meta.Round > 0 {
		// A new round is being dispatched. Were it never, the cancel would still count.
		return time.Since(cmd.msg.Stored) < 2*c.core.Lease
	}
	if rec != nil {
		return rec.Meta.SubmitSeq > s.Floor
	}
	if seq, _, made := wire.MadeFrom(id); made {
		return seq > s.Floor && seq <= s.Last
	}
	return c.lastAt(cmd.msg.Seq, s.Last) > s.Floor
}

// lastAt is where submissions ended when the command was seen first: only those before it
// can be meant.
func (c *Control) lastAt(seq, last uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.last[seq]; ok {
		return known
	}
	c.last[seq] = last
	return last
}

func (c *Control) forget(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, seq)
}
