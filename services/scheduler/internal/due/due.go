// Package due deals with what falls due: delayed runs, retries, deadlines, ticks.
//
// Nothing of it is taken at its word. A schedule may fire twice, or after its task was
// cancelled, retried by hand or repaired; so the task's record, read behind the barrier,
// says whether it still holds.
package due

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/pull"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	takeMost = 1000
	// atOnce is how many batches wait for the recorder side by side, waitMost for how long:
	// what cannot be checked is handed back, so that ticks still get through.
	atOnce     = 4
	waitMost   = 5 * time.Second
	retryDelay = 200 * time.Millisecond
)

// Due is the duty of dealing with what falls due.
type Due struct {
	core   *core.Core
	puller *pull.Puller
	tick   func()
	work   sync.WaitGroup

	mu     sync.Mutex
	queued []item
	busy   int
}

// New makes the duty; tick is called for every tick and must not block.
func New(c *core.Core, p *pull.Puller, tick func()) *Due {
	return &Due{core: c, puller: p, tick: tick}
}

// Run works until pulling has ended and what is in hand is done, or ctx ends.
func (d *Due) Run(ctx context.Context) {
	for {
		msgs, err := d.puller.Next(ctx, takeMost)
		d.take(ctx, msgs)
		if err != nil {
			break
		}
	}
	d.work.Wait()
}

type item struct {
	msg  *pull.Msg
	kind string
	env  *wire.Envelope
}

func (d *Due) take(ctx context.Context, msgs []*pull.Msg) {
	var items []item
	for _, m := range msgs {
		kind, id := wire.ParseDue(m.Subject())
		if kind == "tick" {
			m.Ack()
			d.tick()
			continue
		}
		if rest := time.Until(core.NotBefore(m.Header(wire.HeaderNotBefore))); rest > 0 {
			m.Nak(rest)
			continue
		}
		env, err := wire.DecodeEnvelope(m.Data())
		if err == nil && env.ID == id && kind == "move" {
			d.move(ctx, m, env)
			continue
		}
		if err != nil || env.ID != id || kind != "run" && kind != "deadline" {
			d.core.Log.Error("what fell due is malformed", "subject", m.Subject(), "seq", m.Seq, "err", err)
			m.Ack()
			continue
		}
		items = append(items, item{m, kind, env})
	}
	d.add(ctx, items)
}

// add has items settled; while some wait for the recorder, the next ones gather.
func (d *Due) add(ctx context.Context, items []item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queued = append(d.queued, items...)
	if len(d.queued) > 0 && d.busy < atOnce {
		d.busy++
		d.work.Go(func() { d.run(ctx) })
	}
}

func (d *Due) run(ctx context.Context) {
	for {
		d.mu.Lock()
		n := min(len(d.queued), takeMost)
		items := d.queued[:n:n]
		if d.queued = d.queued[n:]; n == 0 {
			d.queued = nil
			d.busy--
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		d.settle(ctx, items)
	}
}

func (d *Due) settle(ctx context.Context, items []item) {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.env.ID
	}
	limited, cancel := context.WithTimeout(ctx, waitMost)
	recs, err := d.core.Records.Behind(limited, ids...)
	cancel()
	if err != nil {
		d.core.Log.Warn("cannot check what fell due", "messages", len(items), "err", err)
		for _, it := range items {
			it.msg.Nak(retryDelay)
		}
		return
	}
	now := wire.Now()
	var granted []item
	for _, it := range items {
		rec := recs[it.env.ID]
		switch {
		case it.kind == "run" && grants(rec, it.env):
			granted = append(granted, it)
		case it.kind == "deadline":
			d.deadline(ctx, it, rec, now)
		default:
			it.msg.Ack()
		}
	}
	d.grant(ctx, granted)
}

// grants tells whether the record stands where the run that fell due is the next one.
func grants(rec *wire.Record, env *wire.Envelope) bool {
	if !same(rec, env) || rec.Meta.Round != env.Round || rec.Fence != env.After {
		return false
	}
	switch rec.Status {
	case wire.StatusScheduled:
		return rec.Attempt == env.Attempt
	case wire.StatusRetrying:
		return rec.Attempt == env.Attempt-1
	default:
		return false
	}
}

// same tells whether a record is of the very submission that an envelope is of.
func same(rec *wire.Record, env *wire.Envelope) bool {
	return rec != nil && rec.Meta.SubmitSeq == env.SubmitSeq && rec.Meta.Member == env.Member
}

// move puts a task into the lane where it belongs now. Its record is not asked here: whoever
// takes it does that, and the copy it was made of may have been run or cancelled meanwhile.
func (d *Due) move(ctx context.Context, m *pull.Msg, env *wire.Envelope) {
	from, err := strconv.ParseUint(m.Header(wire.HeaderLane), 10, 64)
	if err == nil {
		err = d.core.Lanes.Ensure(ctx, env.Task.Queue)
	}
	if err != nil {
		d.core.Log.Warn("a task is not moved to another lane yet", "task_id", env.ID, "err", err)
		m.Nak(retryDelay)
		return
	}
	d.core.Lanes.Go(func(_ int, err error) {
		if err != nil {
			m.Nak(retryDelay)
			return
		}
		m.Ack()
	}, core.Run{Env: env, Check: true, From: from})
}

func (d *Due) grant(ctx context.Context, items []item) {
	var runs []core.Run
	var kept []item
	for _, it := range items {
		if err := d.core.Lanes.Ensure(ctx, it.env.Task.Queue); err != nil {
			d.core.Log.Warn("cannot make the lanes of a queue", "queue", it.env.Task.Queue, "err", err)
			it.msg.Nak(retryDelay)
			continue
		}
		runs = append(runs, core.Run{Env: it.env})
		kept = append(kept, it)
	}
	d.core.Lanes.Go(func(i int, err error) {
		if err != nil {
			kept[i].msg.Nak(retryDelay)
			return
		}
		kept[i].msg.Ack()
	}, runs...)
}

// deadline ends a task that nobody runs. One that runs is ended by its pool, and one that is
// handed out later by its taker.
func (d *Due) deadline(ctx context.Context, it item, rec *wire.Record, now wire.Time) {
	if !same(rec, it.env) || rec.Deadline == 0 || now < rec.Deadline || rec.Status == wire.StatusInProgress {
		it.msg.Ack()
		return
	}
	if rec.Status.Ended() {
		// An earlier delivery may have been cut short before it took back the lane message.
		if rec.Error == nil || rec.Error.Code != wire.CodeDeadline {
			it.msg.Ack()
			return
		}
	} else if _, err := d.core.Events.Publish(ctx, core.FailedEvent(core.EnvelopeOf(rec), wire.CodeDeadline, "the deadline "+rec.Deadline.String()+" has passed", now)); err != nil {
		it.msg.Nak(retryDelay)
		return
	}
	if err := d.core.Withdraw(ctx, rec); err != nil {
		d.core.Log.Warn("cannot take back a task past its deadline", "task_id", rec.ID, "err", err)
		it.msg.Nak(retryDelay)
		return
	}
	it.msg.Ack()
}
