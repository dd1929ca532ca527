package core

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// answerTimeout is how long an asynchronous publish may take before it is repeated.
const answerTimeout = 5 * time.Second

// publishAll stores messages side by side, for streams that take no atomic batches. What
// has no answer is repeated under its id until ctx ends. The errors are final refusals.
func (c *Core) publishAll(ctx context.Context, msgs []*nats.Msg) (seqs []uint64, failed []error) {
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		if len(msgs) > 1 && m.Header.Get(jetstream.MsgIDHeader) != "" {
			futures[i], _ = c.JS.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		}
	}
	seqs, failed = make([]uint64, len(msgs)), make([]error, len(msgs))
	for i, m := range msgs {
		if ack := answer(ctx, futures[i]); ack != nil {
			seqs[i] = ack.Sequence
			continue
		}
		ack, err := c.Pub.Publish(ctx, m)
		if err != nil {
			failed[i] = err
			continue
		}
		seqs[i] = ack.Sequence
	}
	return seqs, failed
}

func answer(ctx context.Context, f jetstream.PubAckFuture) *jetstream.PubAck {
	if f == nil {
		return nil
	}
	t := time.NewTimer(answerTimeout)
	defer t.Stop()
	select {
	case ack := <-f.Ok():
		return ack
	case <-f.Err(): //nolint:errcheck // the caller asks again, and hears why then
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}
