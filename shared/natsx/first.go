package natsx

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// maxFirsts bounds the events that are stored side by side under names of their own.
const maxFirsts = 500

// namedEvent is a message with one event, stored under a name.
type namedEvent struct {
	name string
	body []byte
}

type firstResult struct {
	first bool
	err   error
}

// PublishFirst stores an event under a name unless another was stored under that name in
// the last two minutes (the stream's window for message ids), and tells whether this one
// is the first. So of several writers that cannot see each other exactly one is. Then is
// called once from the publishing goroutine, so it must not block. The event comes after all
// that were handed in before it, by whatever call: the start of a hand-out must not overtake
// the end of the one before. What is handed in later may overtake it.
func (e *Events) PublishFirst(name string, event wire.Event, then func(first bool, err error)) {
	event.Seq = ""
	body, err := wire.EncodeEvents([]wire.Event{event})
	if err != nil {
		then(false, err)
		return
	}
	e.gather.After(func() {
		e.firsts.Go(func(_ int, r firstResult, err error) { then(r.first, errors.Join(err, r.err)) }, namedEvent{name, body})
	})
}

func (e *Events) writeFirsts(ctx context.Context, items []namedEvent) ([]firstResult, error) {
	msgs := make([]*nats.Msg, len(items))
	for i, it := range items {
		msgs[i] = nats.NewMsg(wire.EventsSubject(wire.Shard0))
		msgs[i].Header.Set(jetstream.MsgIDHeader, it.name)
		msgs[i].Data = it.body
	}
	acks, failed := e.pub.publishAll(ctx, msgs)
	out := make([]firstResult, len(items))
	for i, ack := range acks {
		switch {
		case failed[i] != nil:
			out[i].err = failed[i]
		case !ack.Duplicate:
			out[i].first = true
		default: // ours, where the answer to an earlier try was lost
			out[i].first, out[i].err = e.stands(ctx, ack.Sequence, items[i].body)
		}
	}
	return out, nil
}

// notFoundTries is how often a message is looked for that is not there: a replica that lags
// may not have it yet, else it was trimmed.
const notFoundTries = 8

// stands tells whether the message at a sequence of the stream has this body. One that is
// gone is taken for another's, which at worst repeats a hand-out.
func (e *Events) stands(ctx context.Context, seq uint64, body []byte) (bool, error) {
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		s, err := e.pub.js.Stream(one, wire.StreamEvents)
		var m *jetstream.RawStreamMsg
		if err == nil {
			m, err = s.GetMsg(one, seq)
		}
		cancel()
		switch {
		case err == nil:
			return bytes.Equal(m.Data, body), nil
		case errors.Is(err, jetstream.ErrMsgNotFound) && try >= notFoundTries:
			return false, nil
		}
		if stop := pause(ctx, try); stop != nil {
			return false, fmt.Errorf("read event %d: %w (last try: %w)", seq, stop, err)
		}
	}
}
