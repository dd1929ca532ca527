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
}

type laneItem struct {
	Run
	body []byte
	to   wire.Lane
	lane string
	done func(error)
}

// Lanes writes lane messages, gathered, and tells their sequences to the recorder.
type Lanes struct {
	core   *Core
	gather *natsx.Gather[laneItem, error]

	mu    sync.Mutex
	known map[string]bool
}

func newLanes(c *Core) *Lanes {
	l := &Lanes{core: c, known: map[string]bool{}}
	l.gather = natsx.NewGather(natsx.MaxBatch, natsx.MaxBatchBytes, func(it laneItem) int { return len(it.body) + 200 }, l.write)
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
	for i, r := range runs {
		to := l.core.Limits.Lane(&r.Env.Task)
		items[i] = laneItem{
			Run: r, body: r.Env.Encode(), to: to, lane: to.Consumer(), done: func(err error) { done(i, err) },
		}
	}
	l.gather.Go(func(i int, failed, err error) {
		if err = errors.Join(err, failed); err != nil {
			items[i].done(err)
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
	msgs := make([]*nats.Msg, len(items))
	for i, at := range order {
		sorted[i] = items[at]
		msgs[i] = laneMessage(&sorted[i])
	}
	seqs, failed, err := l.store(ctx, msgs)
	if err != nil {
		return nil, err
	}
	results := make([]error, len(items))
	for i, at := range order {
		results[at] = failed[i]
	}
	if l.core.Dispatched != nil {
		l.core.Dispatched(len(items))
	}
	l.tell(sorted, seqs, failed)
	return results, nil
}

func laneMessage(it *laneItem) *nats.Msg {
	m := nats.NewMsg(it.to.Subject(it.Env.Task.Type))
	id := it.Env.MsgID()
	if it.From > 0 { // the id so far may still be known to the lanes
		id += ".from." + strconv.FormatUint(it.From, 10)
	}
	m.Header.Set(wire.HeaderMsgID, id)
	if it.Check {
		m.Header.Set(wire.HeaderCheck, "1")
	}
	m.Data = it.body
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
func (l *Lanes) tell(items []laneItem, seqs []uint64, failed []error) {
	for from := 0; from < len(items); {
		if failed[from] != nil {
			from++
			continue
		}
		to := from + 1
		for to < len(items) && to-from < maxIDs && failed[to] == nil && items[to].lane == items[from].lane && seqs[to] == seqs[to-1]+1 {
			to++
		}
		run := items[from:to]
		l.core.Events.PublishAsync(func(err error) {
			for i := range run {
				run[i].done(err)
			}
		}, dispatched(run, seqs[from]))
		from = to
	}
}

func dispatched(run []laneItem, first uint64) wire.Event {
	d := wire.EventData{Lane: run[0].lane, First: first, IDs: make([]string, len(run))}
	plain := true
	for i := range run {
		d.IDs[i] = run[i].Env.ID
		plain = plain && run[i].Env.Attempt == 1 && run[i].Env.Round == 0
	}
	if !plain {
		d.Attempts, d.Rounds = make([]int, len(run)), make([]int, len(run))
		for i := range run {
			d.Attempts[i], d.Rounds[i] = run[i].Env.Attempt, run[i].Env.Round
		}
	}
	return wire.NewEvent(wire.Event{Event: wire.EventDispatched, Data: d})
}
