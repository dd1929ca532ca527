package readmodel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// standing is the state of the system as it was last told by an event.
type standing struct {
	mu   sync.Mutex
	told wire.SystemStatus
	// next is another state, and since when it has held.
	next  wire.SystemStatus
	since wire.Time
}

const (
	// standsFor is how long a state must hold before an event tells it: a burst that is gone
	// in a moment is none.
	standsFor = 2 * time.Second
	// sameChange is the time within which replicas that see the same change tell it once.
	sameChange = 10 * time.Second
	// tellTimeout bounds how long one event is tried; the next change tells the state anyway.
	tellTimeout = 10 * time.Second
)

// turn takes the present state; told is the state that it replaces, empty where there is
// nothing to tell.
func (s *standing) turn(now wire.Time, status wire.SystemStatus) (told wire.SystemStatus) {
	switch {
	case s.told == "" || status == s.told:
		s.told, s.next = status, ""
	case status != s.next:
		s.next, s.since = status, now
	case now.Sub(s.since) >= standsFor:
		told, s.told, s.next = s.told, status, ""
	}
	return told
}

// tellStatus publishes a change of the system's state.
func (m *Model) tellStatus(ctx context.Context, before wire.SystemStatus, now wire.Stats) {
	e := wire.NewEvent(wire.Event{Event: wire.EventSystem, Data: wire.EventData{
		Status: string(now.SystemStatus), Previous: string(before), Reason: string(now.Reason),
	}})
	body, err := wire.EncodeEvents([]wire.Event{e})
	if err != nil {
		m.log.Error("a change of state cannot be told", "err", err)
		return
	}
	msg := nats.NewMsg(wire.EventsSubject(wire.Shard0))
	msg.Header.Set(wire.HeaderMsgID, fmt.Sprintf("%s.%s.%s.%d", e.Event, before, now.SystemStatus, int64(e.Timestamp)/sameChange.Milliseconds()))
	msg.Data = body
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	if _, err := natsx.NewPublisher(m.js).Publish(ctx, msg); err != nil && ctx.Err() == nil {
		m.log.Warn("a change of state was not told", "err", err)
	}
}

// tellInterval is how often the state is looked at.
const tellInterval = 500 * time.Millisecond

// tellLoop tells every change of the system's state that holds.
func (m *Model) tellLoop(ctx context.Context) {
	t := time.NewTicker(tellInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if m.Ready() != nil {
			continue
		}
		now := m.Stats()
		m.standing.mu.Lock()
		before := m.standing.turn(now.UpdatedAt, now.SystemStatus)
		m.standing.mu.Unlock()
		if before != "" {
			m.tellStatus(ctx, before, now)
		}
	}
}
