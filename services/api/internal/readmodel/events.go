package readmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/api/internal/live"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// eventBytes is how much of the event stream is read at the start, for marks and ended workers.
	eventBytes = 64 << 20
	// marksMost and failuresMost bound what is kept of marks for charts.
	marksMost, failuresMost = 2000, 1000
	marksFor                = 24 * time.Hour
)

// rawEvent is an event as it stands in its message.
type rawEvent struct {
	pos  wire.Position
	data []byte
}

func (e *rawEvent) decode() (*wire.Event, error) {
	var out wire.Event
	if err := json.Unmarshal(e.data, &out); err != nil {
		return nil, err
	}
	out.Seq = e.pos.String()
	return &out, nil
}

// views shows events, newest first.
func views(events []rawEvent) []wire.EventView {
	out := make([]wire.EventView, 0, len(events))
	for i := len(events) - 1; i >= 0; i-- {
		if e, err := events[i].decode(); err == nil {
			out = append(out, wire.NewEventView(e))
		}
	}
	return out
}

// eventLog keeps the newest events, and those that charts mark.
type eventLog struct {
	mu sync.Mutex
	// newest events, oldest first.
	newest []rawEvent
	// marks are pool.scaled, worker.lost and worker.hung, failures the tasks that failed
	// for good; oldest first.
	marks, failures []*wire.Event
}

// startOfEvents is where reading begins: some way before the end.
func (m *Model) startOfEvents(_ context.Context, info *jetstream.StreamInfo) (uint64, error) {
	st := info.State
	if st.Msgs == 0 || st.Bytes <= eventBytes {
		return st.FirstSeq, nil
	}
	back := eventBytes / max(st.Bytes/st.Msgs, 1)
	if back >= st.LastSeq-st.FirstSeq {
		return st.FirstSeq, nil
	}
	return st.LastSeq - back, nil
}

func (m *Model) takeEvents(batch []message) {
	for _, msg := range batch {
		var fresh []rawEvent
		index := 0
		s := scanner{b: msg.Data()}
		err := s.array(func(raw []byte) error {
			e := rawEvent{wire.Position{Seq: msg.seq, Index: index}, raw}
			index++
			name, err := eventName(raw)
			if err != nil {
				return err
			}
			if !name.Public() {
				return nil
			}
			fresh = append(fresh, e)
			m.seeEvent(name, &e)
			return nil
		})
		if err != nil {
			m.log.Warn("an event message cannot be read", obs.KeyStream, wire.StreamEvents, obs.KeySeq, msg.seq, obs.KeyErr, err)
		}
		m.events.add(fresh)
		m.changes.happened(fresh)
	}
}

var errFound = errJSONFound{}

// errJSONFound ends the search for a field.
type errJSONFound struct{}

func (errJSONFound) Error() string { return "found" }

func eventName(raw []byte) (name wire.EventName, err error) {
	s := scanner{b: raw}
	err = s.object(func(key []byte) error {
		if string(key) != "event" {
			return s.skip()
		}
		v, err := s.text()
		if err != nil {
			return err
		}
		name = wire.EventName(v)
		return errFound
	})
	if err == errFound { //nolint:errorlint // a mark of this function, never wrapped
		err = nil
	}
	return name, err
}

var finalMark = []byte(`"final":true`)

// seeEvent acts on the few events that the model itself depends on.
func (m *Model) seeEvent(name wire.EventName, raw *rawEvent) {
	switch name {
	case wire.EventRejected, wire.EventDuplicate, wire.EventWorkerHung, wire.EventWorkerLost, wire.EventWorkerStop, wire.EventPoolScaled:
	case wire.EventFailed:
		if !bytes.Contains(raw.data, finalMark) {
			return
		}
	default:
		return
	}
	e, err := raw.decode()
	if err != nil {
		m.log.Warn("an event cannot be read", obs.KeySeq, raw.pos.String(), obs.KeyErr, err)
		return
	}
	switch name {
	case wire.EventRejected, wire.EventDuplicate:
		m.refused(e)
	case wire.EventFailed:
		m.events.mark(&m.events.failures, e, failuresMost)
	case wire.EventPoolScaled:
		m.events.mark(&m.events.marks, e, marksMost)
	case wire.EventWorkerHung, wire.EventWorkerLost:
		m.events.mark(&m.events.marks, e, marksMost)
		m.workerEnded(e)
	case wire.EventWorkerStop:
		m.workerEnded(e)
	}
}

func (l *eventLog) add(events []rawEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = append(l.newest, events...)
	if surplus := len(l.newest) - live.SnapshotEvents; surplus > 0 {
		l.newest = slices.Delete(l.newest, 0, surplus)
	}
}

func (l *eventLog) mark(list *[]*wire.Event, e *wire.Event, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*list = append(*list, e)
	old, now := 0, wire.Now()
	for old < len(*list) && (len(*list)-old > most || now.Sub((*list)[old].Timestamp) > marksFor) {
		old++
	}
	*list = slices.Delete(*list, 0, old)
}

func (l *eventLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest, l.marks, l.failures = nil, nil, nil
}

// shownMarks bounds the marks of one series.
const shownMarks = 500

// marked lists the marks since a time, oldest first: those of workers and pools before those
// of failed tasks, where they are too many.
func (l *eventLog) marked(since wire.Time) []wire.EventView {
	l.mu.Lock()
	defer l.mu.Unlock()
	var chosen []*wire.Event
	for _, list := range [][]*wire.Event{l.marks, l.failures} {
		for i := len(list) - 1; i >= 0 && len(chosen) < shownMarks && list[i].Timestamp >= since; i-- {
			chosen = append(chosen, list[i])
		}
	}
	slices.SortStableFunc(chosen, func(a, b *wire.Event) int { return int(a.Timestamp - b.Timestamp) })
	out := make([]wire.EventView, len(chosen))
	for i, e := range chosen {
		out[i] = wire.NewEventView(e)
	}
	return out
}

// NewestEvents implements live.Source.
func (m *Model) NewestEvents(n int) []wire.EventView {
	m.events.mu.Lock()
	newest := slices.Clone(m.events.newest[max(len(m.events.newest)-n, 0):])
	m.events.mu.Unlock()
	return views(newest)
}
