package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// stored is what the bucket holds of the recorder itself. The position's Seq is the last
// message folded whole, its Index how many events of the next one are folded already.
type stored struct {
	position    wire.Position
	positionRev uint64
	// told are the recorder's own events that the stream had no room for.
	told []wire.Event
	// keys is how many keys of its own the recorder has in the bucket.
	keys int64
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
	// told are events of the recorder's own, refusals and duplicates, that are not stored yet;
	// kept tells that the bucket has a list of such.
	told []wire.Event
	kept bool
	gone []*wire.Record
	// last is when the last commit was made, lastKeys how many records it wrote.
	last     time.Time
	lastKeys int
}

// message is an event message that has been taken apart.
type message struct {
	seq    uint64
	events []place
}

// place is one event of one task, and where it stands.
type place struct {
	event *wire.Event
	pos   wire.Position
}

// load reads position and totals.
func (r *Recorder) load(ctx context.Context) (stored, *wire.Totals, error) {
	var at stored
	totals := &wire.Totals{}
	msgs, err := natsx.LastOf(ctx, r.cfg.JS, wire.StreamTasks, []string{
		wire.KVSubject(wire.BucketTasks, wire.KeyPosition), wire.KVSubject(wire.BucketTasks, wire.KeyTotals),
		wire.KVSubject(wire.BucketTasks, wire.KeyTold),
	})
	if err != nil {
		return at, nil, fmt.Errorf("load the position: %w", err)
	}
	for _, m := range msgs {
		at.keys++
		if len(m.Data) == 0 {
			continue
		}
		switch m.Subject {
		case wire.KVSubject(wire.BucketTasks, wire.KeyTotals):
			err = json.Unmarshal(m.Data, totals)
		case wire.KVSubject(wire.BucketTasks, wire.KeyTold):
			err = json.Unmarshal(m.Data, &at.told)
		default:
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
	f := &folder{r: r, at: at, totals: totals, cache: map[string]*entry{}, told: at.told, kept: len(at.told) > 0}
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
	}, jetstream.PullMaxMessages(256), jetstream.PullExpiry(natsx.FollowExpiry), jetstream.PullHeartbeat(natsx.FollowHeartbeat))
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
	again := time.NewTicker(tellAgain)
	defer again.Stop()
	quiet := 0
	for {
		var waiting []message
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-in:
			waiting, quiet = append(waiting, f.decode(m)...), 0
		case <-again.C:
			if quiet++; quiet >= stalledAfter {
				quiet = 0
				if err := f.stalled(ctx); err != nil {
					return err
				}
			}
			if !f.kept {
				continue
			}
		}
		waiting = f.gather(ctx, in, waiting)
		if err := f.apply(ctx, waiting); err != nil {
			return err
		}
	}
}

// stalledAfter is for how many turns nothing may arrive before the recorder looks whether
// there is more: the consumer is kept by one server alone and goes with it.
const stalledAfter = 2

func (f *folder) stalled(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := f.r.cfg.JS.Stream(one, wire.StreamEvents)
	if err != nil {
		return fmt.Errorf("read the state of %s: %w", wire.StreamEvents, err)
	}
	if last := s.CachedInfo().State.LastSeq; last > f.at.position.Seq {
		return fmt.Errorf("no event arrives after %d although there are events up to %d", f.at.position.Seq, last)
	}
	return nil
}

// gather takes more until the time between two commits is over or a commit is full.
func (f *folder) gather(ctx context.Context, in <-chan jetstream.Msg, waiting []message) []message {
	rest := f.r.cfg.Gather
	if f.lastKeys >= busyKeys {
		rest *= busyGather
	}
	t := time.NewTimer(time.Until(f.last.Add(rest)))
	defer t.Stop()
	events := 0
	for events < maxGathered {
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
	out.events = make([]place, 0, len(events))
	for i := range events {
		at := wire.Position{Seq: seq, Index: i}
		if events[i].Event != wire.EventDispatched { // most are of one task, and large
			out.events = append(out.events, place{&events[i], at})
			continue
		}
		each := wire.Split(&events[i])
		for k := range each {
			out.events = append(out.events, place{&each[k], at})
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
			if err := f.gap(ctx, want, m.seq); err != nil {
				return err
			}
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
	e := p.event
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
	switch waited, waits := old != nil && old.Status == wire.StatusPending, next != nil && next.Status == wire.StatusPending; {
	case waits && !waited:
		t.CountWaiting(next, 1)
	case waited && !waits:
		t.CountWaiting(old, -1)
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
