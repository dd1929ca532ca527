// Package intake turns submissions into tasks: events, lane messages and schedules.
//
// The normal path reads no record: ids made by Batuta cannot be taken, and a first delivery
// has been dispatched by nobody. Whatever may have been seen before, and ids that clients
// chose, go by the checked path, which waits for the recorder.
package intake

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/services/scheduler/internal/pull"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// takeMost is how many submissions are looked at together, takeBytes how large they are.
	takeMost  = 500
	takeBytes = 512 << 10
	// tasksMost bounds the tasks in hand: five commits' worth. More would only lie in memory
	// until the disk has taken these.
	tasksMost = 5000
	// slowMost bounds the submissions whose payload is being moved.
	slowMost = 8
	// retryDelay is how long a submission rests that could not be dealt with.
	retryDelay = 200 * time.Millisecond
)

// Config of an Intake.
type Config struct {
	Core   *core.Core
	Puller *pull.Puller
	// Defaults fill what a task does not say.
	Defaults wire.Defaults
	// Epoch is since when the present run of the server is known; what was stored before is
	// checked. Unknown is the far future.
	Epoch func() time.Time
	// Processed hears how many bytes of submissions are dealt with for good; nil: nobody does.
	Processed func(bytes int)
	// Accepted and Rejected count tasks.
	Accepted, Rejected *atomic.Uint64
}

// Intake is the duty of dealing with submissions.
type Intake struct {
	cfg  Config
	core *core.Core
	slow chan struct{}
	work sync.WaitGroup
	// tasks in hand; freed is signalled when some are done.
	tasks atomic.Int64
	freed chan struct{}

	checker *checker
}

// New makes an intake.
func New(cfg Config) *Intake {
	in := &Intake{cfg: cfg, core: cfg.Core, slow: make(chan struct{}, slowMost), freed: make(chan struct{}, 1)}
	in.checker = newChecker(in)
	return in
}

// Run deals with submissions until pulling has ended and what is in hand is done, or ctx
// ends.
func (in *Intake) Run(ctx context.Context) {
	for {
		msgs, err := in.cfg.Puller.Next(ctx, takeMost)
		for len(msgs) > 0 {
			n := together(msgs)
			in.await(ctx)
			in.take(ctx, msgs[:n])
			msgs = msgs[n:]
		}
		if err != nil {
			break
		}
	}
	in.checker.wait()
	in.work.Wait()
}

// together is how many of the messages to look at now.
func together(msgs []*pull.Msg) int {
	bytes := 0
	for i, m := range msgs {
		if bytes += len(m.Data()); i > 0 && bytes > takeBytes {
			return i
		}
	}
	return len(msgs)
}

// await waits while too many tasks are in hand.
func (in *Intake) await(ctx context.Context) {
	for in.tasks.Load() >= tasksMost {
		select {
		case <-in.freed:
		case <-ctx.Done():
			return
		}
	}
}

// delivery is a submission in hand, acknowledged once all that it asked for is stored.
type delivery struct {
	in    *Intake
	msg   *pull.Msg
	tasks int64
	left  atomic.Int32
	fail  atomic.Bool
}

func (d *delivery) done(err error) {
	if err != nil {
		d.fail.Store(true)
	}
	if d.left.Add(-1) != 0 {
		return
	}
	d.in.tasks.Add(-d.tasks)
	select {
	case d.in.freed <- struct{}{}:
	default:
	}
	if d.fail.Load() {
		d.msg.Nak(retryDelay)
		return
	}
	d.msg.Ack()
	if d.in.cfg.Processed != nil {
		d.in.cfg.Processed(len(d.msg.Data()))
	}
}

// task is one member of a submission.
type task struct {
	from *delivery
	env  *wire.Envelope
	// body is the member's own, for the case that it is rejected.
	body func() []byte
	// incoming names the client's object that holds the payload; empty where there is none.
	incoming string
	// scheduledFor is when it may run first; 0 is now.
	scheduledFor wire.Time
	// chosen: the client chose the id. again: it may have been seen before.
	chosen, again bool
}

func (in *Intake) take(ctx context.Context, msgs []*pull.Msg) {
	b := &batch{in: in}
	for _, m := range msgs {
		d := &delivery{in: in, msg: m}
		d.left.Store(1) // held by this loop, so that nothing is acknowledged half way
		tasks := in.decode(d)
		d.tasks = int64(len(tasks))
		in.tasks.Add(d.tasks)
		for _, t := range tasks {
			in.sort(ctx, b, t)
		}
		b.all = append(b.all, d)
	}
	b.send()
	for _, d := range b.all {
		d.done(nil)
	}
}

// sort sends a task on its path.
func (in *Intake) sort(ctx context.Context, b *batch, t *task) {
	if err := in.lanes(ctx, t.env.Task.Queue); err != nil {
		if errors.Is(err, core.ErrTooManyQueues) {
			in.reject(t, "queue "+t.env.Task.Queue+": "+err.Error(), "")
			return
		}
		t.from.left.Add(1)
		t.from.done(err)
		return
	}
	switch {
	case t.chosen || t.again:
		t.from.left.Add(1)
		in.checker.add(ctx, t)
	case t.incoming != "" || t.scheduledFor > 0 && len(t.env.Payload) > wire.MaxInlineLater:
		t.from.left.Add(1)
		in.aside(ctx, t)
	default:
		b.add(t)
	}
}

// lanes makes a queue's lanes, and goes on trying while the server does not answer.
func (in *Intake) lanes(ctx context.Context, queue string) error {
	for {
		err := in.core.Lanes.Ensure(ctx, queue)
		if err == nil || errors.Is(err, core.ErrTooManyQueues) {
			return err
		}
		in.core.Log.Warn("cannot make the lanes of a queue", "queue", queue, "err", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(retryDelay):
		}
	}
}

// aside moves a task's payload first, without holding up others.
func (in *Intake) aside(ctx context.Context, t *task) {
	in.slow <- struct{}{}
	in.work.Go(func() {
		defer func() { <-in.slow }()
		err := in.settlePayload(ctx, t)
		switch {
		case errors.Is(err, core.ErrPayloadGone):
			in.reject(t, "the object "+t.incoming+" with its payload is not there", "")
		case err != nil:
			in.core.Log.Warn("cannot move a payload", "task_id", t.env.ID, "err", err)
			t.from.done(err)
			return
		default:
			b := &batch{in: in}
			b.add(t)
			b.send()
		}
		t.from.done(nil)
	})
}

// settlePayload puts the payload where the task's envelope says it lies.
func (in *Intake) settlePayload(ctx context.Context, t *task) error {
	if t.incoming != "" {
		if err := in.core.Adopt(ctx, t.incoming, t.env.ID); err != nil {
			return err
		}
		t.env.PayloadObject = wire.PayloadObject(t.env.ID)
		return nil
	}
	if t.scheduledFor > 0 {
		return in.core.Spill(ctx, t.env)
	}
	return nil
}

// reject keeps the task's bytes and says why it is not accepted.
func (in *Intake) reject(t *task, reason, id string) {
	t.from.left.Add(1)
	in.cfg.Rejected.Add(1)
	in.core.Rejects.Go(t.from.done, core.Rejection{
		Body: t.body(), Subject: t.from.msg.Subject(), Seq: t.from.msg.Seq, Member: t.env.Member, TaskID: id, Reason: reason,
	})
}
