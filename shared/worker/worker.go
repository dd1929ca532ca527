package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Options of a worker. The zero value is right for a process that a pool runs.
type Options struct {
	// Concurrency is how many tasks this worker takes at once, 1 to 1000; 0 leaves it to
	// the pool (BATUTA_WORKER_CONCURRENCY).
	Concurrency int
	// Types to announce; nil: those that have a handler, every type where there is a
	// default handler. Each must have a handler.
	Types []string
	// Mux holds the handlers; nil makes an empty one.
	Mux *Mux
	// Logger gets what the worker itself has to say; nil: text on stderr.
	Logger *slog.Logger
	// Getenv reads the environment; nil: os.Getenv.
	Getenv func(string) string
	// Stdin and Stdout, both or none, replace those of the process. Those of the process
	// are captured: os.Stdout leads to stderr from then on, so that nothing that prints
	// can break the protocol.
	Stdin  io.Reader
	Stdout io.Writer
	// TempDir is where results too long for a line are written; "": the system's.
	TempDir string
	// Exit ends the process when the pool is gone; nil: os.Exit. Where it returns, Run
	// returns ErrPoolGone.
	Exit func(code int)
	// BeforeExit runs before Exit, after the context of every task was cancelled; for
	// killing child processes, say. It must not take long.
	BeforeExit func()
}

// Worker runs tasks that a pool hands it.
type Worker struct {
	opts Options
	mux  *Mux
}

// New makes a worker; handlers are added before Run.
func New(o Options) *Worker {
	w := &Worker{opts: o, mux: o.Mux}
	if w.mux == nil {
		w.mux = NewMux()
	}
	if w.opts.Logger == nil {
		w.opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if w.opts.Getenv == nil {
		w.opts.Getenv = os.Getenv
	}
	if w.opts.Exit == nil {
		w.opts.Exit = os.Exit
	}
	return w
}

// Handle sets the handler of a type, as Mux.Handle does.
func (w *Worker) Handle(taskType string, h Handler) { w.mux.Handle(taskType, h) }

// HandleDefault sets the handler of all other types, as Mux.HandleDefault does.
func (w *Worker) HandleDefault(h Handler) { w.mux.HandleDefault(h) }

// Run speaks with the pool until it says `drain`, or ctx ends, and the running tasks have
// finished; it then returns nil, and the program should exit with 0. Handlers do not see
// ctx end, only its values. When the pool is gone the process exits at once. An error
// means a bad setting, or a pool that broke the protocol.
func (w *Worker) Run(ctx context.Context) error {
	ready, err := w.ready()
	if err != nil {
		return err
	}
	beat, err := w.heartbeat()
	if err != nil {
		return err
	}
	in, out := w.opts.Stdin, w.opts.Stdout
	if in == nil && out == nil {
		if in, out, err = captureStdio(); err != nil {
			return fmt.Errorf("capture stdin and stdout: %w", err)
		}
	}
	if in == nil || out == nil {
		return errors.New("options: Stdin and Stdout go together")
	}
	return newSession(w, in, out).run(ctx, ready, beat)
}

func (w *Worker) ready() (*wire.LineFromWorker, error) {
	types := w.opts.Types
	if types == nil {
		types = w.mux.Types()
	}
	if len(types) == 0 && w.mux.fallback == nil {
		return nil, errors.New("options: no handler is set")
	}
	for _, t := range types {
		if _, ok := w.mux.Lookup(t); !ok || !wire.ValidType(t) {
			return nil, fmt.Errorf("options: Types: %q has no handler", t)
		}
	}
	if c := w.opts.Concurrency; c < 0 || c > 1000 {
		return nil, fmt.Errorf("options: Concurrency: %d: 0 to 1000", c)
	}
	return &wire.LineFromWorker{
		Op: wire.OpReady, Protocol: wire.LineProtocol, Types: slices.Clone(types), Concurrency: w.opts.Concurrency,
	}, nil
}

// heartbeat is the interval at which to send: three quarters of the one asked for, so
// that a busy machine does not make it too long.
func (w *Worker) heartbeat() (time.Duration, error) {
	ms := 1000
	if s := w.opts.Getenv(wire.EnvHeartbeatMs); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 86_400_000 {
			return 0, fmt.Errorf("%s: %q: must be 1 to 86400000 milliseconds", wire.EnvHeartbeatMs, s)
		}
		ms = n
	}
	return max(time.Duration(ms)*time.Millisecond*3/4, time.Millisecond), nil
}
