package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// stored is what the bucket holds of the recorder itself. The position's Seq is the last
// message folded whole, its Index how many events of the next one are folded already.
type stored struct {
	position    wire.Position
	positionRev uint64
}

// entry is a record in memory with the revision it was read or written at; nil where the
// bucket holds none.
type entry struct {
	rec   *wire.Record
	rev   uint64
	dirty bool
}

// folder is one uninterrupted stretch of folding. It is thrown away whenever a commit fails.
type folder struct {
	r      *Recorder
	at     stored
	totals *wire.Totals
	cache  map[string]*entry
	dirty  []string
	bytes  int
	told   []wire.Event // of the recorder's own: refusals and duplicates
	gone   []*wire.Record
	last   time.Time
}

// message is an event message that has been taken apart.
type message struct {
	seq    uint64
	events []place
}

// place is one event of one task, and where it stands.
type place struct {
	event wire.Event
	pos   wire.Position
}

// load reads position and totals.
func (r *Recorder) load(ctx context.Context) (stored, *wire.Totals, error) {
	var at stored
	totals := &wire.Totals{}
	msgs, err := natsx.LastOf(ctx, r.cfg.JS, wire.StreamTasks, []string{
		wire.KVSubject(wire.BucketTasks, wire.KeyPosition), wire.KVSubject(wire.BucketTasks, wire.KeyTotals),
	})
	if err != nil {
		return at, nil, fmt.Errorf("load the position: %w", err)
	}
	for _, m := range msgs {
		if len(m.Data) == 0 {
			continue
		}
		if m.Subject == wire.KVSubject(wire.BucketTasks, wire.KeyTotals) {
			err = json.Unmarshal(m.Data, totals)
		} else {
			at.positionRev = m.Seq
			at.position, err = wire.ParsePosition(string(m.Data))
		}
		if err != nil {
			return at, nil, fmt.Errorf("load %s: %w", m.Subject, err)
		}
	}
	return at, totals, nil
}

// fold reads on from the stored position until something fails or ctx ends.
func (r *Recorder) fold(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at, totals, err := r.load(one)
	if err != nil {
		return err
	}
	if err := r.lift(one, at.position); err != nil {
		return err
	}
	r.positionRev = at.positionRev
	f := &folder{r: r, at: at, totals: totals, cache: map[string]*entry{}}
	r.position.Store(at.position.Seq)
	return f.follow(ctx)
}

// follow consumes the stream in order.
func (f *folder) follow(ctx context.Context) error {
	c, err := f.r.cfg.JS.OrderedConsumer(ctx, wire.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.at.position.Seq + 1,
	})
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	in := make(chan jetstream.Msg, 256)
	stop := make(chan struct{})
	cc, err := c.Consume(func(m jetstream.Msg) {
		select {
		case in <- m:
		case <-stop:
		}
	}, jetstream.PullMaxMessages(256))
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	defer func() {
		close(stop)
		cc.Stop()
		<-cc.Closed()
	}()
	f.r.fail(nil)
	if f.r.foldingSince.Load() == nil {
		f.r.foldingSince.Store(new(time.Now()))
	}
	return f.loop(ctx, in)
}

func (f *folder) loop(ctx context.Context, in <-chan jetstream.Msg) error {
	for {
		var waiting []message
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-in:
			waiting = append(waiting, f.decode(m)...)
		}
		waiting = f.gather(ctx, in, waiting)
		if err := f.apply(ctx, waiting); err != nil {
			return err
		}
	}
}

// gather takes more until the time between two commits is over or a commit is full.
func (f *folder) gather(ctx context.Context, in <-chan jetstream.Msg, waiting []message) []message {
	t := time.NewTimer(time.Until(f.last.Add(f.r.cfg.Gather)))
	defer t.Stop()
	events := 0
	for events < maxKeys {
		select {
		case <-ctx.Done():
			return waiting
		case <-t.C:
			return waiting
		case m := <-in:
			more := f.decode(m)
			for _, one := range more {
				events += len(one.events)
			}
			waiting = append(waiting, more...)
		}
	}
	return waiting
}

// decode takes a message apart. What cannot be read is logged and passed over: it was
// written by something else than a service, and folding must go on.
func (f *folder) decode(m jetstream.Msg) []message {
	meta, err := m.Metadata()
	if err != nil {
		return nil
	}
	seq := meta.Sequence.Stream
	out := message{seq: seq}
	events, err := wire.DecodeEvents(seq, m.Data())
	if err != nil {
		f.r.cfg.Log.Error("an event message cannot be read", "stream", wire.StreamEvents, "seq", seq, "err", err)
	}
	for i := range events {
		for _, one := range wire.Split(&events[i]) {
			out.events = append(out.events, place{one, wire.Position{Seq: seq, Index: i}})
		}
	}
	return []message{out}
}

// apply folds messages and commits as often as needed.
func (f *folder) apply(ctx context.Context, messages []message) error {
	if err := f.fetch(ctx, messages); err != nil {
		return err
	}
	for _, m := range messages {
		if m.seq <= f.at.position.Seq {
			continue
		}
		if want := f.at.position.Seq + 1; m.seq != want {
			// Only what was folded is ever trimmed, so these were never seen by anybody.
			f.r.cfg.Log.Error("events are missing", "stream", wire.StreamEvents, "from", want, "to", m.seq-1)
			f.at.position = wire.Position{Seq: m.seq - 1}
		}
		for i := f.at.position.Index; i < len(m.events); i++ {
			if len(f.dirty) >= maxKeys || f.bytes >= maxBytes {
				f.at.position.Index = i
				if err := f.commit(ctx); err != nil {
					return err
				}
				if err := f.fetch(ctx, messages); err != nil { // the cache may have been cut
					return err
				}
			}
			f.one(&m.events[i])
		}
		f.at.position = wire.Position{Seq: m.seq}
	}
	return f.commit(ctx)
}

// fetch reads the records that are not in memory.
func (f *folder) fetch(ctx context.Context, messages []message) error {
	var subjects, ids []string
	seen := map[string]bool{}
	for _, m := range messages {
		for i := range m.events {
			id := m.events[i].event.TaskID
			if id == "" || seen[id] || f.cache[id] != nil || m.seq <= f.at.position.Seq {
				continue
			}
			seen[id] = true
			ids = append(ids, id)
			subjects = append(subjects, wire.KVSubject(wire.BucketTasks, id))
		}
	}
	for from := 0; from < len(subjects); from += maxKeys {
		to := min(from+maxKeys, len(subjects))
		if err := f.read(ctx, ids[from:to], subjects[from:to]); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) read(ctx context.Context, ids, subjects []string) error {
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msgs, err := natsx.LastOf(one, f.r.cfg.JS, wire.StreamTasks, subjects)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	for _, id := range ids {
		f.cache[id] = &entry{}
	}
	for _, m := range msgs {
		id := m.Subject[len(wire.KVSubject(wire.BucketTasks, "")):]
		e := &entry{rev: m.Seq} // a marker has a revision too
		if len(m.Data) > 0 {
			if e.rec, err = wire.DecodeRecord(m.Data); err != nil {
				return fmt.Errorf("record %s: %w", id, err)
			}
		}
		f.cache[id] = e
	}
	return nil
}

// one folds one event of one task.
func (f *folder) one(p *place) {
	e := &p.event
	if e.TaskID == "" {
		return
	}
	c := f.cache[e.TaskID]
	next, verdict, reason := wire.Next(c.rec, e, p.pos)
	switch verdict {
	case wire.Refused:
		f.totals.Refused++
		f.tell(p, wire.Event{Event: wire.EventRefused, Data: wire.EventData{
			Outcome: e.Event, Reason: reason, Status: string(c.rec.Status), Fence: e.Data.Fence, Round: e.Data.Round,
		}})
	case wire.Duplicate:
		f.tell(p, wire.Event{Event: wire.EventDuplicate, Data: wire.EventData{SubmitSeq: e.Data.SubmitSeq, Member: e.Data.Member}})
	case wire.Ignored, wire.Collision: // the scheduler rejects a collision: it has the bytes
	case wire.Applied, wire.Deleted:
		f.count(c.rec, next, e)
		if verdict == wire.Deleted {
			f.gone = append(f.gone, c.rec)
		}
		c.rec = next
		if !c.dirty {
			c.dirty = true
			f.dirty = append(f.dirty, e.TaskID)
			f.bytes += 700
		}
		f.bytes += len(e.Data.Result)
	}
}

func (f *folder) tell(p *place, e wire.Event) {
	e.TaskID, e.WorkerID, e.Pool, e.Attempt = p.event.TaskID, p.event.WorkerID, p.event.Pool, p.event.Attempt
	e.Seq = p.pos.String() // of its cause: the message id
	e = wire.NewEvent(e)
	f.told = append(f.told, e)
}

// count keeps the totals.
func (f *folder) count(old, next *wire.Record, e *wire.Event) {
	t := f.totals
	was, is := old != nil && !old.Status.Ended(), next != nil && !next.Status.Ended()
	switch {
	case is && !was:
		t.Open++
	case was && !is:
		t.Open--
	}
	if old == nil {
		t.Submitted++
	}
	switch {
	case next == nil:
		return
	case e.Event == wire.EventStarted && next.WaitTimeMs != nil:
		t.WaitMs.Add(float64(*next.WaitTimeMs))
	case e.Event == wire.EventReassigned:
		t.Reassigned++
	case e.Event == wire.EventFailed && next.Status == wire.StatusRetrying:
		t.Retried++
	}
	if was && next.Status.Ended() {
		t.CountFinished(next.Status, next.Type)
		if next.Status == wire.StatusCompleted && next.ExecutionTimeMs != nil {
			t.DurationMs.Add(float64(*next.ExecutionTimeMs))
		}
	}
}

// publishTold stores the recorder's own events before the commit, with the place of their
// cause as message id, so that a second try adds nothing.
func (f *folder) publishTold(ctx context.Context) error {
	for _, e := range f.told {
		m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
		m.Header.Set(wire.HeaderMsgID, string(e.Event)+"."+e.Seq)
		e.Seq = ""
		body, err := wire.EncodeEvents([]wire.Event{e})
		if err != nil {
			return err
		}
		m.Data = body
		one, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err = f.r.pub.Publish(one, m)
		cancel()
		if err != nil {
			return err
		}
	}
	f.told = nil
	return nil
}

// commit writes what has changed, and the position last, as one atomic batch.
func (f *folder) commit(ctx context.Context) error {
	if err := f.publishTold(ctx); err != nil {
		return err
	}
	f.totals.At = wire.Now()
	msgs := make([]*nats.Msg, 0, len(f.dirty)+2)
	for _, id := range f.dirty {
		msgs = append(msgs, f.r.recordMessage(id, f.cache[id]))
	}
	totals, err := json.Marshal(f.totals)
	if err != nil {
		return fmt.Errorf("encode totals: %w", err)
	}
	msgs = append(msgs, keyMessage(wire.KeyTotals, totals), keyMessage(wire.KeyPosition, []byte(f.at.position.String())))
	msgs[len(msgs)-1].Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(f.at.positionRev, 10))
	f.last = time.Now()
	last, err := f.r.pub.Commit(ctx, msgs)
	if err != nil {
		return fmt.Errorf("commit %d records: %w", len(f.dirty), err)
	}
	f.committed(last, len(msgs))
	return nil
}

func (f *folder) committed(last uint64, n int) {
	first, deleted := last-uint64(n)+1, 0
	for i, id := range f.dirty {
		c := f.cache[id]
		c.rev, c.dirty = first+uint64(i), false
		if c.rec == nil {
			deleted++
		}
	}
	f.r.removals.add(deleted)
	f.at.positionRev, f.r.positionRev = last, last
	f.dirty, f.bytes = f.dirty[:0], 0
	f.r.position.Store(f.at.position.Seq)
	f.r.committed.Add(1)
	if len(f.gone) > 0 {
		gone := f.gone
		f.gone = nil
		f.r.group.Go("remove", func(ctx context.Context) { f.r.removeAll(ctx, gone) })
	}
	if len(f.cache) > maxCached {
		f.cache = map[string]*entry{} // reading a thousand anew costs a few milliseconds
	}
}

func (r *Recorder) recordMessage(id string, e *entry) *nats.Msg {
	m := keyMessage(id, nil)
	m.Header.Set(wire.HeaderExpectedLast, strconv.FormatUint(e.rev, 10))
	if e.rec == nil {
		m.Header.Set(wire.HeaderKVOperation, "PURGE") // the marker of a DEL would leave another when it expires
		m.Header.Set(wire.HeaderTTL, strconv.Itoa(int(r.cfg.MarkerTTL/time.Second)))
		return m
	}
	if e.rec.Status.Ended() {
		m.Header.Set(wire.HeaderTTL, keepFor(e.rec))
	}
	body, err := json.Marshal(e.rec)
	if err != nil {
		panic("recorder: a record does not encode: " + err.Error()) // its parts were decoded from JSON
	}
	m.Data = body
	return m
}

// keepFor is the TTL of an ended record, in whole seconds: its retention, but long enough
// for late messages to find it.
func keepFor(rec *wire.Record) string {
	keep := max(time.Duration(rec.RetentionMs)*time.Millisecond, wire.MinKeep)
	left := keep - time.Since(rec.FinishedAt.Time())
	return strconv.FormatInt(max(int64(left/time.Second), 1), 10)
}

func keyMessage(key string, body []byte) *nats.Msg {
	m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, key))
	m.Data = body
	return m
}
