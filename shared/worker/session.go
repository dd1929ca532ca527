package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// session is one run of a worker.
type session struct {
	w   *Worker
	log *slog.Logger
	in  *wire.PoolLineReader
	out *outbox
	end chan error // the first reason to end wins

	mu       sync.Mutex
	cancels  map[string]context.CancelCauseFunc // by task
	active   int                                // attempts whose outcome is not written yet
	draining bool
}

func newSession(w *Worker, in io.Reader, out io.Writer) *session {
	return &session{
		w: w, log: w.opts.Logger, in: wire.NewPoolLineReader(in), out: newOutbox(out),
		end: make(chan error, 1), cancels: map[string]context.CancelCauseFunc{},
	}
}

func (s *session) run(ctx context.Context, ready *wire.LineFromWorker, beat time.Duration) error {
	s.send(ready)
	stop := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() { s.heartbeats(beat, stop) })
	defer beats.Wait()
	defer close(stop)
	defer context.AfterFunc(ctx, s.drain)()
	// The reader cannot be called back from a read of stdin; it ends with the process.
	go s.read(context.WithoutCancel(ctx))

	err := <-s.end
	if err == nil {
		s.out.flush()
		return nil
	}
	s.abandon()
	if errors.Is(err, ErrPoolGone) {
		s.w.opts.Exit(0)
	}
	return err
}

// abandon gives up what runs, since nobody will hear of it.
func (s *session) abandon() {
	s.mu.Lock()
	for _, cancel := range s.cancels {
		cancel(ErrPoolGone)
	}
	s.mu.Unlock()
	if s.w.opts.BeforeExit != nil {
		s.w.opts.BeforeExit()
	}
}

func (s *session) finish(err error) {
	select {
	case s.end <- err:
	default:
	}
}

func (s *session) heartbeats(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			s.send(&wire.LineFromWorker{Op: wire.OpHeartbeat})
		}
	}
}

// send writes a line that is known to fit; a pool that cannot be written to is gone.
func (s *session) send(l *wire.LineFromWorker) {
	line, err := l.Append(nil)
	if err != nil {
		s.log.Error("a line was not sent", "op", l.Op, "task_id", l.ID, "err", err)
		return
	}
	s.write(line)
}

func (s *session) write(line []byte) {
	if err := s.out.write(line); err != nil {
		s.finish(fmt.Errorf("%w: write to stdout: %w", ErrPoolGone, err))
	}
}

func (s *session) read(ctx context.Context) {
	for {
		l, err := s.in.Next()
		var broken *wire.ProtocolError
		switch {
		case errors.As(err, &broken):
			s.finish(fmt.Errorf("a line from the pool: %w", err))
			return
		case err != nil:
			s.finish(fmt.Errorf("%w: read stdin: %w", ErrPoolGone, err))
			return
		case l.Op == wire.OpTask:
			s.start(ctx, &l)
		case l.Op == wire.OpCancel:
			s.cancel(&l)
		case l.Op == wire.OpDrain:
			s.drain()
		}
	}
}

func (s *session) start(ctx context.Context, l *wire.LineToWorker) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	if _, running := s.cancels[l.ID]; running {
		s.mu.Unlock()
		cancel(nil)
		s.log.Error("the pool handed out a task that runs here already", "task_id", l.ID)
		return
	}
	s.cancels[l.ID] = cancel
	s.active++
	s.mu.Unlock()
	go s.attempt(ctx, cancel, l)
}

// attempt is a goroutine of its own.
func (s *session) attempt(ctx context.Context, cancel context.CancelCauseFunc, l *wire.LineToWorker) {
	then := func(result json.RawMessage, err error) { s.ended(l.ID, cancel, s.outcome(l.ID, result, err)) }
	if h, ok := s.w.mux.Lookup(l.Type); ok {
		ExecuteHere(ctx, h, NewTask(l, reporter{s, l.ID}), then)
		return
	}
	then(nil, fmt.Errorf("this worker has no handler for the type %q", l.Type))
}

// ended tells the outcome of an attempt.
func (s *session) ended(id string, cancel context.CancelCauseFunc, outcome []byte) {
	cancel(nil)
	// The pool may hand the task out again as soon as it has read the outcome.
	s.mu.Lock()
	delete(s.cancels, id)
	s.mu.Unlock()
	s.write(outcome)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.endIfDrained()
}

// outcome makes the line that ends an attempt.
func (s *session) outcome(id string, result json.RawMessage, err error) []byte {
	l := &wire.LineFromWorker{Op: wire.OpResult, ID: id, Result: result}
	if err != nil {
		l = failureLine(id, err)
	}
	line, err := l.Append(nil)
	if errors.Is(err, wire.ErrLineTooLong) {
		line, err = s.resultFile(id, result)
	}
	if err != nil {
		line, _ = failureLine(id, err).Append(nil) // a clipped message fits
	}
	return line
}

func failureLine(id string, err error) *wire.LineFromWorker {
	f := FailureOf(err)
	return &wire.LineFromWorker{
		Op: wire.OpError, ID: id, Message: f.Message, Retryable: f.Retryable, RetryAfterMs: f.RetryAfterMs,
	}
}

// resultFile writes a result that is too long for a line; the pool removes the file.
func (s *session) resultFile(id string, result json.RawMessage) ([]byte, error) {
	f, err := os.CreateTemp(s.w.opts.TempDir, "batuta-result-*.json")
	if err != nil {
		return nil, fmt.Errorf("store a large result: %w", err)
	}
	_, err = f.Write(result)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("store a large result: %w", err)
	}
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return nil, fmt.Errorf("store a large result: %w", err)
	}
	l := wire.LineFromWorker{Op: wire.OpResult, ID: id, ResultFile: path}
	return l.Append(nil)
}

func (s *session) cancel(l *wire.LineToWorker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.cancels[l.ID]; ok {
		cancel(&CancelError{Reason: l.Reason})
	}
}

// drain ends the session once nothing runs. Tasks that the pool had sent before it knew
// are still run.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.endIfDrained()
}

// endIfDrained needs the lock.
func (s *session) endIfDrained() {
	if s.draining && s.active == 0 {
		s.finish(nil)
	}
}

// reporter sends what one task says.
type reporter struct {
	s  *session
	id string
}

func (r reporter) Progress(percent *float64, message string) {
	r.s.send(&wire.LineFromWorker{Op: wire.OpProgress, ID: r.id, Percent: percent, Message: message})
}

func (r reporter) Log(level, message string) {
	r.s.send(&wire.LineFromWorker{Op: wire.OpLog, ID: r.id, Level: level, Message: message})
}
