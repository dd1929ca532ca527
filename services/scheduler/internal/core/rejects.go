package core

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// maxFaults bounds the faults that one event tells; the bytes are kept, so nothing is lost.
const maxFaults = 20

// Rejection is a submission, or a member of one, that cannot be accepted.
type Rejection struct {
	// Body is what was submitted, Subject where.
	Body    []byte
	Subject string
	Seq     uint64
	Member  int
	// TaskID is set where the id belongs to another task.
	TaskID string
	Reason string
	Faults wire.Faults
}

// Rejects keeps the bytes of what is rejected, then tells so.
type Rejects struct {
	core   *Core
	gather *natsx.Gather[Rejection, rejected]
}

type rejected struct {
	seq uint64
	err error
}

func newRejects(c *Core) *Rejects {
	r := &Rejects{core: c}
	r.gather = natsx.NewGather(laterBatch, natsx.MaxBatchBytes, func(x Rejection) int { return len(x.Body) + 300 }, r.write)
	return r
}

// Go hands a rejection in; then, which must not block, is called when its event is stored.
func (r *Rejects) Go(then func(error), x Rejection) {
	if x.Reason == "" {
		x.Reason = clip(x.Faults.Error())
	}
	r.gather.Go(func(_ int, res rejected, err error) {
		if err = errors.Join(err, res.err); err != nil {
			then(err)
			return
		}
		r.core.Events.PublishAsync(then, x.event(res.seq))
	}, x)
}

func (r *Rejects) write(ctx context.Context, all []Rejection) ([]rejected, error) {
	msgs := make([]*nats.Msg, len(all))
	for i, x := range all {
		msgs[i] = x.message()
	}
	seqs, failed := r.core.Pub.PublishAll(ctx, msgs)
	out := make([]rejected, len(all))
	for i := range out {
		out[i] = rejected{seqs[i], failed[i]}
	}
	return out, nil
}

func (x *Rejection) message() *nats.Msg {
	seq := strconv.FormatUint(x.Seq, 10)
	m := nats.NewMsg(wire.SubjectRejected)
	m.Data = x.Body
	m.Header.Set(wire.HeaderMsgID, seq+"."+strconv.Itoa(x.Member))
	m.Header.Set(wire.HeaderReason, x.Reason)
	m.Header.Set(wire.HeaderSubject, x.Subject)
	m.Header.Set(wire.HeaderSequence, seq)
	return m
}

func (x *Rejection) event(seq uint64) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventRejected, TaskID: x.TaskID, Data: wire.EventData{
		SubmitSeq: x.Seq, Member: x.Member, Reason: x.Reason, RejectedSeq: seq, Errors: x.Faults[:min(len(x.Faults), maxFaults)],
	}})
}

// clip makes a text fit a header: one line of up to 200 characters.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}
