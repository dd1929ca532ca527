package live

// Why a subscription was ended.
const (
	reasonSlow    = "too slow: the feed is more messages ahead than are kept for one client; connect again"
	reasonStopped = "the service stops"
	reasonFailed  = "the present state could not be read; connect again"
)

// Subscription is one client of the feed.
type Subscription struct {
	hub      *Hub
	since    uint64
	messages chan []byte

	// The rest is guarded by the hub's lock.
	room   int
	closed bool
	reason string
}

// Messages are encoded ones, in order; their bytes are shared and must not be changed. The
// channel is closed when the client does not keep up or the feed ends: Reason says why.
func (s *Subscription) Messages() <-chan []byte { return s.messages }

// Reason says why Messages was closed; empty while it is not.
func (s *Subscription) Reason() string {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.reason
}

// Close ends the subscription from the client's side. It may be called twice.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.closed = true
	delete(s.hub.clients, s)
}

// begin queues the first messages, for which there is always room.
func (s *Subscription) begin(first [][]byte) {
	for _, body := range first {
		s.messages <- body
	}
	s.room = len(first) + queued
}

// send queues a message, or tells that the client is too far behind. One that catches up on
// what it missed may be further behind at first.
func (s *Subscription) send(body []byte) bool {
	behind := len(s.messages)
	if behind >= s.room {
		return false
	}
	s.room = max(queued, min(s.room, behind+queued))
	s.messages <- body
	return true
}

// finish closes the channel with a reason.
func (s *Subscription) finish(reason string) {
	if s.closed {
		return
	}
	s.closed, s.reason = true, reason
	close(s.messages)
}
