// Package check says whether the books of a chaos run are right. It is fed with what the
// streams hold, what the records say and what the handlers wrote down themselves, and knows
// nothing else: it asks no service and shares no code with those that wrote the books, but
// for the fold, which it repeats to compare the records with.
package check

import (
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Task is a task whose submission was acknowledged.
type Task struct {
	ID string
	// Kind of the workload, for the report.
	Kind string
	// MaxRetries is its limit.
	MaxRetries int
	// Ends are the states that it may end in. A task whose worker was killed too often may
	// also be failed, with the code crashed.
	Ends []wire.Status
}

// Fault is a fault as it was injected.
type Fault struct {
	Kind string
	// Begun and Ended bound it.
	Begun, Ended time.Time
	// Workers are the process ids of the workers that it hit.
	Workers []int
	// Pool is the pool it hit, also by one of its workers; Everybody is set where it was the
	// server of all.
	Pool      string
	Everybody bool
	// Measure says that its recovery is measured by the tasks of its workers; else by the
	// first task that was submitted afterwards.
	Measure bool
}

// Config of a Checker.
type Config struct {
	// Lease of the system.
	Lease time.Duration
	// Tasks are those whose submission was acknowledged.
	Tasks []Task
	// Faults that were injected, in the order of their begin.
	Faults []Fault
	// NoLedger: the handlers kept none, so that executions cannot be checked.
	NoLedger bool
}

// Checker takes in what a run has left behind. Events come in the order of their stream.
type Checker struct {
	cfg     Config
	tasks   map[string]*history
	order   []string
	workers map[int][]life
	repairs []string
	whole   bool
	first   bool
	starts  []start
	count   Counts
}

// life is a worker process: its id may have been used before.
type life struct {
	at     wire.Time
	worker string
}

// history is all that is known of one task.
type history struct {
	task     *Task // nil: its submission was not acknowledged to us
	events   []event
	runs     []ledger.Entry
	folded   *wire.Record
	record   *wire.Record
	queue    string
	priority wire.Priority
}

// event is what the rules need of an event.
type event struct {
	seq     string
	at      wire.Time
	name    wire.EventName
	worker  string
	pool    string
	attempt int
	round   int
	fence   uint64
	laneSeq uint64
	final   bool
	reason  string
	outcome wire.EventName
	code    wire.ErrorCode
}

// New makes a checker.
func New(cfg Config) *Checker {
	c := &Checker{cfg: cfg, tasks: map[string]*history{}, workers: map[int][]life{}, whole: true, first: true}
	for i := range cfg.Tasks {
		t := &cfg.Tasks[i]
		c.of(t.ID).task = t
	}
	return c
}

func (c *Checker) of(id string) *history {
	h := c.tasks[id]
	if h == nil {
		h = &history{}
		c.tasks[id] = h
		c.order = append(c.order, id)
	}
	return h
}

// Message takes one message of the stream of events.
func (c *Checker) Message(seq uint64, body []byte) error {
	events, err := wire.DecodeEvents(seq, body)
	if err != nil {
		return fmt.Errorf("event message %d: %w", seq, err)
	}
	if c.first && seq > 1 {
		c.whole = false // the oldest were trimmed: the fold cannot be repeated
	}
	c.first = false
	for i := range events {
		for _, size := range events[i].Data.Sizes {
			if size > 1 {
				c.count.Parcels++
				c.count.Packed += size
			}
		}
		for _, one := range wire.Split(&events[i]) {
			c.event(&one, wire.Position{Seq: seq, Index: i})
		}
	}
	return nil
}

func (c *Checker) event(e *wire.Event, pos wire.Position) {
	c.count.Events++
	if e.TaskID == "" {
		c.worker(e)
		return
	}
	h := c.of(e.TaskID)
	if next, verdict, _ := wire.Next(h.folded, e, pos); verdict == wire.Applied || verdict == wire.Deleted {
		h.folded = next
	}
	d := &e.Data
	kept := event{
		seq: e.Seq, at: e.Timestamp, name: e.Event, worker: e.WorkerID, pool: e.Pool, attempt: e.Attempt, round: d.Round,
		fence: d.Fence, laneSeq: d.LaneSeq, reason: d.Reason, outcome: d.Outcome, final: d.Final == nil || *d.Final,
	}
	if d.Error != nil {
		kept.code = d.Error.Code
	}
	if d.Task != nil {
		h.queue, h.priority = d.Task.Queue, d.Task.Priority
	}
	if e.Event == wire.EventProgress {
		return
	}
	h.events = append(h.events, kept)
	switch {
	case e.Event == wire.EventStarted:
		c.starts = append(c.starts, start{at: e.Timestamp, id: e.TaskID, pool: e.Pool, fence: d.Fence})
	case e.Event == wire.EventScheduled && d.Reason == wire.ReasonRepair:
		c.repairs = append(c.repairs, e.TaskID)
	}
}

func (c *Checker) worker(e *wire.Event) {
	if e.Event == wire.EventWorkerNew && e.Data.PID != 0 {
		c.workers[e.Data.PID] = append(c.workers[e.Data.PID], life{e.Timestamp, e.WorkerID})
	}
}

// Shown takes a task as the API shows it: with its last events only, and without what the
// fold needs.
func (c *Checker) Shown(t *wire.TaskDetail) {
	c.whole = false
	for i := range t.History {
		v := &t.History[i]
		e := wire.Event{
			Seq: v.Seq, Timestamp: v.Timestamp, Event: v.Event, TaskID: t.ID, WorkerID: string(v.WorkerID), Pool: string(v.Pool), Data: v.Data,
		}
		if v.Attempt != nil {
			e.Attempt = *v.Attempt
		}
		c.event(&e, wire.Position{})
	}
	c.Record(&wire.Record{
		ID: t.ID, Definition: wire.Definition{MaxRetries: t.MaxRetries}, Status: t.Status, Attempt: t.Attempt, Fence: t.Fence, Error: t.Error,
		FinishedAt: t.FinishedAt, SubmittedAt: t.SubmittedAt,
	})
}

// Record takes the stored state of a task.
func (c *Checker) Record(r *wire.Record) { c.of(r.ID).record = r }

// Ledger takes lines of the handlers.
func (c *Checker) Ledger(entries ...ledger.Entry) {
	for _, e := range entries {
		h := c.of(e.ID)
		h.runs = append(h.runs, e)
	}
}

// ends are the events that end a task in its books: outcomes that were not refused, and
// cancels. What the scheduler says twice (a cancel, a deadline without a hand-out) counts
// where it comes first.
func (h *history) ends() (ends []event, refused int) {
	refusals := map[event]int{}
	for _, e := range h.events {
		if e.name == wire.EventRefused {
			refusals[event{name: e.outcome, fence: e.fence, round: e.round, attempt: e.attempt}]++
		}
	}
	for _, e := range h.events {
		key := event{name: e.name, fence: e.fence, round: e.round, attempt: e.attempt}
		switch e.name {
		case wire.EventCompleted, wire.EventFailed:
			if refusals[key] > 0 {
				refusals[key]--
				refused++
				continue
			}
			if e.name == wire.EventFailed && (!e.final || e.fence == 0 && len(ends) > 0) {
				continue
			}
			ends = append(ends, e)
		case wire.EventCancelled:
			if len(ends) == 0 || ends[len(ends)-1].round < e.round {
				ends = append(ends, e)
			}
		}
	}
	return ends, refused
}

// statusOf is the state that an event ends a task in.
func statusOf(e *event) wire.Status {
	switch e.name {
	case wire.EventCompleted:
		return wire.StatusCompleted
	case wire.EventCancelled:
		return wire.StatusCancelled
	}
	return wire.StatusFailed
}
