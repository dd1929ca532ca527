package readmodel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
)

// message is one of a stream, as followers hand it on.
type message struct {
	jetstream.Msg
	seq uint64
	at  time.Time
}

// source says what a follower reads and who takes it.
type source struct {
	stream string
	// inFlight is how many messages are asked for at once.
	inFlight int
	// start is the first sequence to read on a replay; nil is the first there is.
	start func(ctx context.Context, info *jetstream.StreamInfo) (uint64, error)
	// begin is called before a replay, replayed after it; either may be nil.
	begin, replayed func()
	// take gets the messages, in order, from one goroutine.
	take func([]message)
	// longestGap is how long the connection may be gone before everything is read anew:
	// markers of deleted keys live for a while only. 0 is: read on, however long it was.
	longestGap time.Duration
}

const (
	// checkInterval is how often a follower looks whether its stream is still the same.
	checkInterval = time.Second
	// stallAfter is how long a follower waits for messages that are there before it asks anew.
	stallAfter = 5 * time.Second
	// takeMost is how many messages are handed on together.
	takeMost = 512

	requestTimeout = 5 * time.Second
)

var (
	errRecreated    = errors.New("the stream was made anew")
	errReconnected  = errors.New("the connection was made anew")
	errStalled      = errors.New("nothing arrives although there is more")
	errNotRead      = errors.New("has not been read yet")
	errDisconnected = errors.New("NATS is not connected")
)

// follower reads a stream in order, for ever: it goes on after the last message it has seen,
// and reads everything anew where that is not possible.
type follower struct {
	source
	js  jetstream.JetStream
	log *slog.Logger
	// again tells that the connection was made anew.
	again chan struct{}

	created time.Time
	// last is the last sequence taken, read by others.
	last atomic.Uint64
	// checked is when the stream was last known to be the same.
	checked   time.Time
	replaying bool
	target    uint64

	mu      sync.Mutex
	ready   bool
	failure error
	moved   chan struct{}
}

func newFollower(js jetstream.JetStream, log *slog.Logger, s source) *follower {
	return &follower{source: s, js: js, log: log.With(obs.KeyStream, s.stream), again: make(chan struct{}, 1), failure: errNotRead, moved: make(chan struct{})}
}

// reconnected makes the follower ask for its messages anew.
func (f *follower) reconnected() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// err says why the follower does not show the present; nil where it does.
func (f *follower) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ready {
		return nil
	}
	return fmt.Errorf("stream %s: %w", f.stream, f.failure)
}

// wait returns when the follower has taken everything up to seq.
func (f *follower) wait(ctx context.Context, seq uint64) error {
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		if f.last.Load() >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to be read up to %d (now at %d): %w", f.stream, seq, f.last.Load(), context.Cause(ctx))
		}
	}
}

func (f *follower) set(ready bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = ready
	if err != nil {
		f.failure = err
	}
}

func (f *follower) advance(seq uint64) {
	f.last.Store(seq)
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.moved)
	f.moved = make(chan struct{})
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errReconnected) {
			f.log.Debug("reading stopped; it begins again", obs.KeyErr, err)
		}
		if f.replaying {
			f.set(false, err)
		}
		if wait = min(2*wait+10*time.Millisecond, time.Second); time.Since(began) > time.Second {
			wait = 0
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// once follows until something stops it.
func (f *follower) once(ctx context.Context) error {
	select {
	case <-f.again:
	default:
	}
	info, err := f.info(ctx)
	if err != nil {
		return err
	}
	from, err := f.from(ctx, info)
	if err != nil {
		return err
	}
	c, err := f.js.OrderedConsumer(ctx, f.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
	})
	if err != nil {
		return fmt.Errorf("make a consumer: %w", err)
	}
	in, stop := make(chan jetstream.Msg, takeMost), make(chan struct{})
	cc, err := c.Consume(func(m jetstream.Msg) {
		select {
		case in <- m:
		case <-stop:
		}
	}, jetstream.PullMaxMessages(f.inFlight))
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer func() {
		close(stop)
		cc.Stop()
		<-cc.Closed()
	}()
	f.checked = time.Now()
	if f.replaying && f.pendingOf(c) == 0 {
		f.endReplay(max(f.last.Load(), info.State.LastSeq))
	}
	return f.loop(ctx, in)
}

// pendingOf is how many messages a new consumer will bring; it was told when it was made.
func (f *follower) pendingOf(c jetstream.Consumer) uint64 { return c.CachedInfo().NumPending }

// from is the sequence to go on at, and begins a replay where one is needed.
func (f *follower) from(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	same := info.Created.Equal(f.created) && info.State.LastSeq >= f.last.Load()
	short := f.longestGap == 0 || time.Since(f.checked) < f.longestGap
	if same && short && !f.replaying && !f.checked.IsZero() {
		return f.last.Load() + 1, nil
	}
	first := info.State.FirstSeq
	if f.start != nil {
		var err error
		if first, err = f.start(ctx, info); err != nil {
			return 0, err
		}
	}
	f.created, f.replaying, f.target = info.Created, true, info.State.LastSeq
	f.last.Store(0)
	f.set(false, errNotRead)
	if f.begin != nil {
		f.begin()
	}
	return first, nil
}

func (f *follower) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	one, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return natsx.StreamInfo(one, f.js, f.stream)
}

func (f *follower) loop(ctx context.Context, in <-chan jetstream.Msg) error {
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	batch := make([]message, 0, takeMost)
	moved := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.again:
			return errReconnected
		case <-check.C:
			if err := f.check(ctx, moved); err != nil {
				return err
			}
		case m := <-in:
			if batch = gather(batch[:0], m, in); len(batch) > 0 {
				f.hand(batch)
				moved = time.Now()
			}
		}
	}
}

// gather adds what has arrived already.
func gather(batch []message, first jetstream.Msg, in <-chan jetstream.Msg) []message {
	m := first
	for {
		if meta, err := m.Metadata(); err == nil {
			batch = append(batch, message{m, meta.Sequence.Stream, meta.Timestamp})
			if meta.NumPending == 0 {
				return batch
			}
		}
		if len(batch) == cap(batch) {
			return batch
		}
		select {
		case m = <-in:
		default:
			return batch
		}
	}
}

func (f *follower) hand(batch []message) {
	f.take(batch)
	last := batch[len(batch)-1]
	f.advance(last.seq)
	if !f.replaying {
		return
	}
	meta, err := last.Metadata()
	if last.seq >= f.target || err == nil && meta.NumPending == 0 {
		f.endReplay(last.seq)
	}
}

func (f *follower) endReplay(last uint64) {
	f.replaying = false
	f.advance(last)
	if f.replayed != nil {
		f.replayed()
	}
	f.set(true, nil)
}

// check looks whether the stream is still the one that is read, and whether all arrives.
func (f *follower) check(ctx context.Context, moved time.Time) error {
	info, err := f.info(ctx)
	if err != nil {
		return err
	}
	if !info.Created.Equal(f.created) || info.State.LastSeq < f.last.Load() {
		return errRecreated
	}
	f.checked = time.Now()
	if info.State.LastSeq == f.last.Load() || time.Since(moved) < stallAfter {
		return nil
	}
	return f.stalled(ctx, info)
}

// stalled tells whether messages are there that do not arrive: the last ones may have been
// removed before they were read.
func (f *follower) stalled(ctx context.Context, info *jetstream.StreamInfo) error {
	one, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	msgs, err := jetstreamext.GetBatch(one, f.js, f.stream, 1, jetstreamext.GetBatchSeq(f.last.Load()+1))
	if err != nil {
		return fmt.Errorf("look for more in %s: %w", f.stream, err)
	}
	for m, err := range msgs {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
		case err != nil:
			return fmt.Errorf("look for more in %s: %w", f.stream, err)
		case m.Sequence <= info.State.LastSeq:
			return errStalled
		}
	}
	if f.replaying {
		f.endReplay(info.State.LastSeq)
	} else {
		f.advance(info.State.LastSeq)
	}
	return nil
}
