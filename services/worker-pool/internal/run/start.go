package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/proc"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// inlineLimit is the longest payload that is sent in a line; the rest of the line is small.
const inlineLimit = wire.MaxLine - 64<<10

// prepare fetches a payload that lies elsewhere, then looks for a slot.
func (r *Runner) prepare(a *attempt) {
	if a.env.PayloadObject == "" || a.payloadFile != "" || a.env.Payload != nil {
		r.admit(a)
		return
	}
	r.spawn(func() {
		err := r.fetch(a)
		switch {
		case err == nil:
			r.admit(a)
		case errors.Is(err, jetstream.ErrObjectNotFound):
			r.failBeforeStart(a, wire.CodeHandler, "the payload is gone: "+err.Error(), false)
		case errors.Is(err, errCorrupt):
			r.failBeforeStart(a, wire.CodeHandler, err.Error(), false)
		default:
			r.cfg.Log.Warn("a payload cannot be fetched yet", obs.KeyTaskID, a.env.ID, obs.Err(err))
			r.handBack(a, checking, time.Second)
		}
	})
}

const (
	// fetchTime is how long the reading of a payload may take in all.
	fetchTime = 2 * time.Minute
	// fetchAnswer is how long the first try waits for an answer.
	fetchAnswer = 2 * time.Second
	// corruptLeases is for how many leases a payload that differs from its digest may be one
	// that a replica which lags has not got whole.
	corruptLeases = 4
)

// fetch reads the payload: in place where it fits a line, else into a file.
func (r *Runner) fetch(a *attempt) error {
	ctx, cancel := context.WithTimeout(r.ctx, fetchTime)
	defer cancel()
	var info *jetstream.ObjectInfo
	err := tryAgain(ctx, fetchAnswer, func(ctx context.Context) (err error) {
		info, err = natsx.ObjectInfo(ctx, r.cfg.JS, r.cfg.Objects, a.env.PayloadObject)
		return err
	})
	if err == nil {
		mebibytes := time.Duration(info.Size >> 20)
		err = tryAgain(ctx, fetchAnswer+mebibytes*time.Second, func(ctx context.Context) error { return r.download(ctx, a, info.Size) })
		if errors.Is(err, jetstream.ErrDigestMismatch) && time.Since(info.ModTime) > corruptLeases*r.cfg.Keeper.Lease() {
			err = fmt.Errorf("%w: what was stored is not what its description says", errCorrupt)
		}
	}
	if err != nil {
		return fmt.Errorf("read object %s: %w", a.env.PayloadObject, err)
	}
	return nil
}

// tryAgain repeats what ran out of time, each time with twice as much, while ctx lasts: what
// is asked of a server that goes away at that moment is never answered.
func tryAgain(ctx context.Context, first time.Duration, f func(context.Context) error) error {
	for wait := first; ; wait *= 2 {
		one, cancel := context.WithTimeout(ctx, wait)
		err := f(one)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
	}
}

// errCorrupt is that a payload differs from its digest, long after it was stored.
var errCorrupt = errors.New("the payload is corrupt")

// errLagging is that an object which is there was not found: a replica answered that lags.
var errLagging = errors.New("it is not on every server yet")

func (r *Runner) download(ctx context.Context, a *attempt, size uint64) error {
	obj, err := r.cfg.Objects.Get(ctx, a.env.PayloadObject)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return errLagging
	}
	if err != nil {
		return err
	}
	defer obj.Close() //nolint:errcheck // only read
	if size <= inlineLimit {
		b, err := io.ReadAll(obj)
		if err != nil {
			return err
		}
		r.mu.Lock()
		a.env.Payload = b
		r.mu.Unlock()
		return nil
	}
	f, err := os.CreateTemp(r.cfg.TempDir, "batuta-payload-*.json")
	if err != nil {
		return fmt.Errorf("store a large payload: %w", err)
	}
	_, err = f.ReadFrom(obj)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("store a large payload: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.phase == over {
		return os.Remove(f.Name())
	}
	a.payloadFile = f.Name()
	return nil
}

// admit looks for a slot; without one the attempt waits for at most a lease.
func (r *Runner) admit(a *attempt) {
	r.mu.Lock()
	if a.phase != checking {
		r.mu.Unlock()
		return
	}
	switch deadline := a.env.Task.Deadline; {
	case r.draining:
		r.mu.Unlock()
		r.handBack(a, checking, 0)
		return
	case a.stop == stopCancel:
		r.mu.Unlock()
		r.drop(a, checking)
		return
	case deadline > 0 && wire.Now() >= deadline:
		r.mu.Unlock()
		r.failBeforeStart(a, wire.CodeDeadline, "the task is past its deadline", true)
		return
	}
	a.waitSince = time.Now()
	if r.place(a) {
		r.mu.Unlock()
		r.begin(a)
		return
	}
	a.phase = waiting
	r.waiting = append(r.waiting, a)
	r.reserve()
	r.mu.Unlock()
}

// begin stores the start of an attempt that has a slot, and hands it to the worker: at once
// where this is the first hand-out, else only when the start is stored as the only one of its
// fence, so that no fence is used twice, and after a check only when it counts.
func (r *Runner) begin(a *attempt) {
	if !a.worker.Offers(a.env.Task.Type) {
		r.refuseType(a)
		return
	}
	r.mu.Lock()
	if a.phase != starting {
		r.mu.Unlock()
		return
	}
	e, atOnce, confirm, handOut := a.started(), a.unchecked, a.confirm, a.handOut
	a.unchecked = false
	r.mu.Unlock()
	if atOnce {
		r.cfg.Events.PublishAsync(nil, e)
		r.deliver(a, handOut)
		return
	}
	r.cfg.Events.PublishFirst(wire.StartID(a.env.ID, e.Data.Fence), e, func(first bool, err error) {
		switch {
		case err != nil: // only while this process ends
		case first && confirm:
			r.confirmStart(a, handOut)
		case first:
			r.deliver(a, handOut)
		default:
			r.taken(a, handOut)
		}
	})
}

// taken gives an attempt up whose fence another pool has used first: a server that was
// killed forgot that it had delivered the message, and both asked the recorder at the same
// moment. Nothing is said of it: the other one holds the message now.
func (r *Runner) taken(a *attempt, handOut int) {
	r.mu.Lock()
	if a.phase != starting || a.handOut != handOut {
		r.mu.Unlock()
		return
	}
	w := a.worker
	r.forget(a)
	r.mu.Unlock()
	a.hold.Drop()
	r.cfg.Log.Info("another pool has begun this hand-out", obs.KeyTaskID, a.env.ID, obs.KeyFence, a.fence)
	r.fleet.Remove(w, a)
	r.cfg.Wake()
}

func (r *Runner) refuseType(a *attempt) {
	r.mu.Lock()
	w := a.worker
	if a.phase != starting {
		r.mu.Unlock()
		return
	}
	e := a.started()
	a.sentAt = time.Now()
	r.end(a)
	r.mu.Unlock()
	r.fleet.Remove(w, a)
	r.fail(a, failure{
		code: wire.CodeUnknownType, retryable: true,
		message: fmt.Sprintf("the workers of pool %s do not offer the type %s", r.cfg.Pool, a.env.Task.Type),
	}, e)
}

// deliver hands the task to its worker.
func (r *Runner) deliver(a *attempt, handOut int) {
	r.mu.Lock()
	if a.phase != starting || a.handOut != handOut {
		r.mu.Unlock()
		return
	}
	w := a.worker
	if a.stop == stopCancel {
		r.mu.Unlock()
		r.drop(a, starting)
		r.fleet.Remove(w, a)
		return
	}
	if !a.hold.Valid() {
		r.mu.Unlock()
		return // the keeper tells leaseLost
	}
	a.phase, a.sentAt = running, time.Now()
	limit := time.Duration(a.env.Task.TimeoutMs) * time.Millisecond
	why := stopTimeout
	if d := a.env.Task.Deadline; d > 0 {
		if left := time.Until(d.Time()); left < limit {
			limit, why = max(left, 0), stopDeadline
		}
	}
	a.timer = time.AfterFunc(limit, func() { r.stopRunning(a, handOut, why) })
	line := &wire.LineToWorker{
		Op: wire.OpTask, ID: a.env.ID, Type: a.env.Task.Type, Attempt: a.env.Attempt, Fence: a.fence, Payload: a.env.Payload,
		PayloadFile: a.payloadFile, TimeoutMs: a.env.Task.TimeoutMs, Tags: a.env.Task.Tags,
	}
	r.mu.Unlock()
	r.send(a, w, line)
}

// send gives a line to a worker. A worker that is gone is reported by the fleet.
func (r *Runner) send(a *attempt, w *fleet.Worker, line *wire.LineToWorker) {
	err := w.Send(line)
	if err == nil || errors.Is(err, proc.ErrGone) {
		return
	}
	if errors.Is(err, wire.ErrLineTooLong) {
		if err = r.spill(a, line); err == nil {
			err = w.Send(line)
		}
	}
	if err != nil && !errors.Is(err, proc.ErrGone) {
		r.cfg.Log.Error("a task cannot be handed to its worker", obs.KeyTaskID, a.env.ID, obs.Err(err))
		w.Kill(a, "a task could not be handed over: "+err.Error())
	}
}

// spill writes a payload to a file that does not fit the line after all.
func (r *Runner) spill(a *attempt, line *wire.LineToWorker) error {
	f, err := os.CreateTemp(r.cfg.TempDir, "batuta-payload-*.json")
	if err != nil {
		return fmt.Errorf("store a large payload: %w", err)
	}
	_, err = f.Write(line.Payload)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("store a large payload: %w", err)
	}
	r.mu.Lock()
	a.payloadFile = f.Name()
	r.mu.Unlock()
	line.Payload, line.PayloadFile = nil, f.Name()
	return nil
}
