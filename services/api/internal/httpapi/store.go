package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Store reads and writes what the API needs from NATS beside the read model.
type Store struct {
	js                     jetstream.JetStream
	events, logs           jetstream.Stream
	workers, settings      jetstream.KeyValue
	objects                jetstream.ObjectStore
	commandTTL, tryTimeout time.Duration
}

// workerCommandTTL is how long a command to a worker waits for its pool.
const workerCommandTTL = time.Minute

// errGone is returned for a payload or event that is no longer kept.
var errGone = errors.New("no longer kept")

// OpenStore opens streams and buckets, which must exist.
func OpenStore(ctx context.Context, js jetstream.JetStream) (*Store, error) {
	s := &Store{js: js, commandTTL: workerCommandTTL, tryTimeout: 2 * time.Second}
	var err error
	for _, open := range []struct {
		name string
		into *jetstream.Stream
	}{{wire.StreamEvents, &s.events}, {wire.StreamLogs, &s.logs}} {
		if *open.into, err = js.Stream(ctx, open.name); err != nil {
			return nil, fmt.Errorf("open stream %s: %w", open.name, err)
		}
	}
	if s.workers, err = js.KeyValue(ctx, wire.BucketWorkers); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", wire.BucketWorkers, err)
	}
	if s.settings, err = js.KeyValue(ctx, wire.BucketSettings); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	if s.objects, err = js.ObjectStore(ctx, wire.BucketObjects); err != nil {
		return nil, fmt.Errorf("open object store %s: %w", wire.BucketObjects, err)
	}
	return s, nil
}

// Objects is the object store.
func (s *Store) Objects() jetstream.ObjectStore { return s.objects }

// document is a JSON value of known length, to be read once and closed.
type document struct {
	io.Reader
	size  int64
	close func()
}

// object opens a value in the object store.
func (s *Store) object(name string) (*document, error) {
	ctx, cancel := context.WithCancel(context.Background()) // ends when the answer is sent
	stop := time.AfterFunc(30*time.Second, cancel)
	r, err := s.objects.Get(ctx, name)
	if err != nil {
		stop.Stop()
		cancel()
		return nil, s.missing(name, err)
	}
	info, err := r.Info()
	if err != nil {
		stop.Stop()
		cancel()
		return nil, fmt.Errorf("read object %s: %w", name, err)
	}
	stop.Stop()
	closer := func() { cancel(); _ = r.Close() }
	return &document{Reader: r, size: int64(info.Size), close: closer}, nil
}

// payload is what a task was submitted with, exactly as it came.
func (s *Store) payload(ctx context.Context, m *wire.Meta) (*document, error) {
	if m.PayloadObject != "" {
		if doc, err := s.object(m.PayloadObject); !errors.Is(err, errGone) {
			return doc, err
		}
	}
	msg, err := s.submission(ctx, m.SubmitSeq)
	if errors.Is(err, errGone) && m.PayloadObject != "" {
		return s.object(m.PayloadObject)
	}
	if err != nil {
		return nil, err
	}
	// Until the scheduler has seen the submission its payload has the name it came under.
	if name := msg.Header.Get(wire.HeaderPayloadObject); name != "" {
		doc, err := s.object(name)
		if errors.Is(err, errGone) && m.PayloadObject != "" {
			return s.object(m.PayloadObject) // renamed meanwhile
		}
		return doc, err
	}
	return payloadOf(msg.Data, m)
}

// missing says why an object cannot be read: errGone only where it certainly is.
func (s *Store) missing(name string, err error) error {
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		ctx, cancel := context.WithTimeout(context.Background(), s.tryTimeout)
		defer cancel()
		_, found := natsx.ObjectInfo(ctx, s.js, s.objects, name)
		if errors.Is(found, jetstream.ErrObjectNotFound) {
			return errGone
		}
		err = errors.New("a server that lags has not got it yet")
	}
	return fmt.Errorf("read object %s: %w", name, err)
}

func (s *Store) submission(ctx context.Context, seq uint64) (*jetstream.RawStreamMsg, error) {
	msg, err := natsx.Message(ctx, s.js, wire.StreamSubmit, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("read submission %d: %w", seq, err)
	}
	return msg, nil
}

// payloadOf takes a member's payload out of a submission.
func payloadOf(body json.RawMessage, m *wire.Meta) (*document, error) {
	if m.Member > 0 {
		var members []json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			return nil, fmt.Errorf("read submission %d: %w", m.SubmitSeq, err)
		}
		if len(members) < m.Member {
			return nil, fmt.Errorf("submission %d has no member %d", m.SubmitSeq, m.Member)
		}
		body = members[m.Member-1]
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("read submission %d: %w", m.SubmitSeq, err)
	}
	return inMemory(fields["payload"]), nil
}

// hasPayload tells whether a task could run again.
func (s *Store) hasPayload(ctx context.Context, m *wire.Meta) (bool, error) {
	if m.PayloadObject != "" {
		_, err := natsx.ObjectInfo(ctx, s.js, s.objects, m.PayloadObject)
		if !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err == nil, err
		}
	}
	msg, err := s.submission(ctx, m.SubmitSeq)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil || m.PayloadObject == "" {
		return err == nil, err
	}
	_, err = natsx.ObjectInfo(ctx, s.js, s.objects, msg.Header.Get(wire.HeaderPayloadObject))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, err
}

// firstSubmission is the oldest sequence that is kept.
func (s *Store) firstSubmission(ctx context.Context) (uint64, error) {
	st, err := s.js.Stream(ctx, wire.StreamSubmit)
	if err != nil {
		return 0, fmt.Errorf("read the state of %s: %w", wire.StreamSubmit, err)
	}
	return st.CachedInfo().State.FirstSeq, nil
}

// history reads a task's events where its record says they stand; trimmed tells that some
// are gone.
func (s *Store) history(ctx context.Context, at []wire.Position) (views []wire.EventView, trimmed bool, err error) {
	views = make([]wire.EventView, 0, len(at))
	var events []wire.Event
	var have uint64
	for _, pos := range at {
		if pos.Seq != have {
			msg, err := s.events.GetMsg(ctx, pos.Seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				trimmed = true
				continue
			}
			if err != nil {
				return nil, false, fmt.Errorf("read event %s: %w", pos, err)
			}
			if events, err = wire.DecodeEvents(pos.Seq, msg.Data); err != nil {
				return nil, false, fmt.Errorf("read event %s: %w", pos, err)
			}
			have = pos.Seq
		}
		if pos.Index < len(events) && events[pos.Index].Event.Public() {
			views = append(views, wire.NewEventView(&events[pos.Index]))
		}
	}
	return views, trimmed, nil
}

// logBatch is how many messages of a log are read at once.
const logBatch = 100

// logLines reads a task's log from a position on, oldest first. Next is where to go on; its
// Seq is 0 at the end.
func (s *Store) logLines(ctx context.Context, id string, from wire.Position, limit int) (lines []wire.LogLine, next wire.Position, err error) {
	lines = []wire.LogLine{}
	for {
		read := 0
		msgs, err := jetstreamext.GetBatch(ctx, s.js, wire.StreamLogs, logBatch,
			jetstreamext.GetBatchSubject(wire.LogsSubject(id)), jetstreamext.GetBatchSeq(max(from.Seq, 1)))
		if err != nil {
			return nil, next, fmt.Errorf("read the log of %s: %w", id, err)
		}
		for msg, err := range msgs {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return lines, wire.Position{}, nil
			}
			if err != nil {
				return nil, next, fmt.Errorf("read the log of %s: %w", id, err)
			}
			if msg.Sequence > from.Seq {
				from = wire.Position{Seq: msg.Sequence}
			}
			var part []wire.LogLine
			if err := json.Unmarshal(msg.Data, &part); err != nil {
				return nil, next, fmt.Errorf("read the log of %s: %w", id, err)
			}
			for ; from.Index < len(part); from.Index++ {
				if len(lines) == limit {
					return lines, from, nil
				}
				lines = append(lines, part[from.Index])
			}
			from = wire.Position{Seq: msg.Sequence + 1}
			read++
		}
		if read < logBatch {
			return lines, wire.Position{}, nil
		}
	}
}

// command stores a command in the control stream.
func (s *Store) command(ctx context.Context, subject, actor string, body []byte) error {
	m := nats.NewMsg(subject)
	m.Data = body
	m.Header.Set(wire.HeaderActor, actor)
	m.Header.Set(wire.HeaderMsgID, nuid.Next())
	for {
		one, cancel := context.WithTimeout(ctx, s.tryTimeout)
		_, err := s.js.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			return nil
		}
		var refused *jetstream.APIError
		if errors.As(err, &refused) || ctx.Err() != nil {
			return fmt.Errorf("store the command: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("store the command: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tellWorker puts a command to one worker where its pool sees it.
func (s *Store) tellWorker(ctx context.Context, worker, command string) error {
	body, err := json.Marshal(wire.WorkerCommand{Command: command, At: wire.Now()})
	if err != nil {
		return fmt.Errorf("encode the command: %w", err)
	}
	subject := wire.KVSubject(wire.BucketWorkers, wire.WorkerCommandKey(worker))
	if _, err = s.js.Publish(ctx, subject, body, jetstream.WithMsgTTL(s.commandTTL)); err != nil {
		return fmt.Errorf("store the command: %w", err)
	}
	return nil
}

// pauseLanes stops or resumes the delivery of a queue's lanes.
func (s *Store) pauseLanes(ctx context.Context, queue string, paused bool) error {
	if paused {
		return topology.PauseLanes(ctx, s.js, queue)
	}
	return topology.ResumeLanes(ctx, s.js, queue)
}

// applyLimits puts the limits of a queue in force as its settings say.
func (s *Store) applyLimits(ctx context.Context, queue string) error {
	return topology.ApplyLimits(ctx, s.js, queue)
}
