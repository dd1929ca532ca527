package wire_test

import (
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// world is one task among services that crash, repeat themselves and are late, as the design
// allows them to. What it stores is folded at once, so that its actors see the record behind
// the barrier whenever they look at it.
type world struct {
	t    *rapid.T
	rec  *wire.Record
	seq  uint64
	now  wire.Time
	gone bool // deleted

	task    *wire.Compact
	control uint64
	lane    uint64
	message *message     // in its lane
	due     *message     // the next attempt, scheduled
	holder  *message     // handed out and running
	held    []wire.Event // published or about to be, and not stored yet
	past    []wire.Event // stored

	failures, rounds int
	started          uint64        // the highest fence of a start that was applied
	submittedAt      wire.Position // in the history
	ends             map[int]bool  // by round
}

// message is a lane message and the hand-outs that it gives.
type message struct {
	attempt, retries, round int
	lane, fence, control    uint64
	deliveries              uint64
	moved                   bool
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, seq: 1, now: dawn, lane: 1, ends: map[int]bool{}}
	w.task = definition()
	w.task.MaxRetries = rapid.IntRange(0, 3).Draw(t, "maxRetries")
	e := submittedEvent()
	e.Data.Task = w.task
	if rapid.Bool().Draw(t, "later") {
		w.task.DelayMs, e.Data.ScheduledFor = 60_000, dawn+60_000
	}
	w.held = append(w.held, e)
	w.dispatch(&message{attempt: 1})
	return w
}

// store appends an event to the stream, folds it and checks what must always hold.
func (w *world) store(e wire.Event) (wire.Verdict, string) {
	e.TaskID = "order-17"
	w.seq++
	w.now += wire.Time(rapid.IntRange(0, 5).Draw(w.t, "ms"))
	if e.Timestamp == 0 {
		e.Timestamp = w.now
	}
	pos := wire.Position{Seq: w.seq}
	before := w.rec
	next, verdict, reason := foldPurely(w.t, before, e, pos)
	w.rec, w.past = next, append(w.past, e)
	if verdict == wire.Applied {
		w.count(before, &e, pos)
		w.holds(before, &e)
	}
	return verdict, reason
}

// count keeps what the checks compare with.
func (w *world) count(before *wire.Record, e *wire.Event, pos wire.Position) {
	switch e.Event {
	case wire.EventFailed:
		w.failures++
	case wire.EventStarted:
		w.started = max(w.started, e.Data.Fence)
	case wire.EventSubmitted:
		w.submittedAt = pos
	case wire.EventScheduled:
		if e.Data.Reason != wire.ReasonDelay {
			w.rounds++
		}
	}
	if w.rec.Status.Ended() && (before == nil || !before.Status.Ended()) {
		require.False(w.t, w.ends[w.rec.Meta.Round], "a second end in round %d", w.rec.Meta.Round)
		w.ends[w.rec.Meta.Round] = true
	}
}

// holds checks the record after an applied event.
func (w *world) holds(before *wire.Record, e *wire.Event) {
	r, t := w.rec, w.t
	require.LessOrEqual(t, r.Retries, r.MaxRetries)
	require.Equal(t, w.rounds, r.Meta.Round)
	require.LessOrEqual(t, r.Attempt, 1+w.failures, "attempts count failures only")
	require.LessOrEqual(t, len(r.Meta.History), wire.HistoryLength)
	if !r.Meta.Early {
		require.Equal(t, w.submittedAt, r.Meta.History[0])
	}
	require.Equal(t, r.Status.Ended(), r.FinishedAt != 0)
	require.Equal(t, r.Status.Ended(), r.ExpiresAt() != 0)
	switch {
	case r.Status == wire.StatusInProgress:
		require.Equal(t, w.started, r.Fence)
		require.NotEmpty(t, r.Worker)
	case !r.Status.Ended():
		require.Empty(t, r.Worker)
		require.Empty(t, r.Pool)
	}
	if e.Event == wire.EventCompleted {
		require.Equal(t, w.started, e.Data.Fence, "the latest hand-out only")
		require.Nil(t, r.Error)
	}
	if before != nil {
		w.follows(before, e)
	}
}

// follows checks a step.
func (w *world) follows(before *wire.Record, e *wire.Event) {
	r, t := w.rec, w.t
	require.GreaterOrEqual(t, r.Fence, before.Fence)
	require.GreaterOrEqual(t, r.Meta.ControlSeq, before.Meta.ControlSeq)
	require.GreaterOrEqual(t, r.Meta.UpdatedAt, before.Meta.UpdatedAt)
	if r.Meta.Round == before.Meta.Round {
		require.GreaterOrEqual(t, r.Meta.LaneSeq, before.Meta.LaneSeq)
	}
	require.Contains(t, []int{0, 1}, r.Attempt-before.Attempt)
	if before.Status.Ended() && (e.Event != wire.EventScheduled || e.Data.Reason != wire.ReasonManual) {
		was, is := *before, *r
		for _, one := range []*wire.Record{&was, &is} {
			one.Meta.History, one.Meta.HistoryTruncated, one.Meta.Early = nil, false, false
		}
		require.Equal(t, was, is, "%s changed an ended task", e.Event)
	}
}

// dispatch puts a run into its lane; that it is there may become known later.
func (w *world) dispatch(m *message) {
	w.lane += uint64(rapid.IntRange(1, 3).Draw(w.t, "lane"))
	m.lane = w.lane
	w.message = m
	w.held = append(w.held, dispatchedEvent(m.attempt, m.round, m.lane))
}

// actions are what may happen next.
func (w *world) actions() map[string]func(*rapid.T) {
	all := map[string]func(){
		"arrive": w.arrive, "repeat": w.repeat, "take": w.take, "progress": w.progress, "finish": w.finish,
		"hand back": w.handBack, "die": w.die, "grant": w.grant, "cancel": w.cancel, "retry": w.retry,
		"repair": w.repair, "move": w.move, "submit again": w.submitAgain, "delete": w.remove,
	}
	out := map[string]func(*rapid.T){}
	for name, act := range all {
		out[name] = func(t *rapid.T) {
			if w.t = t; !w.gone {
				act()
			}
		}
	}
	return out
}

func (w *world) arrive() {
	if len(w.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.held)-1).Draw(w.t, "held")
	e := w.held[i]
	w.held = slices.Delete(w.held, i, i+1)
	w.store(e)
}

func (w *world) repeat() {
	if len(w.past) > 0 {
		w.store(rapid.SampledFrom(w.past).Draw(w.t, "past"))
	}
}

// take is a delivery of the lane message: unchecked only where it is the first one.
func (w *world) take() {
	m := w.message
	if m == nil || w.holder != nil {
		return
	}
	m.deliveries++
	m.fence = max(m.fence, wire.FirstFence(m.lane))
	if m.deliveries > 1 || rapid.Bool().Draw(w.t, "checked") {
		if !w.check(m) {
			return
		}
		m.fence = wire.NextFence(m.lane, max(w.rec.Fence, m.fence))
	}
	hand := *m
	if rapid.IntRange(0, 9).Draw(w.t, "fate") == 0 {
		w.store(failedEvent(m.attempt, m.round, m.fence, true)) // past its deadline, or a poison
		w.message = nil
		return
	}
	w.holder = &hand
	w.store(w.start(m))
}

func (w *world) start(m *message) wire.Event {
	e := startedEvent(m.attempt, m.round, m.fence)
	e.Data.Task, e.Data.ControlSeq = w.task, m.control
	if m.retries > 0 {
		e.Data.Retries = new(m.retries)
	}
	return e
}

// check tells whether a delivery may run; what may not and will not is taken off the lane.
func (w *world) check(m *message) bool {
	r := w.rec
	switch {
	case r == nil || r.Meta.Round < m.round:
		return false // not stored yet
	case r.Meta.Round > m.round || r.Status.Ended() || r.Attempt > m.attempt || r.Fence/wire.FencePerLane > m.lane:
		w.message = nil
		return false
	case r.Status == wire.StatusRetrying && r.Attempt == m.attempt:
		w.schedule(r.Attempt+1, r.Retries, r.Meta.Round, r.Fence)
		w.message = nil
		return false
	}
	return r.Attempt == m.attempt || r.Status == wire.StatusRetrying
}

func (w *world) schedule(attempt, retries, round int, after uint64) {
	w.due = &message{attempt: attempt, retries: retries, round: round, fence: after, control: w.control}
}

// move puts a task that its taker cannot run into another lane; whoever takes it there checks.
func (w *world) move() {
	if m := w.message; m != nil && w.holder == nil && w.check(m) {
		w.dispatch(&message{attempt: m.attempt, retries: m.retries, round: m.round, control: m.control, deliveries: 1, moved: true})
	}
}

func (w *world) progress() {
	if h := w.holder; h != nil {
		w.store(progressEvent(h.attempt, h.round, h.fence))
	}
}

// outcome of a hand-out: what its pool would say.
func (w *world) outcome(h *message) wire.Event {
	if rapid.Bool().Draw(w.t, "completes") {
		return completedEvent(h.attempt, h.round, h.fence)
	}
	final := h.retries >= w.task.MaxRetries || rapid.IntRange(0, 3).Draw(w.t, "retryable") == 0
	return at(failedEvent(h.attempt, h.round, h.fence, final), w.now)
}

func (w *world) finish() {
	h := w.holder
	if h == nil {
		return
	}
	e := w.outcome(h)
	w.holder = nil
	if w.message != nil && w.message.lane == h.lane {
		w.message = nil
	}
	w.store(e)
	if e.Event == wire.EventFailed && !*e.Data.Final {
		w.schedule(h.attempt+1, h.retries+1, h.round, h.fence)
	}
}

func (w *world) handBack() {
	if h := w.holder; h != nil {
		w.holder = nil
		w.store(reassignedEvent(h.attempt, h.round, h.fence, rapid.SampledFrom([]string{wire.ReasonCrash, wire.ReasonDrain, wire.ReasonLease}).Draw(w.t, "why")))
	}
}

// die: worker, pool or host are gone; an outcome may be on its way.
func (w *world) die() {
	if h := w.holder; h != nil {
		w.holder = nil
		if rapid.Bool().Draw(w.t, "spoke") {
			w.held = append(w.held, w.outcome(h))
		}
	}
}

// grant is the scheduler's look at what fell due.
func (w *world) grant() {
	d := w.due
	if d == nil {
		return
	}
	w.due = nil
	r := w.rec
	if r == nil || r.Status != wire.StatusRetrying || r.Attempt+1 != d.attempt || r.Fence != d.fence || r.Meta.Round != d.round {
		return
	}
	w.dispatch(&message{attempt: d.attempt, retries: r.Retries, round: d.round, control: r.Meta.ControlSeq})
}

func (w *world) cancel() {
	if w.rec == nil || w.rec.Status.Ended() {
		return
	}
	w.control++
	e := cancelledEvent(w.rec.Meta.Round, w.control)
	if rapid.Bool().Draw(w.t, "slow") {
		w.held = append(w.held, e)
		return
	}
	w.store(e)
	if rapid.Bool().Draw(w.t, "taken back") {
		w.message = nil
	}
}

func (w *world) retry() {
	r := w.rec
	if r == nil || r.Status != wire.StatusFailed && r.Status != wire.StatusCancelled {
		return
	}
	attempt := r.Attempt
	if r.Status == wire.StatusFailed {
		attempt++
	}
	w.control = max(w.control, r.Meta.ControlSeq) + 1
	verdict, _ := w.store(retriedEvent(r.Meta.Round+1, w.control))
	require.Equal(w.t, wire.Applied, verdict)
	require.Equal(w.t, attempt, w.rec.Attempt)
	w.newRound()
}

func (w *world) repair() {
	r := w.rec
	if r == nil || r.Status.Ended() || rapid.IntRange(0, 3).Draw(w.t, "seldom") > 0 {
		return
	}
	verdict, _ := w.store(repairedEvent(r.Meta.Round + 1))
	require.Equal(w.t, wire.Applied, verdict)
	w.newRound()
}

// newRound leaves what ran before to itself.
func (w *world) newRound() {
	w.die()
	w.due = nil
	w.dispatch(&message{attempt: w.rec.Attempt, retries: w.rec.Retries, round: w.rec.Meta.Round, control: w.rec.Meta.ControlSeq})
}

func (w *world) submitAgain() {
	if w.rec == nil {
		return // the owner of an id is decided by the stream's order
	}
	e := submittedEvent()
	e.Data.SubmitSeq += 7
	want, told := wire.Duplicate, wire.EventDuplicate
	if rapid.Bool().Draw(w.t, "other content") {
		e.Data.Hash, want, told = "deadbeef", wire.Collision, wire.EventRejected
	}
	verdict, _ := w.store(e)
	require.Equal(w.t, want, verdict)
	w.store(wire.Event{Event: told})
}

func (w *world) remove() {
	if w.rec == nil || !w.rec.Status.Ended() || rapid.IntRange(0, 3).Draw(w.t, "seldom") > 0 {
		return
	}
	w.control = max(w.control, w.rec.Meta.ControlSeq) + 1
	verdict, _ := w.store(deletedEvent(w.control))
	require.Equal(w.t, wire.Deleted, verdict)
	require.Nil(w.t, w.rec)
	w.gone = true
}

// settle lets everything arrive and the task run to its end.
func (w *world) settle() {
	for len(w.held) > 0 {
		w.arrive()
	}
	if m := w.message; m != nil && m.moved && w.check(m) {
		require.Equal(w.t, m.lane, w.rec.Meta.LaneSeq, "the record knows where its message lies")
	}
	for step := 0; !w.rec.Status.Ended(); step++ {
		require.Less(w.t, step, 50, "stuck in %s", encoded(w.t, w.rec))
		switch {
		case w.holder != nil:
			w.finish()
		case w.message != nil:
			w.take()
		case w.due != nil:
			w.grant()
		default:
			w.store(repairedEvent(w.rec.Meta.Round + 1))
			w.newRound()
		}
	}
}
