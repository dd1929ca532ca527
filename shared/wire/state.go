package wire

// Verdict is what became of an event that was folded into a record.
type Verdict int

// The verdicts.
const (
	// Ignored: the event says nothing new about the task; it changes nothing.
	Ignored Verdict = iota
	// Applied: the record changed.
	Applied
	// Refused: an outcome that came too late, or of a hand-out that was given up. The
	// recorder publishes EventRefused with the reason.
	Refused
	// Duplicate: another submission with the same content under an id that exists. The
	// recorder publishes EventDuplicate.
	Duplicate
	// Collision: the same with other content; the scheduler rejects it.
	Collision
	// Deleted: the record is to be removed.
	Deleted
)

// Split makes one event per task of an event that concerns several.
func Split(e *Event) []Event {
	if e.Event != EventDispatched {
		return []Event{*e}
	}
	out := make([]Event, len(e.Data.IDs))
	seq, left := e.Data.First, e.Data.sizeAt(0)
	for i, id := range e.Data.IDs {
		for left == 0 {
			seq++
			left = e.Data.sizeAt(int(seq - e.Data.First))
		}
		left--
		one := Event{Seq: e.Seq, Timestamp: e.Timestamp, Event: EventDispatched, TaskID: id, Attempt: 1}
		one.Data = EventData{Lane: e.Data.Lane, LaneSeq: seq}
		if i < len(e.Data.Attempts) {
			one.Attempt = e.Data.Attempts[i]
		}
		if i < len(e.Data.Rounds) {
			one.Data.Round = e.Data.Rounds[i]
		}
		out[i] = one
	}
	return out
}

// sizeAt is how many tasks lie in the lane message First+k of a dispatched event.
func (d *EventData) sizeAt(k int) int {
	if k >= len(d.Sizes) {
		return 1
	}
	return max(d.Sizes[k], 0)
}

// Next folds one event of one task into its record: nil where there is none. It is a pure
// function: the record given is not changed, and the same events in the same order always
// give the same record. The reason goes with Refused. See the package documentation for
// the table of transitions.
func Next(rec *Record, e *Event, pos Position) (next *Record, verdict Verdict, reason string) {
	if rec == nil {
		return create(e, pos)
	}
	n := rec.Clone()
	switch e.Event {
	case EventSubmitted:
		return submittedAgain(rec, n, e, pos)
	case EventDispatched:
		return settle(rec, n, e, pos, dispatched(n, e))
	case EventScheduled:
		return settle(rec, n, e, pos, scheduled(n, e))
	case EventStarted:
		return settle(rec, n, e, pos, started(n, e))
	case EventProgress:
		return settle(rec, n, e, pos, progressed(n, e))
	case EventCompleted, EventFailed:
		verdict, reason = outcome(n, e)
		if verdict != Applied {
			return rec, verdict, reason
		}
		return settle(rec, n, e, pos, true)
	case EventReassigned:
		return settle(rec, n, e, pos, reassigned(n, e))
	case EventCancelled:
		return settle(rec, n, e, pos, cancelled(n, e))
	case EventDeleted:
		if rec.Status.Ended() && e.Data.ControlSeq > rec.Meta.ControlSeq {
			return nil, Deleted, ""
		}
		return rec, Ignored, ""
	case EventRefused, EventDuplicate, EventRejected:
		n.remember(pos)
		return n, Applied, ""
	}
	return rec, Ignored, ""
}

// settle finishes an applied event.
func settle(old, n *Record, e *Event, pos Position, applied bool) (*Record, Verdict, string) {
	if !applied {
		return old, Ignored, ""
	}
	n.Meta.UpdatedAt = max(n.Meta.UpdatedAt, e.Timestamp)
	if e.Event != EventProgress && e.Event != EventDispatched {
		n.remember(pos)
	}
	return n, Applied, ""
}

// remember notes where an event stands: the first one always, then the latest.
func (r *Record) remember(pos Position) {
	r.keepHistory(append(r.Meta.History, pos))
}

// keepHistory drops the second oldest place where there is one too many.
func (r *Record) keepHistory(h []Position) {
	if len(h) > HistoryLength {
		h = append(h[:1:1], h[2:]...)
		r.Meta.HistoryTruncated = true
	}
	r.Meta.History = h
}

// create makes a record: of a submission, or of a start that stands before its submission.
func create(e *Event, pos Position) (*Record, Verdict, string) {
	d := &e.Data
	switch {
	case e.Event == EventSubmitted && d.Task != nil:
		r := newRecord(e, e.Timestamp)
		if d.ScheduledFor > 0 {
			r.Status, r.ScheduledFor, r.Meta.DueAt = StatusScheduled, d.ScheduledFor, d.ScheduledFor
		}
		r.Meta.UpdatedAt = e.Timestamp
		r.remember(pos)
		return r, Applied, ""
	case e.Event == EventStarted && d.Task != nil && e.Timestamp.Sub(d.SubmittedAt) < YoungSubmission:
		r := newRecord(e, d.SubmittedAt)
		r.Meta.Early = true
		r.Attempt, r.Meta.Round, r.Meta.ControlSeq = e.Attempt, d.Round, d.ControlSeq
		if at := r.keepSchedule(); at > 0 {
			r.ScheduledFor, r.Meta.DueAt = at, at
		}
		if d.Retries != nil {
			r.Retries = *d.Retries
		}
		return settle(nil, r, e, pos, started(r, e))
	}
	return nil, Ignored, ""
}

func newRecord(e *Event, submitted Time) *Record {
	d := &e.Data
	if d.SubmittedAt > 0 {
		submitted = d.SubmittedAt
	}
	return &Record{
		ID: e.TaskID, Definition: Definition(*d.Task), Status: StatusPending, Attempt: 1, SubmittedAt: submitted,
		Meta: Meta{SubmitSeq: d.SubmitSeq, Member: d.Member, Hash: d.Hash, PayloadObject: d.PayloadObject, DueAt: submitted},
	}
}

func submittedAgain(rec, n *Record, e *Event, pos Position) (*Record, Verdict, string) {
	d := &e.Data
	switch {
	case d.SubmitSeq == rec.Meta.SubmitSeq && d.Member == rec.Meta.Member:
		if !rec.Meta.Early {
			return rec, Ignored, ""
		}
		n.Meta.Early = false
		n.keepHistory(append([]Position{pos}, n.Meta.History...))
		return n, Applied, ""
	case d.Hash == rec.Meta.Hash:
		return rec, Duplicate, ""
	}
	return rec, Collision, ""
}

func dispatched(n *Record, e *Event) bool {
	d := &e.Data
	if n.Status.Ended() || d.Round != n.Meta.Round || d.LaneSeq <= n.Meta.LaneSeq || e.Attempt != n.dueAttempt() {
		return false
	}
	n.Meta.LaneSeq = d.LaneSeq
	if n.Status != StatusInProgress { // else whoever had it is gone, and it was moved to another lane
		n.Status, n.Attempt = StatusPending, e.Attempt
	}
	return true
}

func scheduled(n *Record, e *Event) bool {
	d := &e.Data
	switch d.Reason {
	case ReasonDelay:
		return n.Status == StatusScheduled && d.SubmitSeq == n.Meta.SubmitSeq
	case ReasonManual:
		if n.Status != StatusFailed && n.Status != StatusCancelled || d.ControlSeq <= n.Meta.ControlSeq || d.Round != n.Meta.Round+1 {
			return false
		}
		if n.Status == StatusFailed {
			n.Attempt++
		}
		n.Retries, n.Meta.Crashes, n.Meta.ControlSeq = 0, 0, d.ControlSeq
		n.Error, n.FinishedAt, n.ExecutionTimeMs, n.WaitTimeMs, n.StartedAt = nil, 0, nil, nil, 0
		n.newRound(e)
		return true
	case ReasonRepair:
		if n.Status.Ended() || d.Round != n.Meta.Round+1 {
			return false
		}
		if n.Status == StatusRetrying {
			n.Attempt++
		}
		n.newRound(e)
		return true
	}
	return false
}

func (r *Record) newRound(e *Event) {
	r.Status, r.Worker, r.Pool, r.Progress = StatusPending, "", "", nil
	r.ScheduledFor, r.Meta.DueAt = e.Data.ScheduledFor, max(e.Data.ScheduledFor, e.Timestamp)
	r.Meta.Round, r.Meta.LaneSeq = e.Data.Round, 0
}

// dueAttempt is the attempt that runs or is to run next. A retry's grant may be recorded
// after its start, so a retrying task has its next attempt due already.
func (r *Record) dueAttempt() int {
	if r.Status == StatusRetrying {
		return r.Attempt + 1
	}
	return r.Attempt
}

func started(n *Record, e *Event) bool {
	d := &e.Data
	if n.Status.Ended() || d.SubmitSeq != n.Meta.SubmitSeq || d.Member != n.Meta.Member ||
		d.Round != n.Meta.Round || e.Attempt != n.dueAttempt() || d.Fence <= n.Fence {
		return false
	}
	if n.Status == StatusInProgress {
		n.Meta.Crashes++ // the earlier hand-out neither ended nor was handed back in order
	}
	due := max(d.DueAt, d.SubmittedAt)
	n.Status, n.Attempt, n.Fence, n.Worker, n.Pool = StatusInProgress, e.Attempt, d.Fence, e.WorkerID, e.Pool
	n.StartedAt, n.FinishedAt, n.Progress, n.ExecutionTimeMs = e.Timestamp, 0, nil, nil
	n.WaitTimeMs = new(max(int64(e.Timestamp-due), 0))
	n.Meta.LaneSeq = max(n.Meta.LaneSeq, d.LaneSeq)
	return true
}

// running tells whether the event is of the hand-out that runs.
func running(n *Record, e *Event) bool {
	return n.Status == StatusInProgress && e.Data.Fence == n.Fence && e.Data.Round == n.Meta.Round && e.Attempt == n.Attempt && sameWorker(n, e)
}

// sameWorker tells whether an event may be of the worker that the record has. A pool that was
// cut off stores starts late; until then another may have given the same fence, to its own worker.
func sameWorker(n *Record, e *Event) bool {
	return e.WorkerID == "" || n.Worker == "" || e.WorkerID == n.Worker
}

func progressed(n *Record, e *Event) bool {
	d := &e.Data
	if !running(n, e) || d.Percent == nil && d.Message == "" {
		return false
	}
	n.Progress = &Progress{Percent: d.Percent, Message: d.Message}
	return true
}

// outcome applies the end of an attempt, or says why it is refused.
func outcome(n *Record, e *Event) (Verdict, string) {
	d := &e.Data
	if repeated(n, e) {
		return Ignored, ""
	}
	if reason := lateness(n, e); reason != "" {
		if d.Fence == 0 {
			return Ignored, "" // the scheduler's word on a deadline: no hand-out is late
		}
		return Refused, reason
	}
	if e.Event == EventCompleted {
		complete(n, e)
	} else {
		fail(n, e)
	}
	return Applied, ""
}

// lateness says why an outcome does not count; empty where it does.
func lateness(n *Record, e *Event) string {
	d := &e.Data
	switch {
	case n.Status.Ended():
		return "the task is " + string(n.Status) + " already"
	case d.Round != n.Meta.Round:
		return "a newer round of the task has begun"
	case d.Fence < n.Fence && d.Fence != 0:
		return "the task was handed out again since"
	case d.Fence == n.Fence && n.Fence != 0 && n.Status != StatusInProgress:
		return "the hand-out was given up"
	case d.Fence == n.Fence && n.Fence != 0 && !sameWorker(n, e):
		return "the task was handed to another worker"
	case d.Fence == 0 && n.Status == StatusInProgress:
		return "the task runs"
	case e.Event == EventCompleted && (d.Fence != n.Fence || d.Fence == 0):
		return "the hand-out was never recorded"
	case d.Fence != 0 && e.Attempt != n.dueAttempt():
		return "another attempt of the task is due"
	}
	return ""
}

// repeated tells whether the outcome is the one that was recorded.
func repeated(n *Record, e *Event) bool {
	d := &e.Data
	if d.Round != n.Meta.Round || d.Fence != n.Fence {
		return false
	}
	if e.Event == EventCompleted {
		return n.Status == StatusCompleted && sameWorker(n, e)
	}
	return n.Error != nil && d.Error != nil && n.Error.At == d.Error.At && n.Error.Attempt == d.Error.Attempt
}

func complete(n *Record, e *Event) {
	n.Status, n.FinishedAt, n.ExecutionTimeMs = StatusCompleted, e.Timestamp, e.Data.ExecutionTimeMs
	n.Result, n.Meta.ResultObject, n.Error = e.Data.Result, e.Data.ResultObject, nil
	n.ScheduledFor = n.keepSchedule()
	if n.Progress != nil {
		n.Progress = &Progress{Percent: new(100.0), Message: n.Progress.Message}
	}
}

// keepSchedule is the time a delayed first attempt was scheduled for; that of a retry is over.
func (r *Record) keepSchedule() Time {
	return r.Definition.ScheduledFor(r.SubmittedAt)
}

func fail(n *Record, e *Event) {
	d := &e.Data
	n.Error, n.ExecutionTimeMs = d.Error, d.ExecutionTimeMs
	if d.Fence != 0 {
		n.Fence, n.Attempt = d.Fence, e.Attempt // a taker that does not start the task comes first here
	}
	final := d.Final == nil || *d.Final || n.Retries >= n.MaxRetries
	if final {
		n.Status, n.FinishedAt, n.ScheduledFor = StatusFailed, e.Timestamp, n.keepSchedule()
		return
	}
	n.Status, n.Retries = StatusRetrying, n.Retries+1
	n.ScheduledFor, n.Meta.DueAt = d.NextAttemptAt, d.NextAttemptAt
	n.Worker, n.Pool = "", ""
}

func reassigned(n *Record, e *Event) bool {
	d := &e.Data
	if !running(n, e) {
		return false
	}
	if d.Reason == ReasonCrash {
		n.Meta.Crashes++
	}
	n.Status, n.Worker, n.Pool, n.Progress = StatusPending, "", "", nil
	n.Meta.DueAt = e.Timestamp
	return true
}

func cancelled(n *Record, e *Event) bool {
	d := &e.Data
	if n.Status.Ended() || d.Round != n.Meta.Round || d.ControlSeq <= n.Meta.ControlSeq {
		return false
	}
	n.Attempt = n.dueAttempt() // the one before it has failed: a manual retry must not run it anew
	n.Status, n.FinishedAt, n.Meta.ControlSeq = StatusCancelled, e.Timestamp, d.ControlSeq
	return true
}
