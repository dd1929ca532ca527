package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// failure is why an attempt failed.
type failure struct {
	code       wire.ErrorCode
	message    string
	retryable  bool
	retryAfter *int64
}

// Line implements fleet.Owner.
func (r *Runner) Line(w *fleet.Worker, j fleet.Job, l *wire.LineFromWorker) {
	a, ok := j.(*attempt)
	if !ok {
		return
	}
	switch l.Op {
	case wire.OpProgress:
		r.progressed(a, w, l)
	case wire.OpLog:
		r.logged(a, w, l)
	default:
		r.yielded(a, w, l)
	}
}

// yielded takes the line that ends an attempt.
func (r *Runner) yielded(a *attempt, w *fleet.Worker, l *wire.LineFromWorker) {
	r.mu.Lock()
	if a.phase != running || a.worker != w {
		r.mu.Unlock()
		removeResult(l)
		return
	}
	why := a.stop
	if why == stopLease || !a.hold.Valid() {
		r.yieldedLate(a)
		r.mu.Unlock()
		removeResult(l)
		return
	}
	a.lastProgress = a.progress.end()
	r.end(a)
	r.mu.Unlock()
	r.count(a)
	switch {
	case why == stopTimeout || why == stopDeadline:
		removeResult(l)
		r.fail(a, overTime(a, why))
	case l.Op == wire.OpResult:
		r.complete(a, l)
	case why == stopCancel:
		r.flushLogs(a, func() { a.hold.Ack(func() { r.done(a) }) })
	default:
		r.fail(a, failure{code: wire.CodeHandler, message: l.Message, retryable: l.Retryable, retryAfter: l.RetryAfterMs})
	}
}

// yieldedLate forgets an attempt that has ended without a lease: its outcome does not
// count. It needs the lock.
func (r *Runner) yieldedLate(a *attempt) {
	a.hold.Drop()
	if a.told && a.stop != stopLease {
		r.cfg.Events.PublishAsync(nil, a.event(wire.EventReassigned, wire.EventData{Reason: wire.ReasonLease}))
	}
	r.forget(a)
}

func (r *Runner) count(a *attempt) {
	took := time.Since(a.sentAt)
	r.finished.Add(1)
	r.busyUs.Add(took.Microseconds())
	r.service.add(a.env.Task.Type, took)
}

func overTime(a *attempt, why stop) failure {
	if why == stopDeadline {
		return failure{code: wire.CodeDeadline, message: "the task is past its deadline"}
	}
	limit := time.Duration(a.env.Task.TimeoutMs) * time.Millisecond
	return failure{code: wire.CodeTimeout, message: "the attempt is over its timeout of " + limit.String(), retryable: true}
}

// complete stores a result.
func (r *Runner) complete(a *attempt, l *wire.LineFromWorker) {
	d := wire.EventData{}
	a.times(&d)
	if l.ResultFile == "" && len(l.Result) <= wire.MaxInlineResult {
		d.Result = compact(l.Result)
		r.store(a, a.event(wire.EventCompleted, d), nil)
		return
	}
	r.spawn(func() {
		name := wire.ResultObject(a.env.ID, a.fence)
		err := r.upload(a, name, l)
		switch {
		case err == nil:
			d.ResultObject = name
			r.store(a, a.event(wire.EventCompleted, d), nil)
		case errors.Is(err, errUnreadable):
			r.fail(a, failure{code: wire.CodeHandler, message: err.Error(), retryable: true})
		default:
			r.cfg.Log.Error("a result could not be stored while the lease lasted", obs.KeyTaskID, a.env.ID, obs.Err(err))
			// Said, so that others do not wait for a worker that lives and has nothing more to do.
			r.cfg.Events.PublishAsync(nil, a.event(wire.EventReassigned, wire.EventData{Reason: wire.ReasonLease}))
			a.hold.Drop()
			r.done(a)
		}
	})
}

// times adds how long the attempt took and had waited.
func (a *attempt) times(d *wire.EventData) {
	d.ExecutionTimeMs = new(time.Since(a.sentAt).Milliseconds())
	d.WaitTimeMs = new(max(int64(a.startedAt-max(a.env.DueAt, a.env.SubmittedAt)), 0))
}

// compact takes white space out of a result, which the record would carry along.
func compact(result json.RawMessage) json.RawMessage {
	if len(result) == 0 || string(result) == "null" {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, result) != nil {
		return result
	}
	return b.Bytes()
}

// fail stores a failed attempt, and then its next one where there is one.
func (r *Runner) fail(a *attempt, f failure, before ...wire.Event) {
	env := a.env
	at := wire.Now()
	final := !f.retryable || env.Retries >= env.Task.MaxRetries
	d := wire.EventData{
		Final: &final, Retries: new(env.Retries), MaxRetries: new(env.Task.MaxRetries),
		Error: &wire.TaskError{Message: f.message, Code: f.code, Attempt: env.Attempt, At: at},
	}
	if !a.sentAt.IsZero() {
		a.times(&d)
	}
	var next *wire.Envelope
	if !final {
		delay := env.Task.Backoff.Delay(env.ID, env.Retries+1)
		if f.retryAfter != nil {
			delay = time.Duration(*f.retryAfter) * time.Millisecond
		}
		d.Retries, d.NextAttemptAt = new(env.Retries+1), at.Add(delay)
		n := *env
		n.Attempt, n.Retries, n.After, n.DueAt = env.Attempt+1, env.Retries+1, a.fence, d.NextAttemptAt
		next = &n
	}
	e := a.event(wire.EventFailed, d)
	e.Timestamp = at
	r.store(a, e, next, before...)
}

// failBeforeStart ends a task that is not handed to a worker, while it is still looked at.
// Such an end is always final; a missing payload does not come back.
func (r *Runner) failBeforeStart(a *attempt, code wire.ErrorCode, message string, quiet bool) {
	r.mu.Lock()
	if a.phase != checking {
		r.mu.Unlock()
		return
	}
	r.end(a)
	r.mu.Unlock()
	if !quiet {
		r.cfg.Log.Warn("a task ends before its start", obs.KeyTaskID, a.env.ID, "reason", message)
	}
	r.fail(a, failure{code: code, message: message})
}

// store stores an outcome, then the schedule of the next attempt, and only then
// acknowledges the lane message.
func (r *Runner) store(a *attempt, e wire.Event, next *wire.Envelope, before ...wire.Event) {
	r.flushLogs(a, func() {
		events := before
		if a.lastProgress != nil {
			events = append(events, a.event(wire.EventProgress, *a.lastProgress))
		}
		r.cfg.Events.PublishAsync(func(err error) {
			switch {
			case err != nil:
				r.cfg.Log.Error("an outcome could not be stored", obs.KeyTaskID, a.env.ID, obs.Err(err))
				a.hold.Drop()
				r.done(a)
			case next == nil:
				r.acknowledge(a)
			default:
				r.spawn(func() { r.scheduleNext(a, next) })
			}
		}, append(events, e)...)
	})
}

func (r *Runner) scheduleNext(a *attempt, next *wire.Envelope) {
	if err := r.schedule(next); err != nil {
		// Not acknowledged: its taker finds the record retrying and publishes the schedule.
		r.cfg.Log.Warn("a retry is not scheduled yet", obs.KeyTaskID, next.ID, obs.Err(err))
		a.hold.Drop()
		r.done(a)
		return
	}
	r.acknowledge(a)
}

// acknowledge removes the lane message of an outcome that is stored. The servers say yes to
// extensions and acknowledgements of an ex-holder too, and where a consumer has changed its
// leader they may have forgotten an extension and given the message to another pool. On
// replicated lanes what was held for long is therefore acknowledged only once the record
// shows that the outcome counts: else the message is the other's, and runs the task if that dies.
func (r *Runner) acknowledge(a *attempt) {
	r.mu.Lock()
	replicated := r.epoch.IsZero()
	r.mu.Unlock()
	if !replicated || time.Since(a.since) < r.cfg.Keeper.Lease()/2 {
		a.hold.Ack(func() { r.done(a) })
		return
	}
	r.checks.Go(func(_ int, rec *wire.Record, err error) {
		if err == nil && !superseded(a, rec) {
			a.hold.Ack(func() { r.done(a) })
			return
		}
		if err == nil { // else this process ends
			r.cfg.Log.Info("the message of a refused outcome is left to its holder", obs.KeyTaskID, a.env.ID, obs.KeyFence, a.fence)
		}
		a.hold.Drop()
		r.done(a)
	}, a.env.ID)
}

// superseded tells whether a later hand-out of the same attempt has the task and has not
// ended it.
func superseded(a *attempt, rec *wire.Record) bool {
	return rec != nil && rec.Meta.Round == a.env.Round && rec.Attempt == a.env.Attempt && rec.Fence > a.fence && !rec.Status.Ended()
}

// schedule publishes the next run of a task.
func (r *Runner) schedule(next *wire.Envelope) error {
	if len(next.Payload) > wire.MaxInlineLater && next.PayloadObject == "" {
		name := wire.PayloadObject(next.ID)
		if err := natsx.PutObject(r.ctx, r.cfg.JS, r.cfg.Objects, name, next.Payload); err != nil {
			return fmt.Errorf("store the payload of a retry: %w", err)
		}
		next.PayloadObject = name
	}
	if next.PayloadObject != "" {
		next.Payload = nil
	}
	due := next.DueAt.Time()
	m := nats.NewMsg(wire.LaterRunSubject(next.ID, next.After))
	m.Header.Set(wire.HeaderMsgID, m.Subject)
	m.Header.Set(wire.HeaderSchedule, "@at "+due.Format(time.RFC3339Nano))
	m.Header.Set(wire.HeaderScheduleTarget, wire.DueRunSubject(next.ID))
	if time.Until(due) < wire.ScheduleFloor {
		id := m.Subject
		m = nats.NewMsg(wire.DueRunSubject(next.ID))
		m.Header.Set(wire.HeaderMsgID, id)
		m.Header.Set(wire.HeaderNotBefore, next.DueAt.String())
	}
	m.Data = next.Encode()
	_, err := r.cfg.Pub.Publish(r.ctx, m)
	return err
}

var errUnreadable = errors.New("the result file cannot be read")

// upload stores a large result; it tries again while the lease lasts.
func (r *Runner) upload(a *attempt, name string, l *wire.LineFromWorker) error {
	defer removeResult(l)
	for {
		err := r.uploadOnce(name, l)
		if err == nil || errors.Is(err, errUnreadable) || !a.hold.Valid() {
			return err
		}
		select {
		case <-r.ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *Runner) uploadOnce(name string, l *wire.LineFromWorker) error {
	if l.ResultFile == "" {
		return natsx.PutObject(r.ctx, r.cfg.JS, r.cfg.Objects, name, l.Result)
	}
	body, err := os.ReadFile(l.ResultFile)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if !json.Valid(body) {
		return fmt.Errorf("%w: it is not JSON", errUnreadable)
	}
	return natsx.PutObject(r.ctx, r.cfg.JS, r.cfg.Objects, name, body)
}

// removeResult removes the file of a large result.
func removeResult(l *wire.LineFromWorker) {
	if l.ResultFile != "" {
		_ = os.Remove(l.ResultFile) // it is the worker's; what cannot be removed stays
	}
}
