// Package control carries out commands: cancel, retry, delete.
//
// A command is applied to a task's record behind the barrier, in the order of the control
// stream; the record keeps the sequence of the last one, so that an older one that comes
// late, or the same one twice, does nothing.
package control

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/pull"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	takeMost = 500
	// waitDelay is how long a command rests whose task is not known yet.
	waitDelay  = 50 * time.Millisecond
	retryDelay = 200 * time.Millisecond
	// atOnce is how many messages are taken back, or payloads read, side by side.
	atOnce = 16
)

// Control is the duty of carrying out commands.
type Control struct {
	core   *core.Core
	puller *pull.Puller
	work   sync.WaitGroup

	mu sync.Mutex
	// busy counts the commands under way by task: retries are carried out aside, since a full
	// lane must not hold up the cancels that would empty it.
	busy map[string]int
	// last is where submissions ended when a command was seen first, by its sequence.
	last map[uint64]uint64
}

// New makes the duty.
func New(c *core.Core, p *pull.Puller) *Control {
	return &Control{core: c, puller: p, busy: map[string]int{}, last: map[uint64]uint64{}}
}

// Run works until pulling has ended and what is in hand is done, or ctx ends.
func (c *Control) Run(ctx context.Context) {
	for {
		msgs, err := c.puller.Next(ctx, takeMost)
		for _, some := range c.apart(msgs) {
			c.carryOut(ctx, some)
		}
		if err != nil {
			break
		}
	}
	c.work.Wait()
}

// command is one message: one task, or up to 1,000.
type command struct {
	msg   *pull.Msg
	verb  string
	ids   []string
	actor string
}

func parse(m *pull.Msg) (*command, error) {
	verb, id := wire.ParseCommand(m.Subject())
	cmd := &command{msg: m, verb: strings.TrimPrefix(verb, "request."), ids: []string{id}, actor: m.Header(wire.HeaderActor)}
	if id != "" {
		return cmd, nil
	}
	bulk, err := wire.DecodeCommand(m.Data())
	if err != nil {
		return nil, err
	}
	cmd.ids = bulk.IDs
	return cmd, nil
}

// apart splits messages into runs in which no task stands twice: the second command must
// see what the first one did.
func (c *Control) apart(msgs []*pull.Msg) [][]*command {
	var out [][]*command
	seen := map[string]bool{}
	for _, m := range msgs {
		cmd, err := parse(m)
		if err != nil {
			c.core.Log.Warn("a command is malformed", "subject", m.Subject(), "seq", m.Seq, "err", err)
			m.Ack()
			continue
		}
		fresh := len(out) == 0
		for _, id := range cmd.ids {
			fresh = fresh || seen[id]
		}
		if fresh {
			out = append(out, nil)
			clear(seen)
		}
		for _, id := range cmd.ids {
			seen[id] = true
		}
		out[len(out)-1] = append(out[len(out)-1], cmd)
	}
	return out
}

func (c *Control) carryOut(ctx context.Context, cmds []*command) {
	cmds = c.free(cmds)
	if len(cmds) == 0 {
		return
	}
	// How far submissions are processed is read first: what was processed then is known
	// behind the barrier that follows.
	submitted, err := c.core.Submitted(ctx)
	var recs map[string]*wire.Record
	if err == nil {
		var ids []string
		for _, cmd := range cmds {
			ids = append(ids, cmd.ids...)
		}
		recs, err = c.core.Records.Behind(ctx, ids...)
	}
	if err != nil {
		c.core.Log.Warn("cannot carry out commands", "commands", len(cmds), "err", err)
		for _, cmd := range cmds {
			cmd.msg.Nak(retryDelay)
		}
		return
	}
	for _, cmd := range cmds {
		c.one(ctx, cmd, submitted, recs)
	}
}

// free leaves out commands whose task an earlier one is still busy with.
func (c *Control) free(cmds []*command) []*command {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := cmds[:0]
next:
	for _, cmd := range cmds {
		for _, id := range cmd.ids {
			if c.busy[id] > 0 {
				cmd.msg.Nak(waitDelay)
				continue next
			}
		}
		kept = append(kept, cmd)
	}
	return kept
}

func (c *Control) one(ctx context.Context, cmd *command, submitted core.Submitted, recs map[string]*wire.Record) {
	switch cmd.verb {
	case "cancel":
		c.cancel(ctx, cmd, submitted, recs)
	case "retry":
		c.claim(cmd.ids)
		c.work.Go(func() {
			defer c.yield(cmd.ids)
			c.retry(ctx, cmd, recs)
		})
	case "delete":
		c.remove(ctx, cmd, recs)
	default:
		c.core.Log.Warn("an unknown command", "subject", cmd.msg.Subject(), "seq", cmd.msg.Seq)
		cmd.msg.Ack()
	}
}

func (c *Control) claim(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.busy[id]++
	}
}

func (c *Control) yield(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.busy[id]--; c.busy[id] == 0 {
			delete(c.busy, id)
		}
	}
}

// settle ends a command: done, or to come again.
func (c *Control) settle(cmd *command, err error) {
	if err != nil {
		c.core.Log.Warn("cannot carry out a command", "command", cmd.verb, "seq", cmd.msg.Seq, "tasks", len(cmd.ids), "err", err)
		cmd.msg.Nak(retryDelay)
		return
	}
	cmd.msg.Ack()
	c.forget(cmd.msg.Seq)
}

// remove deletes the records of ended tasks.
func (c *Control) remove(ctx context.Context, cmd *command, recs map[string]*wire.Record) {
	var events []wire.Event
	for _, id := range cmd.ids {
		if rec := recs[id]; rec != nil && rec.Status.Ended() && rec.Meta.ControlSeq < cmd.msg.Seq {
			events = append(events, wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: id, Data: wire.EventData{
				ControlSeq: cmd.msg.Seq, Reason: cmd.actor,
			}}))
		}
	}
	_, err := c.core.Events.Publish(ctx, events...)
	c.settle(cmd, err)
}
