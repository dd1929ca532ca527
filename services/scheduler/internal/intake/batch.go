package intake

import (
	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// batch is what goes out together on the normal path.
type batch struct {
	in  *Intake
	all []*delivery

	ready []*task
	later []*task
}

func (b *batch) add(t *task) {
	b.in.cfg.Accepted.Add(1)
	if t.scheduledFor > 0 {
		b.later = append(b.later, t)
		return
	}
	b.ready = append(b.ready, t)
}

// send stores events and lane messages side by side: one after the other doubles the idle
// latency. The lanes' own events come after these, since events keep their order.
func (b *batch) send() {
	if len(b.ready) > 0 {
		for _, t := range b.ready {
			t.from.left.Add(2)
		}
		var e wire.Event
		b.in.core.Events.PublishEach(func(err error) {
			for _, t := range b.ready {
				t.from.done(err)
			}
		}, len(b.ready), func(i int) *wire.Event {
			e = b.ready[i].submitted()
			return &e
		})
		b.in.dispatch(b.ready, true)
	}
	for _, t := range b.later {
		t.from.left.Add(1)
		b.in.core.Events.PublishAsync(func(err error) {
			if err != nil {
				t.from.done(err)
				return
			}
			// Only now, so that no schedule fires before its record can be known.
			b.in.core.Later.Go(t.from.done, core.RunSchedule(t.env, t.scheduledFor))
		}, t.submitted(), t.delayed())
		b.in.deadline(t)
	}
}

// dispatch hands tasks to their lanes, those together that may be; each of them must have been
// counted once.
func (in *Intake) dispatch(tasks []*task, together bool) {
	runs := make([]core.Run, len(tasks))
	for i, t := range tasks {
		runs[i] = core.Run{Env: t.env, Check: t.again, Pack: together}
		in.deadline(t)
	}
	in.core.Lanes.Go(func(i int, err error) {
		t := tasks[i]
		if err != nil && core.Refused(err) {
			in.core.Events.PublishAsync(t.from.done, t.failed("the lane refuses it: "+err.Error()))
			return
		}
		t.from.done(err)
	}, runs...)
}

// deadline makes the schedule of a task's deadline.
func (in *Intake) deadline(t *task) {
	if t.env.Task.Deadline > 0 {
		t.from.left.Add(1)
		in.core.Later.Go(t.from.done, core.DeadlineSchedule(t.env))
	}
}

// failed ends a task that can never run.
func (t *task) failed(message string) wire.Event {
	return core.FailedEvent(t.env, wire.CodeHandler, message, wire.Now())
}
