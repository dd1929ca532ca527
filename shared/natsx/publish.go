package natsx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Publisher stores messages and knows the outcome: a write whose answer is lost is repeated
// with the same bytes and the same message id, until ctx ends or the server's word is final.
type Publisher struct {
	js jetstream.JetStream
	// full counts the writes that are refused, or not answered, at present; why is the last
	// reason.
	full atomic.Int32
	why  atomic.Pointer[error]
}

// NewPublisher uses js.
func NewPublisher(js jetstream.JetStream) *Publisher { return &Publisher{js: js} }

// JetStream is what the publisher uses.
func (p *Publisher) JetStream() jetstream.JetStream { return p.js }

// Full tells whether a stream takes nothing at present: it, or the disk, is full, or it does
// not answer. Who cannot publish should take no new work.
func (p *Publisher) Full() bool { return p.full.Load() > 0 }

// Refusal says which stream takes nothing at present, and why; nil where all do.
func (p *Publisher) Refusal() error {
	if !p.Full() {
		return nil
	}
	if why := p.why.Load(); why != nil {
		return *why
	}
	return nil
}

// Publish stores one message; it is given a message id where it has none. A full stream is
// waited for.
func (p *Publisher) Publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	if m.Header.Get(jetstream.MsgIDHeader) == "" {
		m.Header.Set(jetstream.MsgIDHeader, nuid.Next())
	}
	refused := refusal{p: p, subject: m.Subject}
	defer refused.note(nil)
	for try := 0; ; try++ {
		one, cancel := whileConnected(ctx, p.js.Conn(), tryTimeout)
		ack, err := p.js.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
		err = orBroken(one, err)
		cancel()
		if err == nil {
			return ack, nil
		}
		refused.note(err)
		if Final(err) {
			return nil, fmt.Errorf("publish to %s: %w", m.Subject, err)
		}
		if stop := pause(ctx, try); stop != nil {
			return nil, fmt.Errorf("publish to %s: %w (last try: %w)", m.Subject, stop, err)
		}
	}
}

// refusal counts one write among those that are not stored, for as long as that is so.
type refusal struct {
	p       *Publisher
	subject string
	on      bool
	silent  int
}

// silentTries is after how many tries without an answer a stream counts as frozen.
const silentTries = 2

func (r *refusal) note(err error) {
	var why error
	switch {
	case err == nil:
		r.silent = 0
	case IsFull(err):
		why = fmt.Errorf("the stream of %s is full: %w", r.subject, err)
	case r.unanswered(err):
		why = fmt.Errorf("the stream of %s stores nothing although NATS is connected: "+
			"after a write error, as on a full disk, it does so until the disk has room and its NATS server is restarted", r.subject)
	}
	if why != nil {
		r.p.why.Store(&why)
	}
	if stuck := why != nil; stuck != r.on {
		if r.on = stuck; stuck {
			r.p.full.Add(1)
		} else {
			r.p.full.Add(-1)
		}
	}
}

// unanswered tells whether the server has let several tries in a row run out of time.
func (r *refusal) unanswered(err error) bool {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) || !r.p.js.Conn().IsConnected() {
		r.silent = 0
		return false
	}
	r.silent++
	return r.silent >= silentTries
}

// AckSync acknowledges a message and repeats that until the server has answered: a server
// that was killed meanwhile ignores old acknowledgements without a word.
func AckSync(ctx context.Context, m jetstream.Msg) error {
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		err := m.DoubleAck(one)
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return nil
		}
		if stop := pause(ctx, try); stop != nil {
			return fmt.Errorf("acknowledge %s: %w (last try: %w)", m.Subject(), stop, err)
		}
	}
}
