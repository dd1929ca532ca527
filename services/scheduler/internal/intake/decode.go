package intake

import (
	"strconv"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// decode makes tasks of a submission's good members and rejects the others.
func (in *Intake) decode(d *delivery) []*task {
	m := d.msg
	object := m.Header(wire.HeaderPayloadObject)
	dec := wire.Decoder{
		Defaults: in.cfg.Defaults, Now: m.Stored, SubjectType: wire.SubmitType(m.Subject()), NoPayload: object != "",
	}
	members, group, err := dec.Decode(m.Data())
	if err == nil && group && object != "" {
		err = wire.Faults{{Rule: "must be one task where " + wire.HeaderPayloadObject + " names an object"}}
	}
	if err != nil {
		faults, _ := wire.AsFaults(err)
		in.refuse(d, 0, m.Data(), faults)
		return nil
	}
	again := m.Deliveries > 1 || m.Stale() || !in.core.Replicated && m.Stored.Before(in.cfg.Epoch())
	tasks := make([]*task, 0, len(members))
	for i := range members {
		number := 0
		if group {
			number = i + 1
		}
		body := func() []byte { return in.memberBytes(d, number) }
		if len(members[i].Faults) > 0 {
			in.refuse(d, number, body(), members[i].Faults)
			continue
		}
		sub := &members[i].Submission
		if object != "" {
			sub.PayloadObject, sub.PayloadHash = object, m.Header(wire.HeaderPayloadHash)
			sub.PayloadBytes, _ = strconv.ParseInt(m.Header(wire.HeaderPayloadBytes), 10, 64)
		}
		t := newTask(d, sub, number)
		t.body, t.again = body, again
		tasks = append(tasks, t)
	}
	return tasks
}

func (in *Intake) memberBytes(d *delivery, number int) []byte {
	b, err := core.MemberBytes(d.msg.Data(), number)
	if err != nil {
		return d.msg.Data()
	}
	return b
}

func (in *Intake) refuse(d *delivery, number int, body []byte, faults wire.Faults) {
	d.left.Add(1)
	in.cfg.Rejected.Add(1)
	in.core.Rejects.Go(d.done, core.Rejection{
		Body: body, Subject: d.msg.Subject(), Seq: d.msg.Seq, Member: number, Faults: faults,
	})
}

func newTask(d *delivery, sub *wire.Submission, number int) *task {
	submitted := wire.At(d.msg.Stored)
	t := &task{from: d, incoming: sub.PayloadObject, chosen: sub.ID != "", scheduledFor: sub.ScheduledFor(submitted)}
	t.env = &wire.Envelope{
		ID: sub.ID, Task: wire.Compact(sub.Definition), Attempt: 1, SubmitSeq: d.msg.Seq, Member: number,
		SubmittedAt: submitted, DueAt: max(t.scheduledFor, submitted), Payload: sub.Payload,
	}
	if t.chosen {
		t.env.Hash = sub.ContentHash()
	} else {
		t.env.ID = wire.MakeID(d.msg.Seq, number)
	}
	return t
}

// submitted is the event that makes a task's record.
func (t *task) submitted() wire.Event {
	e := t.env
	d := wire.EventData{
		Task: &e.Task, SubmitSeq: e.SubmitSeq, Member: e.Member, SubmittedAt: e.SubmittedAt, Hash: e.Hash,
		PayloadObject: e.PayloadObject, ScheduledFor: t.scheduledFor,
	}
	if t.incoming != "" || t.spills() {
		d.PayloadObject = wire.PayloadObject(e.ID)
	}
	return wire.NewEvent(wire.Event{Event: wire.EventSubmitted, Timestamp: e.SubmittedAt, TaskID: e.ID, Data: d})
}

// spills tells whether the payload is too large for the schedule it must wait in.
func (t *task) spills() bool {
	return t.scheduledFor > 0 && len(t.env.Payload) > wire.MaxInlineLater
}

// delayed is the event that says when the task is to run.
func (t *task) delayed() wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventScheduled, Timestamp: t.env.SubmittedAt, TaskID: t.env.ID, Data: wire.EventData{
		Reason: wire.ReasonDelay, SubmitSeq: t.env.SubmitSeq, ScheduledFor: t.scheduledFor,
	}})
}
