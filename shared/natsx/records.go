package natsx

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Records reads task records, with or without the barrier.
//
// The barrier: the recorder may lag, so no decision to run, repair, drop or retry a task is
// taken from a record before the recorder's position has passed the last event stored when
// the cause was seen.
type Records struct {
	js jetstream.JetStream

	mu      sync.Mutex
	pos     wire.Position
	changed chan struct{}

	watch jetstream.ConsumeContext
}

// FollowExpiry and FollowHeartbeat are for the library's loops that follow a stream: by its
// defaults it takes 30 s to notice that the server went which kept its consumer.
const (
	FollowExpiry    = 4 * time.Second
	FollowHeartbeat = time.Second
)

// NewRecords starts to follow the recorder's position.
func NewRecords(ctx context.Context, js jetstream.JetStream) (*Records, error) {
	r := &Records{js: js, changed: make(chan struct{})}
	c, err := js.OrderedConsumer(ctx, wire.StreamTasks, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{wire.KVSubject(wire.BucketTasks, wire.KeyPosition)},
		DeliverPolicy:  jetstream.DeliverLastPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("follow the recorder's position: %w", err)
	}
	r.watch, err = c.Consume(func(m jetstream.Msg) { r.see(m.Data()) }, jetstream.PullExpiry(FollowExpiry), jetstream.PullHeartbeat(FollowHeartbeat))
	if err != nil {
		return nil, fmt.Errorf("follow the recorder's position: %w", err)
	}
	return r, nil
}

// Close stops following and waits for it.
func (r *Records) Close() {
	r.watch.Stop()
	<-r.watch.Closed()
}

func (r *Records) see(value []byte) {
	p, err := wire.ParsePosition(string(value))
	if err != nil {
		return // a deletion; what was known stays true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos = p
	close(r.changed)
	r.changed = make(chan struct{})
}

// Behind is Get after the recorder has folded every event stored up to now.
func (r *Records) Behind(ctx context.Context, ids ...string) (map[string]*wire.Record, error) {
	last, err := r.lastEvent(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*wire.Record, len(ids))
	for from := 0; from == 0 || from < len(ids); from += maxPerGet {
		part := ids[from:min(from+maxPerGet, len(ids))]
		if err := r.behind(ctx, last, part, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Latest reads records without the barrier: as some server has them now.
func (r *Records) Latest(ctx context.Context, ids ...string) (map[string]*wire.Record, error) {
	out := make(map[string]*wire.Record, len(ids))
	for part := range slices.Chunk(ids, maxPerGet) {
		_, found, err := r.get(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("read %d records: %w", len(ids), err)
		}
		maps.Copy(out, found)
	}
	return out, nil
}

// maxPerGet leaves room for the position beside the ids; the server takes 1,024 subjects.
const maxPerGet = 1000

func (r *Records) behind(ctx context.Context, last uint64, ids []string, out map[string]*wire.Record) error {
	for try := 0; ; try++ {
		if err := r.wait(ctx, last); err != nil {
			return err
		}
		pos, found, err := r.get(ctx, ids)
		if err == nil && pos.Seq >= last { // on three replicas the answer may lag behind the watch
			maps.Copy(out, found)
			return nil
		}
		if stop := pause(ctx, try); stop != nil {
			return errors.Join(fmt.Errorf("read %d records: %w", len(ids), stop), err)
		}
	}
}

// wait until the position has reached seq.
func (r *Records) wait(ctx context.Context, seq uint64) error {
	look := time.NewTicker(lookEach)
	defer look.Stop()
	for {
		r.mu.Lock()
		pos, changed := r.pos, r.changed
		r.mu.Unlock()
		if pos.Seq >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-look.C: // what is watched may be late: the watch's consumer goes with its server
			if now, _, err := r.get(ctx, nil); err == nil && now.Seq >= seq {
				return nil // the read that follows shows whether that holds
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for the recorder (at %d, events up to %d): %w", pos.Seq, seq, context.Cause(ctx))
		}
	}
}

// lookEach is how often a barrier that waits asks for the position itself.
const lookEach = 500 * time.Millisecond

func (r *Records) lastEvent(ctx context.Context) (uint64, error) {
	info, err := StreamInfo(ctx, r.js, wire.StreamEvents)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// Get reads records as they are now; what is not there is left out.
func (r *Records) Get(ctx context.Context, ids ...string) (map[string]*wire.Record, error) {
	out := make(map[string]*wire.Record, len(ids))
	for from := 0; from < len(ids); from += maxPerGet {
		_, found, err := r.get(ctx, ids[from:min(from+maxPerGet, len(ids))])
		if err != nil {
			return nil, err
		}
		maps.Copy(out, found)
	}
	return out, nil
}

// get reads position and records in one isolated read.
func (r *Records) get(ctx context.Context, ids []string) (wire.Position, map[string]*wire.Record, error) {
	subjects := make([]string, 0, len(ids)+1)
	position := wire.KVSubject(wire.BucketTasks, wire.KeyPosition)
	subjects = append(subjects, position)
	for _, id := range ids {
		subjects = append(subjects, wire.KVSubject(wire.BucketTasks, id))
	}
	one, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	var pos wire.Position
	msgs, err := LastOf(one, r.js, wire.StreamTasks, subjects)
	if err != nil {
		return pos, nil, err
	}
	found := make(map[string]*wire.Record, len(ids))
	for _, m := range msgs {
		switch {
		case len(m.Data) == 0: // a marker
		case m.Subject == position:
			if pos, err = wire.ParsePosition(string(m.Data)); err != nil {
				return pos, nil, err
			}
		default:
			rec, err := wire.DecodeRecord(m.Data)
			if err != nil {
				return pos, nil, fmt.Errorf("key %s: %w", m.Subject, err)
			}
			found[rec.ID] = rec
		}
	}
	return pos, found, nil
}
