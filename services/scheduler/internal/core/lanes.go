package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// MaxQueues bounds the lanes: four a queue.
const MaxQueues = 100

// ErrTooManyQueues is returned for a queue beyond MaxQueues.
var ErrTooManyQueues = fmt.Errorf("there are %d queues already, which is the most", MaxQueues)

// maxIDs bounds one dispatched event, so that the recorder can commit all its tasks at once.
const maxIDs = 400

// Run is a task on its way into a lane.
type Run struct {
	Env *wire.Envelope
	// Check makes the taker look at the record before it runs the task.
	Check bool
	// From is the lane sequence that the task had before it was moved; 0 otherwise.
	From uint64
	// Pack lets the task share its lane message with others. Only a first attempt that nobody
	// can have dispatched before may: a parcel is not known to the lanes by the ids of its tasks.
	Pack bool
}

type laneItem struct {
	Run
	body []byte
	to   wire.Lane
	lane string
	// pack says that it may go into a parcel, cost how long it occupies its taker there.
	pack bool
	cost time.Duration
	// i is its place among those it was handed in with, as done is told.
	i    int
	done func(i int, err error)
}

// maxItems bounds one write: a few atomic batches, or one of parcels.
const maxItems = 2 * natsx.MaxBatch

// Lanes writes lane messages, gathered, and tells their sequences to the recorder.
type Lanes struct {
	core   *Core
	gather *natsx.Gather[laneItem, error]

	mu    sync.Mutex
	known map[string]bool
}

func newLanes(c *Core) *Lanes {
	l := &Lanes{core: c, known: map[string]bool{}}
	l.gather = natsx.NewGather(maxItems, natsx.MaxBatchBytes, func(it laneItem) int { return len(it.body) + 200 }, l.write)
	return l
}

// Forget makes the next dispatch to each queue look whether its lanes are there.
func (l *Lanes) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.known)
}

// Ensure makes the lanes of a queue where this process has not seen them yet.
func (l *Lanes) Ensure(ctx context.Context, queue string) error {
	l.mu.Lock()
	known := l.known[queue]
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.make(ctx, queue); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[queue] = true
	return nil
}

func (l *Lanes) make(ctx context.Context, queue string) error {
	queues, err := l.queues(ctx)
	if err != nil {
		return err
	}
	if !queues[queue] && len(queues) >= MaxQueues {
		return ErrTooManyQueues
	}
	paused, err := l.paused(ctx, queue)
	if err != nil {
		return err
	}
	return topology.EnsureLanes(ctx, l.core.JS, queue, l.core.Lease, paused)
}

func (l *Lanes) queues(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	names := l.core.Stream(wire.StreamReady).ConsumerNames(ctx)
	for name := range names.Name() {
		if l, ok := wire.ParseLane(name); ok {
			found[l.Queue] = true
		}
	}
	if err := names.Err(); err != nil {
		return nil, fmt.Errorf("list the lanes: %w", err)
	}
	return found, nil
}

func (l *Lanes) paused(ctx context.Context, queue string) (bool, error) {
	kv, err := l.core.JS.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	e, err := kv.Get(ctx, wire.QueueSettingsKey(queue))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the settings of queue %s: %w", queue, err)
	}
	var s wire.QueueSettings
	if err := json.Unmarshal(e.Value(), &s); err != nil {
		return false, fmt.Errorf("settings of queue %s: %w", queue, err)
	}
	return s.Paused, nil
}

// Go hands runs in, in their order, and returns. Done is called once for each, must not
// block, and gets nil once the lane message and the event that tells its sequence are stored.
func (l *Lanes) Go(done func(i int, err error), runs ...Run) {
	items := make([]laneItem, len(runs))
	var costs map[string]time.Duration
	if len(runs) > 0 && runs[0].Pack {
		costs = l.core.Service.costs()
	}
	for i, r := range runs {
		to, limited := l.core.Limits.Lane(&r.Env.Task)
		it := laneItem{Run: r, body: r.Env.Encode(), to: to, lane: to.Consumer(), i: i, done: done}
		if cost, short := costs[r.Env.Task.Type]; short && !limited {
			it.pack, it.cost = r.packs(), cost
		}
		items[i] = it
	}
	l.gather.Go(func(i int, failed, err error) {
		if err = errors.Join(err, failed); err != nil {
			done(i, err)
		}
	}, items...)
}

// Do is Go and waits until all are stored; it returns the first error.
func (l *Lanes) Do(ctx context.Context, runs ...Run) error {
	if len(runs) == 0 {
		return nil
	}
	results := make(chan error, len(runs))
	l.Go(func(_ int, err error) { results <- err }, runs...)
	var first error
	for range runs {
		select {
		case err := <-results:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return first
}

// packs tells whether a task may share its lane message. One with a deadline has a reminder
// that takes the message back, and a payload elsewhere takes long to fetch.
func (r *Run) packs() bool {
	return r.Pack && r.Env.Task.Deadline == 0 && r.Env.PayloadObject == ""
}

// write stores a gathered run of lane messages. What it returns per item is the server's
// final refusal of that one; the others' outcome goes to their done functions.
func (l *Lanes) write(ctx context.Context, items []laneItem) ([]error, error) {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	// By lane, so that one event tells a long run of sequences; stable, so that a lane
	// keeps the order of submission.
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(items[a].lane, items[b].lane) })
	sorted := make([]laneItem, len(items))
	for i, at := range order {
		sorted[i] = items[at]
	}
	parcels := pack(sorted)
	msgs := make([]*nats.Msg, len(parcels))
	for i, p := range parcels {
		msgs[i] = p.message()
	}
	seqs, failed, err := l.store(ctx, msgs)
	if err != nil {
		return nil, err
	}
	results := make([]error, len(items))
	next := 0
	for i, p := range parcels {
		for range p {
			results[order[next]] = failed[i]
			next++
		}
	}
	if l.core.Dispatched != nil {
		l.core.Dispatched(len(items))
	}
	l.tell(parcels, seqs, failed)
	return results, nil
}

// parcel is what one lane message holds: most often a single task.
type parcel []laneItem

// pack splits items, which stand by lane, into lane messages.
func pack(items []laneItem) []parcel {
	out := make([]parcel, 0, len(items))
	for from := 0; from < len(items); {
		to := from + 1
		bytes, cost := len(items[from].body), items[from].cost
		for to < len(items) && to-from < wire.MaxParcel && items[from].pack && items[to].pack && items[to].lane == items[from].lane {
			bytes, cost = bytes+len(items[to].body), cost+items[to].cost
			if bytes > wire.MaxParcelBytes || cost > parcelTime {
				break
			}
			to++
		}
		out = append(out, items[from:to])
		from = to
	}
	return out
}

func (p parcel) message() *nats.Msg {
	first := &p[0]
	m := nats.NewMsg(first.to.Subject(first.Env.Task.Type))
	id := first.Env.MsgID()
	if first.From > 0 { // the id so far may still be known to the lanes
		id += ".from." + strconv.FormatUint(first.From, 10)
	}
	bodies := make([][]byte, len(p))
	for i := range p {
		bodies[i] = p[i].body
	}
	if len(p) > 1 {
		id += ".parcel." + strconv.Itoa(len(p))
	}
	m.Header.Set(wire.HeaderMsgID, id)
	if first.Check {
		m.Header.Set(wire.HeaderCheck, "1")
	}
	m.Data = wire.EncodeParcel(bodies...)
	return m
}

func (l *Lanes) store(ctx context.Context, msgs []*nats.Msg) (seqs []uint64, failed []error, err error) {
	failed = make([]error, len(msgs))
	if seqs, err = l.core.Pub.PublishEach(ctx, msgs); err == nil {
		return seqs, failed, nil
	}
	seqs = make([]uint64, len(msgs))
	for i, m := range msgs { // one is refused for good: find it, keep the others
		one, err := l.core.Pub.PublishEach(ctx, []*nats.Msg{m})
		switch {
		case err == nil:
			seqs[i] = one[0]
		case ctx.Err() != nil:
			return nil, nil, err
		default:
			failed[i] = err
		}
	}
	return seqs, failed, nil
}

// tell publishes one event for each run of consecutive sequences in one lane.
func (l *Lanes) tell(parcels []parcel, seqs []uint64, failed []error) {
	for from := 0; from < len(parcels); {
		if failed[from] != nil {
			from++
			continue
		}
		to, ids := from+1, len(parcels[from])
		for to < len(parcels) && ids+len(parcels[to]) <= maxIDs && failed[to] == nil &&
			parcels[to][0].lane == parcels[from][0].lane && seqs[to] == seqs[to-1]+1 {
			ids += len(parcels[to])
			to++
		}
		run := parcels[from:to]
		l.core.Events.PublishAsync(func(err error) {
			for _, p := range run {
				for i := range p {
					p[i].done(p[i].i, err)
				}
			}
		}, dispatched(run, ids, seqs[from]))
		from = to
	}
}

func dispatched(run []parcel, ids int, first uint64) wire.Event {
	d := wire.EventData{Lane: run[0][0].lane, First: first, IDs: make([]string, 0, ids)}
	plain := true
	for _, p := range run {
		for i := range p {
			d.IDs = append(d.IDs, p[i].Env.ID)
			plain = plain && p[i].Env.Attempt == 1 && p[i].Env.Round == 0
		}
	}
	if len(run) < ids {
		for _, p := range run {
			d.Sizes = append(d.Sizes, len(p))
		}
	}
	if !plain {
		for _, p := range run {
			for i := range p {
				d.Attempts, d.Rounds = append(d.Attempts, p[i].Env.Attempt), append(d.Rounds, p[i].Env.Round)
			}
		}
	}
	return wire.NewEvent(wire.Event{Event: wire.EventDispatched, Data: d})
}
