package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// eventLog is the newest events, and those that are marked in charts.
type eventLog struct {
	newest []wire.EventView
	marks  []wire.EventView
}

const (
	keptEvents = 200
	keptMarks  = 500
	// eventsReadBack is how many messages are read at the start, for marks and the newest.
	eventsReadBack = 1000
)

func (m *Model) eventsFeed() *follower {
	return &follower{
		from: func(ctx context.Context) (jetstream.OrderedConsumerConfig, error) {
			cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
			s, err := m.cfg.JS.Stream(ctx, wire.StreamEvents)
			if err != nil {
				return cfg, fmt.Errorf("read the state of %s: %w", wire.StreamEvents, err)
			}
			if st := s.CachedInfo().State; st.LastSeq > st.FirstSeq+eventsReadBack {
				cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, st.LastSeq-eventsReadBack
			}
			return cfg, nil
		},
		reset: func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.events = eventLog{}
		},
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
			events, err := wire.DecodeEvents(meta.Sequence.Stream, msg.Data())
			if err != nil {
				return // the recorder says so
			}
			for i := range events {
				m.seeEvent(&events[i])
			}
		},
	}
}

func (m *Model) seeEvent(e *wire.Event) {
	if e.Event == wire.EventRejected {
		m.reject(e.Data.SubmitSeq, e.Data.Member)
	}
	if !e.Event.Public() {
		return
	}
	v := wire.NewEventView(e)
	m.mu.Lock()
	m.events.newest = keepLast(append(m.events.newest, v), keptEvents)
	if marked(e) {
		m.events.marks = keepLast(append(m.events.marks, v), keptMarks)
	}
	switch e.Event {
	case wire.EventWorkerLost, wire.EventWorkerHung:
		if since := time.Since(e.Timestamp.Time()); since < recoveringFor {
			m.losses.addAt(e.Timestamp, e.WorkerID+" was lost", append(m.store.running(e.WorkerID), e.Data.Tasks...))
		}
		m.tell(e)
	case wire.EventWorkerStop:
		m.tell(e)
	}
	m.mu.Unlock()
	m.hub.event(v)
}

// keepLast bounds a log without copying it at every turn.
func keepLast(log []wire.EventView, n int) []wire.EventView {
	if len(log) > 2*n {
		log = slices.Clone(log[len(log)-n:])
	}
	return log
}

// marked tells whether charts show an event.
func marked(e *wire.Event) bool {
	switch e.Event {
	case wire.EventPoolScaled, wire.EventWorkerLost, wire.EventWorkerHung:
		return true
	case wire.EventFailed:
		return e.Data.Final != nil && *e.Data.Final
	}
	return false
}

// lastEvents is the newest n, newest first; the caller holds the lock.
func (l *eventLog) last(n int) []wire.EventView {
	out := make([]wire.EventView, 0, n)
	for _, v := range slices.Backward(l.newest) {
		if len(out) == n {
			break
		}
		out = append(out, v)
	}
	return out
}

// Bounds of one search: a page that needs more goes on at its cursor.
const (
	eventsPerRead = 100
	maxReads      = 200
)

// Events finds a page of events, newest first, in the stream itself.
func (m *Model) Events(ctx context.Context, q httpapi.EventQuery) (wire.EventsAnswer, error) {
	out := wire.EventsAnswer{Events: []wire.EventView{}}
	s, err := m.cfg.JS.Stream(ctx, wire.StreamEvents)
	if err != nil {
		return out, fmt.Errorf("read the state of %s: %w", wire.StreamEvents, err)
	}
	st := s.CachedInfo().State
	end := wire.Position{Seq: st.LastSeq + 1}
	if q.Before != (wire.Position{}) && q.Before.Before(end) {
		end = q.Before
	}
	if q.Until > 0 {
		if end, err = m.before(ctx, q.Until, end); err != nil {
			return out, err
		}
	}
	for range maxReads {
		if end.Seq < st.FirstSeq || end.Seq == st.FirstSeq && end.Index == 0 || st.Msgs == 0 {
			return out, nil
		}
		last := end.Seq
		if end.Index == 0 {
			last--
		}
		first := st.FirstSeq
		if last >= eventsPerRead {
			first = max(first, last-eventsPerRead+1)
		}
		found, err := m.readEvents(ctx, first, last)
		if err != nil {
			return out, err
		}
		for i := range slices.Backward(found) {
			e := &found[i]
			pos, err := wire.ParsePosition(e.Seq)
			if err != nil || !pos.Before(end) {
				continue
			}
			if q.Since > 0 && e.Timestamp < q.Since-clockSlack {
				return out, nil
			}
			if !wanted(e, &q) {
				continue
			}
			if len(out.Events) == q.Limit {
				out.NextCursor = wire.Text(out.Events[q.Limit-1].Seq)
				return out, nil
			}
			out.Events = append(out.Events, wire.NewEventView(e))
		}
		end = wire.Position{Seq: first}
	}
	out.NextCursor = wire.Text(end.String())
	return out, nil
}

// clockSlack is by how much events may stand out of the order of their times: hosts differ.
const clockSlack = wire.Time(10_000)

// before moves the end of a search to just after a time.
func (m *Model) before(ctx context.Context, until wire.Time, end wire.Position) (wire.Position, error) {
	msgs, err := jetstreamext.GetBatch(ctx, m.cfg.JS, wire.StreamEvents, 1, jetstreamext.GetBatchStartTime(until.Time().Add(clockSlack.Time().Sub(time.UnixMilli(0)))))
	if err != nil {
		return end, fmt.Errorf("find events by time: %w", err)
	}
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return end, fmt.Errorf("find events by time: %w", err)
		}
		if at := (wire.Position{Seq: msg.Sequence}); at.Before(end) {
			return at, nil
		}
	}
	return end, nil
}

func (m *Model) readEvents(ctx context.Context, first, last uint64) ([]wire.Event, error) {
	var out []wire.Event
	msgs, err := jetstreamext.GetBatch(ctx, m.cfg.JS, wire.StreamEvents, int(last-first+1), jetstreamext.GetBatchSeq(first))
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		if msg.Sequence > last {
			break
		}
		events, err := wire.DecodeEvents(msg.Sequence, msg.Data)
		if err != nil {
			continue // the recorder says so
		}
		out = append(out, events...)
	}
	return out, nil
}

func wanted(e *wire.Event, q *httpapi.EventQuery) bool {
	return e.Event.Public() &&
		(q.Task == "" || e.TaskID == q.Task) && (q.Worker == "" || e.WorkerID == q.Worker) &&
		(len(q.Event) == 0 || slices.Contains(q.Event, e.Event)) &&
		(q.Since == 0 || e.Timestamp >= q.Since) && (q.Until == 0 || e.Timestamp <= q.Until)
}
