package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Rule names what a finding breaks.
type Rule string

// The rules.
const (
	// RuleLost: an acknowledged task is not in the books.
	RuleLost Rule = "lost"
	// RuleStuck: a task has not ended.
	RuleStuck Rule = "stuck"
	// RuleTwoEnds: a task ended twice in the stream of events.
	RuleTwoEnds Rule = "two ends"
	// RuleWrongEnd: the record says another end than the events, or one that the task cannot have.
	RuleWrongEnd Rule = "wrong end"
	// RuleUnseen: a completed task that no handler has run under the recorded fence.
	RuleUnseen Rule = "not executed"
	// RuleFence: a fence was used twice, or went back from one hand-out to the next.
	RuleFence Rule = "fence"
	// RuleAttempts: an attempt beyond the limit, or one that no failure asked for.
	RuleAttempts Rule = "attempts"
	// RulePriority: a task was started while a higher one had been waiting.
	RulePriority Rule = "priority"
	// RuleRepair: the audit had to repair a task.
	RuleRepair Rule = "repair"
	// RuleRecord: a record is not what its events make of it.
	RuleRecord Rule = "record"
)

// Finding is something that is broken.
type Finding struct {
	Rule   Rule   `json:"rule"`
	TaskID string `json:"taskId,omitempty"`
	Text   string `json:"text"`
	// History is all that is known of the task.
	History []string `json:"history,omitempty"`
}

// Counts are the figures of a run.
type Counts struct {
	Accepted  int `json:"accepted"`
	Ended     int `json:"ended"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	// Crashed of the failed: their worker died too often.
	Crashed int `json:"crashed"`
	// Unasked tasks were accepted although nobody was told: the answer was lost.
	Unasked    int `json:"acceptedUnheard"`
	Executions int `json:"executions"`
	// Again tasks ran more than once at the same attempt, which is allowed.
	Again int `json:"ranAgain"`
	// AfterEnd executions began when their task had ended in the books.
	AfterEnd int `json:"ranAfterTheirEnd"`
	HandOuts int `json:"handOuts"`
	// Parcels are lane messages with several tasks, Packed the tasks in them.
	Parcels int `json:"parcels"`
	Packed  int `json:"packed"`
	Refused int `json:"refusedOutcomes"`
	Repairs int `json:"auditRepairs"`
	Events  int `json:"events"`
	// Compared starts, of those in quiet times, with what waited; Shares of them were the
	// lowest lane's guaranteed share.
	Compared int `json:"priorityCompared"`
	Shares   int `json:"priorityShares"`
}

// Recovery is how long it took after faults of one kind.
type Recovery struct {
	Kind   string `json:"kind"`
	Faults int    `json:"faults"`
	// Samples are tasks where the fault took workers away, else faults.
	Samples int           `json:"samples"`
	Median  time.Duration `json:"-"`
	P99     time.Duration `json:"-"`
	Worst   time.Duration `json:"-"`
}

// Report is what a checker found.
type Report struct {
	Counts   Counts
	Findings []Finding
	// Whole: the stream of events was complete, so that records could be compared with it.
	Whole      bool
	Recoveries []Recovery
}

// Finish applies every rule.
func (c *Checker) Finish() Report {
	r := &Report{Whole: c.whole}
	c.count.Accepted, c.count.Repairs = len(c.cfg.Tasks), len(c.repairs)
	for _, id := range c.order {
		c.task(r, id, c.tasks[id])
	}
	for _, id := range c.repairs {
		r.add(c, RuleRepair, id, "the audit had to repair it")
	}
	c.priorities(r)
	r.Recoveries = c.recoveries()
	r.Counts = c.count
	return *r
}

func (r *Report) add(c *Checker, rule Rule, id, format string, args ...any) {
	f := Finding{Rule: rule, TaskID: id, Text: fmt.Sprintf(format, args...)}
	if h := c.tasks[id]; h != nil {
		f.History = h.lines()
	}
	r.Findings = append(r.Findings, f)
}

func (c *Checker) task(r *Report, id string, h *history) {
	if h.task == nil && h.record == nil && len(h.events) == 0 {
		r.add(c, RuleLost, id, "the ledger has it, the books have not")
		return
	}
	if h.record == nil && len(h.events) > 0 && h.rejected() && h.task == nil {
		return // refused: there never was such a task
	}
	if h.task == nil {
		c.count.Unasked++
	}
	if h.record == nil {
		r.add(c, RuleLost, id, "it was acknowledged, and there is no record of it")
		return
	}
	c.ending(r, id, h)
	c.executions(r, id, h)
	c.attempts(r, id, h)
	c.fences(r, id, h)
	if c.whole && !sameRecord(h.folded, h.record) {
		r.add(c, RuleRecord, id, "the record differs from what its events make of it: %s", encode(h.folded))
	}
}

func (h *history) rejected() bool {
	return slices.ContainsFunc(h.events, func(e event) bool { return e.name == wire.EventRejected })
}

// ending: exactly one end, the same in the events and in the record, and one that was to be
// expected.
func (c *Checker) ending(r *Report, id string, h *history) {
	ends, refused := h.ends()
	c.count.Refused += refused
	rec := h.record
	if !rec.Status.Ended() {
		r.add(c, RuleStuck, id, "it has not ended: it is %s", rec.Status)
		return
	}
	c.count.Ended++
	if c.whole && len(ends) == 0 {
		r.add(c, RuleWrongEnd, id, "the record says %s, and no event ended it", rec.Status)
		return
	}
	rounds := map[int]int{}
	for i := range ends {
		rounds[ends[i].round]++
	}
	for round, n := range rounds {
		if n > 1 {
			r.add(c, RuleTwoEnds, id, "%d events end it in round %d, and were not refused", n, round)
			return
		}
	}
	if len(ends) > 0 {
		last := &ends[len(ends)-1]
		if s := statusOf(last); s != rec.Status || last.fence != 0 && last.fence != rec.Fence {
			r.add(c, RuleWrongEnd, id, "the events end it as %s (fence %d), the record says %s (fence %d)", s, last.fence, rec.Status, rec.Fence)
			return
		}
	}
	c.countEnd(rec)
	crashed := rec.Status == wire.StatusFailed && rec.Error != nil && rec.Error.Code == wire.CodeCrashed
	if h.task != nil && !crashed && !slices.Contains(h.task.Ends, rec.Status) {
		r.add(c, RuleWrongEnd, id, "a task of kind %s ended as %s, not as %v", h.task.Kind, rec.Status, h.task.Ends)
	}
}

func (c *Checker) countEnd(rec *wire.Record) {
	switch rec.Status {
	case wire.StatusCompleted:
		c.count.Completed++
	case wire.StatusCancelled:
		c.count.Cancelled++
	default:
		c.count.Failed++
		if rec.Error != nil && rec.Error.Code == wire.CodeCrashed {
			c.count.Crashed++
		}
	}
}

// executions: what the books call completed, a handler has completed under that fence.
func (c *Checker) executions(r *Report, id string, h *history) {
	perAttempt := map[int]int{}
	seen := false
	for _, run := range h.runs {
		if run.Kind == ledger.Began {
			c.count.Executions++
			perAttempt[run.Attempt]++
			if h.record.Status.Ended() && wire.At(run.At) > h.record.FinishedAt && run.Fence != h.record.Fence {
				c.count.AfterEnd++
			}
		}
		seen = seen || run.Kind == ledger.Succeeded && run.Fence == h.record.Fence
	}
	for _, n := range perAttempt {
		if n > 1 {
			c.count.Again++
			break
		}
	}
	if h.record.Status == wire.StatusCompleted && !seen && !c.cfg.NoLedger {
		r.add(c, RuleUnseen, id, "it is completed with fence %d, under which no handler finished it", h.record.Fence)
	}
}

// attempts: none beyond the limit, and each but the first asked for by a failure that counts.
func (c *Checker) attempts(r *Report, id string, h *history) {
	limit := h.record.MaxRetries + 1
	if h.task != nil {
		limit = h.task.MaxRetries + 1
	}
	failed := map[int]bool{0: true}
	for i := range h.events {
		if e := &h.events[i]; e.name == wire.EventFailed && !e.final {
			failed[e.attempt] = true
		}
	}
	check := func(attempt int, where string) bool {
		switch {
		case attempt > limit:
			r.add(c, RuleAttempts, id, "attempt %d of at most %d, by the %s", attempt, limit, where)
			return false
		case c.whole && !failed[attempt-1]:
			r.add(c, RuleAttempts, id, "attempt %d, by the %s, without a failure of the one before", attempt, where)
			return false
		}
		return true
	}
	for i := range h.events {
		if e := &h.events[i]; e.name == wire.EventStarted && !check(e.attempt, "events") {
			return
		}
	}
	for _, run := range h.runs {
		if run.Kind == ledger.Began && !check(run.Attempt, "ledger") {
			return
		}
	}
}

// handOut is one hand-out of a task to a worker.
type handOut struct {
	at     wire.Time
	fence  uint64
	worker string
}

// slack is how far apart two hand-outs must lie for their order to be certain: events tell
// whole milliseconds.
const slack = 2

// fences: each hand-out has a greater one than the hand-outs before it. What counts as its
// time is the event's; a handler may begin late where its process was stopped. A start that
// was stored and never reached a handler does not count: its pool found its lease gone.
func (c *Checker) fences(r *Report, id string, h *history) {
	told := map[uint64]wire.Time{}
	for i := range h.events {
		e := &h.events[i]
		if e.name != wire.EventStarted {
			continue
		}
		c.count.HandOuts++
		if _, twice := told[e.fence]; !twice {
			told[e.fence] = e.at
		}
	}
	var outs []handOut
	by := map[uint64]string{}
	for _, run := range h.runs {
		if run.Kind != ledger.Began {
			continue
		}
		who := fmt.Sprintf("%s (%d)", run.Worker, run.PID)
		if other, twice := by[run.Fence]; twice {
			r.add(c, RuleFence, id, "fence %d was given to %s and to %s", run.Fence, other, who)
			return
		}
		by[run.Fence] = who
		at, known := told[run.Fence]
		if !known {
			at = wire.At(run.At)
		}
		outs = append(outs, handOut{at, run.Fence, who})
	}
	slices.SortStableFunc(outs, func(a, b handOut) int { return int(a.at - b.at) })
	for i := 1; i < len(outs); i++ {
		before, now := outs[i-1], outs[i]
		if now.fence < before.fence && now.at-before.at >= slack {
			r.add(c, RuleFence, id, "fence %d of %s came after fence %d of %s", now.fence, now.worker, before.fence, before.worker)
			return
		}
	}
	if n := len(outs); n > 0 && h.record.Status == wire.StatusCompleted && h.record.Fence < outs[0].fence {
		r.add(c, RuleFence, id, "the record's fence %d is below the first hand-out's", h.record.Fence)
	}
}

// lines tells all that is known of a task in the order of time.
func (h *history) lines() []string {
	type line struct {
		at   time.Time
		text string
	}
	var all []line
	for i := range h.events {
		e := &h.events[i]
		all = append(all, line{e.at.Time(), "event  " + e.text()})
	}
	for _, run := range h.runs {
		all = append(all, line{run.At, fmt.Sprintf("ledger %s: attempt %d, fence %d, %s, process %d", run.Kind, run.Attempt, run.Fence, run.Worker, run.PID)})
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	out := make([]string, 0, len(all)+1)
	for _, l := range all {
		out = append(out, l.at.UTC().Format("15:04:05.000")+" "+l.text)
	}
	if h.record != nil {
		out = append(out, "record "+encode(h.record))
	}
	return out
}

func (e *event) text() string {
	parts := []string{e.seq, string(e.name)}
	add := func(name string, value any, given bool) {
		if given {
			parts = append(parts, fmt.Sprintf("%s %v", name, value))
		}
	}
	add("worker", e.worker, e.worker != "")
	add("pool", e.pool, e.pool != "")
	add("attempt", e.attempt, e.attempt != 0)
	add("fence", e.fence, e.fence != 0)
	add("round", e.round, e.round != 0)
	add("lane", e.laneSeq, e.laneSeq != 0)
	add("outcome", e.outcome, e.outcome != "")
	add("code", e.code, e.code != "")
	add("final", e.final, e.name == wire.EventFailed)
	add("reason", e.reason, e.reason != "")
	return strings.Join(parts, ", ")
}
