package proc

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"

	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// InProcess runs handlers in this process: the same pool without processes. A handler that
// does not end when its context does cannot be killed; its worker is given up instead.
type InProcess struct {
	Mux *worker.Mux
}

// Launch starts a worker.
func (p *InProcess) Launch(_ string, h Handler) (Worker, error) {
	w := &inProcess{mux: p.Mux, cancels: map[string]context.CancelCauseFunc{}, lines: make(chan wire.LineFromWorker, 64), end: make(chan Exit, 1)}
	go w.run(h)
	return w, nil
}

type inProcess struct {
	mux   *worker.Mux
	lines chan wire.LineFromWorker
	end   chan Exit

	mu       sync.Mutex
	cancels  map[string]context.CancelCauseFunc
	active   int
	draining bool
	gone     chan struct{} // closed when the worker has ended
}

var errKilled = errors.New("the worker was killed")

func (w *inProcess) PID() int { return os.Getpid() }

// run passes lines on until the end; what was said before counts.
func (w *inProcess) run(h Handler) {
	_ = h.Line(&wire.LineFromWorker{Op: wire.OpReady, Protocol: wire.LineProtocol, Types: w.mux.Types()})
	for {
		select {
		case l := <-w.lines:
			_ = h.Line(&l) // these lines are our own
		case e := <-w.end:
			w.finish()
			for len(w.lines) > 0 {
				l := <-w.lines
				_ = h.Line(&l)
			}
			h.Exited(e)
			return
		}
	}
}

func (w *inProcess) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.done())
	for _, cancel := range w.cancels {
		cancel(errKilled)
	}
}

// done needs the lock.
func (w *inProcess) done() chan struct{} {
	if w.gone == nil {
		w.gone = make(chan struct{})
	}
	return w.gone
}

func (w *inProcess) Kill() { w.exit(Exit{Code: -1, Signal: "killed"}) }

func (w *inProcess) exit(e Exit) {
	select {
	case w.end <- e:
	default:
	}
}

func (w *inProcess) Send(l *wire.LineToWorker) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.done():
		return ErrGone
	default:
	}
	switch l.Op {
	case wire.OpTask:
		ctx, cancel := context.WithCancelCause(context.Background())
		w.cancels[l.ID] = cancel
		w.active++
		go w.attempt(ctx, *l, w.gone)
	case wire.OpCancel:
		if cancel, ok := w.cancels[l.ID]; ok {
			cancel(&worker.CancelError{Reason: l.Reason})
		}
	case wire.OpDrain:
		w.draining = true
		w.endIfDrained()
	}
	return nil
}

// attempt is a goroutine of its own.
func (w *inProcess) attempt(ctx context.Context, l wire.LineToWorker, gone <-chan struct{}) {
	say := func(out wire.LineFromWorker) {
		out.ID = l.ID
		select {
		case w.lines <- out:
		case <-gone:
		}
	}
	then := func(result json.RawMessage, err error) {
		outcome := wire.LineFromWorker{Op: wire.OpResult, Result: result}
		if err != nil {
			outcome = failure(err)
		}
		w.ended(l.ID, func() { say(outcome) })
	}
	if h, ok := w.mux.Lookup(l.Type); ok {
		worker.ExecuteHere(ctx, h, worker.NewTask(&l, reporter(say)), then)
		return
	}
	then(nil, errors.New("no handler for the type "+l.Type))
}

// ended tells the outcome of an attempt.
func (w *inProcess) ended(id string, tell func()) {
	w.mu.Lock()
	w.cancels[id](nil)
	delete(w.cancels, id)
	w.mu.Unlock()
	tell()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
	w.endIfDrained()
}

// endIfDrained needs the lock.
func (w *inProcess) endIfDrained() {
	if w.draining && w.active == 0 {
		w.exit(Exit{})
	}
}

func failure(err error) wire.LineFromWorker {
	f := worker.FailureOf(err)
	return wire.LineFromWorker{Op: wire.OpError, Message: f.Message, Retryable: f.Retryable, RetryAfterMs: f.RetryAfterMs}
}

// reporter turns what a task says into lines.
type reporter func(wire.LineFromWorker)

func (r reporter) Progress(percent *float64, message string) {
	r(wire.LineFromWorker{Op: wire.OpProgress, Percent: percent, Message: message})
}

func (r reporter) Log(level, message string) {
	r(wire.LineFromWorker{Op: wire.OpLog, Level: level, Message: message})
}
