package natsx

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Bounds of one atomic batch: the server's, and what keeps a commit short.
const (
	MaxBatch      = 1000
	MaxBatchBytes = 4 << 20
	// smallBatch is up to how many messages are sent one by one: an atomic batch is one
	// commit of 3 to 5 ms whatever its size.
	smallBatch   = 8
	batchTimeout = 10 * time.Second
)

// PublishEach stores messages of one stream, each with its own message id, and returns
// their sequences in order. What was stored before under the same id keeps its sequence.
// Many go as one commit. It repeats what has no answer until ctx ends.
func (p *Publisher) PublishEach(ctx context.Context, msgs []*nats.Msg) ([]uint64, error) {
	seqs := make([]uint64, len(msgs))
	for from := 0; from < len(msgs); {
		to, bytes := from, 0
		for to < len(msgs) && to-from < MaxBatch {
			if bytes += len(msgs[to].Data) + 200; to > from && bytes > MaxBatchBytes {
				break
			}
			to++
		}
		if err := p.publishRun(ctx, msgs[from:to], seqs[from:to]); err != nil {
			return nil, err
		}
		from = to
	}
	return seqs, nil
}

func (p *Publisher) publishRun(ctx context.Context, msgs []*nats.Msg, seqs []uint64) error {
	if len(msgs) <= smallBatch {
		return p.publishFew(ctx, msgs, seqs)
	}
	refused := refusal{p: p, subject: msgs[0].Subject}
	defer refused.note(nil)
	for try := 0; ; try++ {
		last, err := p.Commit(ctx, msgs)
		refused.note(err)
		switch {
		case err == nil:
			for i := range seqs {
				seqs[i] = last - uint64(len(msgs)-1-i)
			}
			return nil
		case codeOf(err) == codeBatchDuplicate || codeOf(err) == codeBatchBroken || Final(err):
			// One member refuses all without being named: split in halves and go on.
			half := len(msgs) / 2
			if err := p.publishRun(ctx, msgs[:half], seqs[:half]); err != nil {
				return err
			}
			return p.publishRun(ctx, msgs[half:], seqs[half:])
		}
		if stop := pause(ctx, try); stop != nil {
			return fmt.Errorf("publish %d messages: %w (last try: %w)", len(msgs), stop, err)
		}
	}
}

func (p *Publisher) publishFew(ctx context.Context, msgs []*nats.Msg, seqs []uint64) error {
	stored, failed := p.PublishAll(ctx, msgs)
	copy(seqs, stored)
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// PublishAll stores messages side by side, each by itself, in any streams. What has no answer
// is repeated under its id until ctx ends. Each message has a sequence or an error.
func (p *Publisher) PublishAll(ctx context.Context, msgs []*nats.Msg) (seqs []uint64, failed []error) {
	acks, failed := p.publishAll(ctx, msgs)
	seqs = make([]uint64, len(msgs))
	for i, ack := range acks {
		if ack != nil {
			seqs[i] = ack.Sequence
		}
	}
	return seqs, failed
}

func (p *Publisher) publishAll(ctx context.Context, msgs []*nats.Msg) (acks []*jetstream.PubAck, failed []error) {
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		leaveBatch(m)
		if len(msgs) == 1 || m.Header.Get(jetstream.MsgIDHeader) == "" {
			continue // nothing to overlap with, or it could not be repeated
		}
		if f, err := p.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0)); err == nil {
			futures[i] = f
		}
	}
	acks, failed = make([]*jetstream.PubAck, len(msgs)), make([]error, len(msgs))
	for i, m := range msgs {
		if acks[i] = await(ctx, futures[i]); acks[i] == nil { // the same id: what was stored after all is found
			acks[i], failed[i] = p.Publish(ctx, m)
		}
	}
	return acks, failed
}

// await is the future's answer; nil where it was refused, is missing, or there is no future.
func await(ctx context.Context, f jetstream.PubAckFuture) *jetstream.PubAck {
	if f == nil {
		return nil
	}
	t := time.NewTimer(tryTimeout)
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

// Commit stores messages of one stream as one atomic batch and returns the last one's
// sequence. It tries once: an error without a code leaves the outcome unknown.
func (p *Publisher) Commit(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	one, cancel := whileConnected(ctx, p.js.Conn(), batchTimeout)
	defer cancel()
	for _, m := range msgs {
		leaveBatch(m)
	}
	if len(msgs) == 1 {
		ack, err := p.js.PublishMsg(one, msgs[0], jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, orBroken(one, err)
		}
		return ack.Sequence, nil
	}
	ack, err := jetstreamext.PublishMsgBatch(one, p.js, msgs, jetstreamext.BatchFlowControl{AckTimeout: batchTimeout})
	if err != nil {
		return 0, orBroken(one, err)
	}
	return ack.Sequence, nil
}

// leaveBatch takes off the headers of an atomic batch that an earlier try has set.
func leaveBatch(m *nats.Msg) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	for _, h := range []string{"Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"} {
		delete(m.Header, h)
	}
}
