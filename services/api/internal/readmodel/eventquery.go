package readmodel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// Limits of a page; 0 is eventLimitDefault.
	eventLimitDefault, eventLimitMax = 100, 1000
	// blockFirst and blockMost are how many messages are read at once: few first, since one
	// may hold hundreds of events.
	blockFirst, blockMost = 8, 256
	// blockBytes bounds one read.
	blockBytes = 8 << 20
	// searchFor is how long one page searches: what it has not found by then is left to
	// the next one.
	searchFor = 2 * time.Second
	// skew is how far a message's events may differ from the time it was stored.
	skew = time.Minute
)

// eventSearch is one page on its way.
type eventSearch struct {
	EventQuery
	out []wire.EventView
	// next is where the next page goes on; Seq 0 is nowhere.
	next wire.Position
}

// Events reads the stream backwards. A page may hold fewer events than asked for, or none,
// and yet have a next cursor: it leads to what has not been searched yet.
func (m *Model) Events(ctx context.Context, q EventQuery) (wire.EventsAnswer, error) {
	if q.Limit <= 0 {
		q.Limit = eventLimitDefault
	}
	q.Limit = min(q.Limit, eventLimitMax)
	s := &eventSearch{EventQuery: q, out: []wire.EventView{}}
	if err := m.search(ctx, s); err != nil {
		return wire.EventsAnswer{}, err
	}
	out := wire.EventsAnswer{Events: s.out}
	if s.next.Seq > 0 {
		out.NextCursor = wire.Text(s.next.String())
	}
	return out, nil
}

func (m *Model) search(ctx context.Context, s *eventSearch) error {
	info, err := m.eventsIn.info(ctx)
	if err != nil {
		return err
	}
	low, high := info.State.FirstSeq, info.State.LastSeq
	if s.Before.Seq > 0 {
		high = min(high, s.Before.Seq) // some of that message's events may not be listed yet
	} else if s.Until > 0 {
		if high, err = m.eventsUntil(ctx, s.Until, high); err != nil {
			return err
		}
	}
	if s.Task != "" {
		if low, high, err = m.eventsOfTask(ctx, s.Task, low, high); err != nil {
			return err
		}
	}
	size, deadline := uint64(blockFirst), time.Now().Add(searchFor)
	for high >= low && high > 0 {
		from := max(low, high-min(high, size)+1)
		done, err := m.searchBlock(ctx, s, from, high)
		if err != nil || done {
			return err
		}
		high = from - 1
		if size = min(4*size, blockMost); time.Now().After(deadline) && high >= low && high > 0 {
			s.next = wire.Position{Seq: from}
			return nil
		}
	}
	return nil
}

// eventsUntil is the last message that may hold events up to a time.
func (m *Model) eventsUntil(ctx context.Context, until wire.Time, last uint64) (uint64, error) {
	msgs, err := jetstreamext.GetBatch(ctx, m.js, wire.StreamEvents, 1, jetstreamext.GetBatchStartTime(until.Add(skew).Time()))
	if err != nil {
		return 0, fmt.Errorf("find the events of %s: %w", until, err)
	}
	for msg, err := range msgs {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return last, nil
		case err != nil:
			return 0, fmt.Errorf("find the events of %s: %w", until, err)
		}
		return min(last, msg.Sequence-1), nil
	}
	return last, nil
}

// eventsOfTask narrows the search to where the task's record says that its events stand.
func (m *Model) eventsOfTask(ctx context.Context, id string, low, high uint64) (uint64, uint64, error) {
	rec, err := m.readRecord(ctx, id, 0)
	if err != nil {
		return 0, 0, err
	}
	if rec == nil || len(rec.Meta.History) == 0 {
		return low, high, nil
	}
	h := rec.Meta.History
	low = max(low, h[0].Seq)
	if rec.Status.Ended() {
		high = min(high, h[len(h)-1].Seq)
	}
	return low, high, nil
}

// searchBlock takes the events of the messages from..to; done tells that the page is.
func (m *Model) searchBlock(ctx context.Context, s *eventSearch, from, to uint64) (done bool, err error) {
	blocks, err := m.readMessages(ctx, from, to)
	if err != nil {
		return false, err
	}
	for _, block := range slices.Backward(blocks) {
		if s.message(block) {
			return true, nil
		}
		if s.Since > 0 && wire.At(block.at).Add(skew) < s.Since {
			return true, nil
		}
	}
	return false, nil
}

type eventMessage struct {
	seq  uint64
	at   time.Time
	body []byte
}

// readMessages reads the messages from..to, in order.
func (m *Model) readMessages(ctx context.Context, from, to uint64) ([]eventMessage, error) {
	var out []eventMessage
	for from <= to {
		msgs, err := jetstreamext.GetBatch(ctx, m.js, wire.StreamEvents, int(to-from+1), jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchMaxBytes(blockBytes))
		if err != nil {
			return nil, fmt.Errorf("read events from %d: %w", from, err)
		}
		read := 0
		for msg, err := range msgs {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return out, nil
			}
			if err != nil {
				return nil, fmt.Errorf("read events from %d: %w", from, err)
			}
			if msg.Sequence > to {
				return out, nil
			}
			out = append(out, eventMessage{msg.Sequence, msg.Time, msg.Data})
			from = msg.Sequence + 1
			read++
		}
		if read == 0 {
			return out, nil
		}
	}
	return out, nil
}

// message takes what fits of one message, newest first; true where the page is full.
func (s *eventSearch) message(msg eventMessage) bool {
	if s.Task != "" && !bytes.Contains(msg.body, []byte(s.Task)) || s.Worker != "" && !bytes.Contains(msg.body, []byte(s.Worker)) {
		return false
	}
	events, err := wire.DecodeEvents(msg.seq, msg.body)
	if err != nil {
		return false // what no service wrote
	}
	for i := len(events) - 1; i >= 0; i-- {
		e, pos := &events[i], wire.Position{Seq: msg.seq, Index: i}
		if s.Before.Seq > 0 && !pos.Before(s.Before) || !s.takes(e) {
			continue
		}
		if len(s.out) == s.Limit {
			s.next, _ = wire.ParsePosition(s.out[s.Limit-1].Seq)
			return true
		}
		s.out = append(s.out, wire.NewEventView(e))
	}
	return false
}

func (s *eventSearch) takes(e *wire.Event) bool {
	return e.Event.Public() &&
		(s.Task == "" || e.TaskID == s.Task) && (s.Worker == "" || e.WorkerID == s.Worker) &&
		(len(s.Event) == 0 || slices.Contains(s.Event, e.Event)) &&
		(s.Since == 0 || e.Timestamp >= s.Since) && (s.Until == 0 || e.Timestamp <= s.Until)
}
