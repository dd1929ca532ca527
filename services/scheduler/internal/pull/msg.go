package pull

import (
	"time"

	"github.com/nats-io/nats.go"
)

// Msg is a delivered message that is held until it is acknowledged or handed back.
type Msg struct {
	raw *nats.Msg
	p   *Puller
	// Seq is the stream sequence.
	Seq uint64
	// Deliveries counts this one; 1 for the first in the present run of the server.
	Deliveries uint64
	// Stored is when the stream took the message.
	Stored time.Time
	// asked is when the pull was sent that brought the message, or the last extension that was
	// answered in time: the ack wait may have begun then. extended is when the last extension
	// was sent. Both are guarded by the puller's lock.
	asked, extended time.Time
}

// Subject the message was published to.
func (m *Msg) Subject() string { return m.raw.Subject }

// Header of the message; empty where it has none.
func (m *Msg) Header(name string) string { return m.raw.Header.Get(name) }

// Data is the body.
func (m *Msg) Data() []byte { return m.raw.Data }

// Stale tells whether the ack wait may be about to run out, so that somebody else may soon
// hold the message too: a process that was stopped for a while wakes up with such ones.
func (m *Msg) Stale() bool {
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	return time.Since(m.asked) > m.p.cfg.AckWait*3/4
}

// Ack ends the hold. An acknowledgement that gets lost brings the message again.
func (m *Msg) Ack() {
	if m.p.release(m) {
		_ = m.raw.Ack()
	}
}

// Nak hands the message back, to be delivered again after the delay; 0 is at once.
func (m *Msg) Nak(delay time.Duration) {
	if !m.p.release(m) {
		return
	}
	if delay > 0 {
		_ = m.raw.NakWithDelay(delay)
		return
	}
	_ = m.raw.Nak()
}
