package intake

import (
	"context"
	"errors"
	"sync"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// checkMost bounds one look behind the barrier, checksAtOnce how many are under way.
	checkMost    = 1000
	checksAtOnce = 4
)

// checker is the path of tasks whose record decides. While some wait for the recorder,
// the next ones gather.
type checker struct {
	in     *Intake
	mu     sync.Mutex
	queued []*task
	busy   int
	work   sync.WaitGroup
}

func newChecker(in *Intake) *checker { return &checker{in: in} }

func (c *checker) wait() { c.work.Wait() }

func (c *checker) add(ctx context.Context, t *task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = append(c.queued, t)
	if c.busy < checksAtOnce {
		c.busy++
		c.work.Go(func() { c.run(ctx) })
	}
}

func (c *checker) run(ctx context.Context) {
	for {
		c.mu.Lock()
		n := min(len(c.queued), checkMost)
		tasks := c.queued[:n:n]
		if c.queued = c.queued[n:]; n == 0 {
			c.queued = nil
			c.busy--
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.check(ctx, tasks)
	}
}

// check stores the submissions, so that the fold decides which of them owns an id, and goes
// on with those that do.
func (c *checker) check(ctx context.Context, tasks []*task) {
	recs, err := c.submit(ctx, tasks)
	if err != nil {
		c.in.core.Log.Warn("cannot check submissions", "tasks", len(tasks), "err", err)
	}
	for _, t := range tasks {
		if err != nil {
			t.from.done(err)
			continue
		}
		c.decide(ctx, t, recs[t.env.ID])
	}
}

func (c *checker) submit(ctx context.Context, tasks []*task) (map[string]*wire.Record, error) {
	events := make([]wire.Event, 0, len(tasks))
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.env.ID
		events = append(events, t.submitted())
		if t.scheduledFor > 0 {
			events = append(events, t.delayed())
		}
	}
	if _, err := c.in.core.Events.Publish(ctx, events...); err != nil {
		return nil, err
	}
	return c.in.core.Records.Behind(ctx, ids...)
}

func (c *checker) decide(ctx context.Context, t *task, rec *wire.Record) {
	switch {
	case rec == nil:
		t.from.done(nil) // deleted meanwhile
	case rec.Meta.SubmitSeq != t.env.SubmitSeq || rec.Meta.Member != t.env.Member:
		c.other(t, rec)
	case rec.Meta.Round != 0 || rec.Fence != 0 || rec.Attempt != 1 || rec.Meta.LaneSeq != 0,
		rec.Status != wire.StatusPending && rec.Status != wire.StatusScheduled:
		t.from.done(nil) // on its way already
	default:
		c.start(ctx, t, rec.Status == wire.StatusScheduled)
	}
}

// other deals with a submission whose id another one has.
func (c *checker) other(t *task, rec *wire.Record) {
	if rec.Meta.Hash != t.env.Hash {
		c.in.reject(t, "another task has the id "+t.env.ID, t.env.ID)
	}
	t.from.done(nil)
}

func (c *checker) start(ctx context.Context, t *task, later bool) {
	err := c.in.settlePayload(ctx, t)
	switch {
	case errors.Is(err, core.ErrPayloadGone):
		c.in.core.Events.PublishAsync(t.from.done, t.failed(err.Error()))
	case err != nil:
		t.from.done(err)
	case later:
		c.in.deadline(t)
		c.in.core.Later.Go(t.from.done, core.RunSchedule(t.env, t.scheduledFor))
	default:
		c.in.cfg.Accepted.Add(1)
		c.in.dispatch([]*task{t}, false)
	}
}
