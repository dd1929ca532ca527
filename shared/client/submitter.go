package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// headerRoom is left in a message for its subject and headers.
	headerRoom = 4 << 10
	// tryTimeout is how long one try waits for its answer.
	tryTimeout = 2 * time.Second
	// patience is how long an outcome is waited for where the context has no deadline.
	patience = 30 * time.Second
	// firstPause is the wait before the second try; it doubles up to longestPause.
	firstPause, longestPause = 5 * time.Millisecond, 250 * time.Millisecond
)

// Stored says where a submission stands.
type Stored struct {
	// ID is the client's, or the one that Batuta made.
	ID string
	// Seq is the sequence in the stream, Member the number in a group from 1, 0 alone.
	Seq    uint64
	Member int
	// At is when the publish was answered.
	At time.Time
}

// Submitter publishes submissions. Safe for concurrent use.
type Submitter struct {
	js       jetstream.JetStream
	objects  jetstream.ObjectStore
	maxBytes int

	mu     sync.Mutex
	queue  []*item
	closed bool
	wake   chan struct{}
	done   chan struct{}
}

// item is one submission on its way.
type item struct {
	body     []byte
	id       string
	subject  string
	header   nats.Header
	deadline time.Time

	stored Stored
	err    error
	told   *sync.WaitGroup
}

// tell says what became of the item.
func (it *item) tell(at Stored, err error) {
	it.stored, it.err = at, err
	it.told.Done()
}

// NewSubmitter starts a submitter; objects takes payloads that do not fit a message. Close ends it.
func NewSubmitter(js jetstream.JetStream, objects jetstream.ObjectStore) *Submitter {
	most := int(js.Conn().MaxPayload()) - headerRoom
	s := &Submitter{js: js, objects: objects, maxBytes: most, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// Submit stores one task, by ctx's deadline.
func (s *Submitter) Submit(ctx context.Context, sub *wire.Submission) (Stored, error) {
	all, errs := s.SubmitAll(ctx, []*wire.Submission{sub})
	return all[0], errs[0]
}

// SubmitAll stores several tasks, by ctx's deadline; each has its own outcome. A task whose
// payload goes to the object store is changed accordingly.
func (s *Submitter) SubmitAll(ctx context.Context, subs []*wire.Submission) ([]Stored, []error) {
	items, errs := make([]*item, 0, len(subs)), make([]error, len(subs))
	places := make([]int, 0, len(subs))
	for i, sub := range subs {
		it, err := s.prepare(ctx, sub)
		if err != nil {
			errs[i] = err
			continue
		}
		items, places = append(items, it), append(places, i)
	}
	s.store(items)
	stored := make([]Stored, len(subs))
	for n, i := range places {
		stored[i], errs[i] = items[n].stored, items[n].err
	}
	s.dropObjects(subs, errs) //nolint:contextcheck // to be done also where ctx has ended
	return stored, errs
}

// store hands items in and waits for what becomes of them, by their deadlines.
func (s *Submitter) store(items []*item) {
	if len(items) == 0 {
		return
	}
	var told sync.WaitGroup
	told.Add(len(items))
	for _, it := range items {
		it.told = &told
	}
	s.enqueue(items)
	told.Wait()
}

// deadlineOf is until when an outcome is waited for.
func deadlineOf(ctx context.Context) time.Time {
	if at, ok := ctx.Deadline(); ok {
		return at
	}
	return time.Now().Add(patience)
}

// prepare encodes a submission, and stores its payload apart where it is large.
func (s *Submitter) prepare(ctx context.Context, sub *wire.Submission) (*item, error) {
	it := &item{id: sub.ID, subject: wire.SubmitSubject(sub.Type), deadline: deadlineOf(ctx)}
	if it.body = Encode(sub); len(sub.Payload) <= wire.MaxPayload && len(it.body)+2 <= s.maxBytes {
		return it, nil
	}
	if err := storePayload(ctx, s.js, s.objects, sub); err != nil {
		return nil, err
	}
	it.body, it.header = Encode(sub), objectHeader(sub)
	return it, nil
}

// Encode is the submission with its payload exactly as it came: the library's encoder
// would drop white space and escape for HTML.
func Encode(sub *wire.Submission) []byte {
	plain := *sub
	plain.Payload = nil
	b := plain.Encode()
	if len(sub.Payload) == 0 {
		return b
	}
	out := make([]byte, 0, len(b)+len(sub.Payload)+12)
	out = append(out, b[:len(b)-1]...)
	out = append(out, `,"payload":`...)
	out = append(out, sub.Payload...)
	return append(out, '}')
}

func (s *Submitter) enqueue(items []*item) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.queue = append(s.queue, items...)
	}
	s.mu.Unlock()
	if closed {
		fail(items, ErrStopped)
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func fail(items []*item, err error) {
	for _, it := range items {
		it.tell(Stored{}, err)
	}
}

// Close takes nothing more, stores what waits by its deadlines, and returns when the
// goroutine has.
func (s *Submitter) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.wake)
	}
	s.mu.Unlock()
	<-s.done
}

func (s *Submitter) run() {
	defer close(s.done)
	for {
		batch, more := s.take()
		if len(batch) > 0 {
			s.publish(batch)
			continue
		}
		if !more {
			return
		}
		<-s.wake
	}
}

// take is what goes into the next message: as much as may be grouped. More is false once
// nothing will come.
func (s *Submitter) take() (batch []*item, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 2
	for n < len(s.queue) && n < wire.MaxGroup {
		it := s.queue[n]
		if bytes += len(it.body) + 1; n > 0 && (bytes > s.maxBytes || it.header != nil) {
			break
		}
		n++
		if it.header != nil { // its headers speak of one submission
			break
		}
	}
	batch = s.queue[:n:n]
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return batch, !s.closed || len(s.queue) > 0
}

// publish stores one message and tells every item.
func (s *Submitter) publish(batch []*item) {
	batch = expire(batch)
	if len(batch) == 0 {
		return
	}
	ack, err := s.publishUntilKnown(message(batch), batch)
	now := time.Now()
	for i, it := range batch {
		if err != nil {
			it.tell(Stored{}, err)
			continue
		}
		at := Stored{ID: it.id, Seq: ack.Sequence, At: now}
		if len(batch) > 1 {
			at.Member = i + 1
		}
		if at.ID == "" {
			at.ID = wire.MakeID(at.Seq, at.Member)
		}
		it.tell(at, nil)
	}
}

// expire drops those whose time was over before they were sent.
func expire(batch []*item) []*item {
	now := time.Now()
	kept := batch[:0]
	for _, it := range batch {
		if it.deadline.After(now) {
			kept = append(kept, it)
			continue
		}
		it.tell(Stored{}, fmt.Errorf("%w: the stream of submissions did not answer", ErrNotStored))
	}
	return kept
}

func message(batch []*item) *nats.Msg {
	m := nats.NewMsg(batch[0].subject)
	if len(batch) == 1 {
		m.Data = batch[0].body
		maps.Copy(m.Header, batch[0].header)
	} else {
		m.Subject, m.Data = wire.SubjectSubmit, array(batch)
	}
	m.Header.Set(wire.HeaderMsgID, nuid.Next())
	return m
}

func array(batch []*item) []byte {
	size := 2
	for _, it := range batch {
		size += len(it.body) + 1
	}
	b := append(make([]byte, 0, size), '[')
	for i, it := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, it.body...)
	}
	return append(b, ']')
}

// publishUntilKnown publishes m until the outcome is known or the last of those who wait has given up.
func (s *Submitter) publishUntilKnown(m *nats.Msg, batch []*item) (*jetstream.PubAck, error) {
	last := batch[0].deadline
	for _, it := range batch[1:] {
		if it.deadline.After(last) {
			last = it.deadline
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), last)
	defer cancel()
	sure, pause := true, firstPause
	for {
		ack, err := s.try(ctx, m)
		if err == nil {
			return ack, nil
		}
		sure = sure && certain(err)
		if sure && natsx.IsFull(err) || natsx.Final(err) {
			return nil, outcome(err, sure)
		}
		if !sleep(ctx, pause) {
			return nil, outcome(err, sure)
		}
		pause = min(2*pause, longestPause)
	}
}

func (s *Submitter) try(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	one, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return s.js.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// dropObjects removes the payloads of tasks that were certainly not stored.
func (s *Submitter) dropObjects(subs []*wire.Submission, errs []error) {
	for i, sub := range subs {
		if sub.PayloadObject == "" || errs[i] == nil || errors.Is(errs[i], ErrUnknownOutcome) {
			continue
		}
		dropObject(s.objects, sub.PayloadObject)
	}
}
