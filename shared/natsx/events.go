package natsx

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Events publishes events, gathered into arrays, in the order they were handed in.
type Events struct {
	pub    *Publisher
	gather *Gather[encodedEvent, wire.Position]
	firsts *Gather[namedEvent, firstResult]
}

type encodedEvent struct{ body []byte }

// encodedEventSize is enough for the events of most tasks.
const encodedEventSize = 384

// NewEvents starts a publisher of events.
func NewEvents(pub *Publisher) *Events {
	e := &Events{pub: pub}
	e.gather = NewGather(wire.MaxEventsPerMessage, wire.MaxEventBytes,
		func(ev encodedEvent) int { return len(ev.body) + 1 }, e.write)
	e.firsts = NewGather(maxFirsts, wire.MaxEventBytes, func(ev namedEvent) int { return len(ev.body) }, e.writeFirsts)
	return e
}

// Full tells whether the stream of events refuses at present.
func (e *Events) Full() bool { return e.pub.Full() }

// Publish stores events and returns where they stand. It waits while the stream is full.
func (e *Events) Publish(ctx context.Context, events ...wire.Event) ([]wire.Position, error) {
	items, err := encodeEvents(events)
	if err != nil {
		return nil, err
	}
	return e.gather.Do(ctx, items...)
}

// PublishAsync hands events in; then, where not nil, is called once from the publishing
// goroutine, so it must not block, when all of them are stored or one of them cannot be.
func (e *Events) PublishAsync(then func(error), events ...wire.Event) {
	e.PublishEach(then, len(events), func(i int) *wire.Event { return &events[i] })
}

// PublishEach is PublishAsync for n events that are made one by one, and used no more once the
// next is asked for: each is much larger than what it is encoded to.
func (e *Events) PublishEach(then func(error), n int, each func(i int) *wire.Event) {
	items := make([]encodedEvent, n)
	var err error
	for i := range items {
		if items[i], err = encodeEvent(each(i)); err != nil {
			break
		}
	}
	if err != nil || len(items) == 0 {
		if then != nil {
			then(err)
		}
		return
	}
	left := len(items)
	var first error
	e.gather.Go(func(_ int, _ wire.Position, err error) {
		if err != nil && first == nil {
			first = err
		}
		if left--; left == 0 && then != nil {
			then(first)
		}
	}, items...)
}

// Close stores what waits until ctx ends.
func (e *Events) Close(ctx context.Context) {
	e.gather.Close(ctx) // before the firsts, which may wait for it
	e.firsts.Close(ctx)
}

func encodeEvents(events []wire.Event) ([]encodedEvent, error) {
	items := make([]encodedEvent, len(events))
	var err error
	for i := range events {
		if items[i], err = encodeEvent(&events[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func encodeEvent(e *wire.Event) (encodedEvent, error) {
	e.Seq = ""
	b, err := e.AppendJSON(make([]byte, 0, encodedEventSize))
	return encodedEvent{b}, err
}

func (e *Events) write(ctx context.Context, items []encodedEvent) ([]wire.Position, error) {
	size := 2
	for _, it := range items {
		size += len(it.body) + 1
	}
	body := make([]byte, 0, size)
	body = append(body, '[')
	for i, it := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, it.body...)
	}
	m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
	m.Data = append(body, ']')
	ack, err := e.pub.Publish(ctx, m)
	if err != nil {
		return nil, err
	}
	at := make([]wire.Position, len(items))
	for i := range at {
		at[i] = wire.Position{Seq: ack.Sequence, Index: i}
	}
	return at, nil
}
