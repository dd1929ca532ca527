package core

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// laterBatch is how many schedules are published side by side.
const laterBatch = 256

// Later writes schedules, gathered.
type Later struct {
	core   *Core
	gather *natsx.Gather[*nats.Msg, error]
}

func newLater(c *Core) *Later {
	l := &Later{core: c}
	l.gather = natsx.NewGather(laterBatch, natsx.MaxBatchBytes, func(m *nats.Msg) int { return len(m.Data) + 300 },
		func(ctx context.Context, msgs []*nats.Msg) ([]error, error) {
			_, failed := c.Pub.PublishAll(ctx, msgs)
			return failed, nil
		})
	return l
}

// Go hands a schedule in; then must not block.
func (l *Later) Go(then func(error), m *nats.Msg) {
	l.gather.Go(func(_ int, failed, err error) { then(errors.Join(err, failed)) }, m)
}

// Do stores a schedule.
func (l *Later) Do(ctx context.Context, m *nats.Msg) error {
	_, err := l.core.Pub.Publish(ctx, m)
	return err
}

// RunSchedule hands an envelope to the scheduler again at the given time. What is due within
// the schedules' resolution goes there at once and is handed back for the rest.
func RunSchedule(env *wire.Envelope, at wire.Time) *nats.Msg {
	m := nats.NewMsg(wire.LaterRunSubject(env.ID, env.After))
	m.Data = env.Encode()
	m.Header.Set(wire.HeaderMsgID, fmt.Sprintf("run.%s.%d.%s", env.MsgID(), env.After, at))
	if time.Until(at.Time()) < wire.ScheduleFloor {
		m.Subject = wire.DueRunSubject(env.ID)
		m.Header.Set(wire.HeaderNotBefore, at.String())
		return m
	}
	schedule(m, at, wire.DueRunSubject(env.ID))
	return m
}

// DeadlineSchedule reminds the scheduler of a task's deadline.
func DeadlineSchedule(env *wire.Envelope) *nats.Msg {
	slim := *env
	slim.Payload, slim.PayloadObject = nil, ""
	at := env.Task.Deadline
	m := nats.NewMsg(wire.LaterDeadlineSubject(env.ID))
	m.Data = slim.Encode()
	m.Header.Set(wire.HeaderMsgID, "deadline."+env.ID+"."+strconv.FormatUint(env.SubmitSeq, 10)+"."+at.String())
	schedule(m, at, wire.DueDeadlineSubject(env.ID))
	return m
}

// schedule sets the headers. The library's option would drop what is finer than a second,
// and so fire early.
func schedule(m *nats.Msg, at wire.Time, target string) {
	m.Header.Set(wire.HeaderSchedule, "@at "+at.Time().Format(time.RFC3339Nano))
	m.Header.Set(wire.HeaderScheduleTarget, target)
}

// NotBefore reads HeaderNotBefore; zero where there is none.
func NotBefore(header string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, header)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Spill moves a payload that is too large for a schedule into the object store.
func (c *Core) Spill(ctx context.Context, env *wire.Envelope) error {
	if len(env.Payload) <= wire.MaxInlineLater {
		return nil
	}
	name := wire.PayloadObject(env.ID)
	if err := natsx.PutObject(ctx, c.JS, c.Objects, name, env.Payload); err != nil {
		return fmt.Errorf("store the payload of %s: %w", env.ID, err)
	}
	env.Payload, env.PayloadObject = nil, name
	return nil
}
