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
	// full counts the streams that refuse at present.
	full atomic.Int32
}

// NewPublisher uses js.
func NewPublisher(js jetstream.JetStream) *Publisher { return &Publisher{js: js} }

// JetStream is what the publisher uses.
func (p *Publisher) JetStream() jetstream.JetStream { return p.js }

// Full tells whether a stream refuses at present because it, or the disk, is full. Who
// cannot publish should take no new work.
func (p *Publisher) Full() bool { return p.full.Load() > 0 }

// Publish stores one message; it is given a message id where it has none. A full stream is
// waited for.
func (p *Publisher) Publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	if m.Header.Get(jetstream.MsgIDHeader) == "" {
		m.Header.Set(jetstream.MsgIDHeader, nuid.Next())
	}
	refused := refusal{p: p}
	defer refused.note(nil)
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		ack, err := p.js.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
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

// refusal counts one write among those that a full stream refuses, for as long as it does.
type refusal struct {
	p  *Publisher
	on bool
}

func (r *refusal) note(err error) {
	full := err != nil && IsFull(err)
	if full == r.on {
		return
	}
	if r.on = full; full {
		r.p.full.Add(1)
	} else {
		r.p.full.Add(-1)
	}
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
