package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// envProgram makes this test binary a worker process.
const envProgram = "BATUTA_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		if err := program().Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// program is the worker that runs as a real process.
func program() *worker.Worker {
	w := worker.New(worker.Options{})
	early := os.Stdout
	w.Handle("print", func(context.Context, *worker.Task) (any, error) {
		fmt.Println("this goes to stderr") //nolint:forbidigo // what a handler must not break by
		fmt.Fprintln(early, "and so does this")
		c := exec.Command("sh", "-c", "echo and this; cat")
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		return nil, c.Run()
	})
	w.Handle("forever", func(ctx context.Context, t *worker.Task) (any, error) {
		t.Step("running")
		select {} // does not even heed its context
	})
	return w
}

// pool is the other side of a worker's stdin and stdout.
type pool struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan wire.LineFromWorker
	ended chan error // of reading lines
	done  chan error // of Run
	exits chan int
}

// start runs a worker over pipes and takes its line `ready`.
func start(t *testing.T, w func(*worker.Options) *worker.Worker) (*pool, wire.LineFromWorker) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &pool{t: t, in: inW, done: make(chan error, 1), exits: make(chan int, 1)}
	p.read(outR)
	o := worker.Options{
		Stdin: inR, Stdout: outW, TempDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Getenv: func(string) string { return "" }, Exit: func(code int) { p.exits <- code },
	}
	wk := w(&o)
	go func() {
		err := wk.Run(context.Background())
		outW.Close()
		p.done <- err
	}()
	t.Cleanup(func() {
		inW.Close()
		for range p.lines {
		}
	})
	return p, p.next()
}

func (p *pool) read(r io.Reader) {
	p.lines, p.ended = make(chan wire.LineFromWorker, 10_000), make(chan error, 1)
	go func() {
		defer close(p.lines)
		lines := wire.NewLineReader(r)
		for {
			l, err := lines.Next()
			if err != nil {
				p.ended <- err
				return
			}
			p.lines <- l
		}
	}()
}

func (p *pool) send(l wire.LineToWorker) {
	p.t.Helper()
	b, err := l.Append(nil)
	require.NoError(p.t, err)
	_, err = p.in.Write(b)
	require.NoError(p.t, err)
}

func (p *pool) task(id, taskType, payload string) {
	p.t.Helper()
	p.send(wire.LineToWorker{Op: wire.OpTask, ID: id, Type: taskType, Attempt: 1, Fence: 1025, Payload: []byte(payload), TimeoutMs: 60_000})
}

// next is the next line that is no heartbeat.
func (p *pool) next() wire.LineFromWorker {
	p.t.Helper()
	for {
		l := p.any()
		if l.Op != wire.OpHeartbeat {
			return l
		}
	}
}

func (p *pool) any() wire.LineFromWorker {
	p.t.Helper()
	select {
	case l, ok := <-p.lines:
		require.True(p.t, ok, "the worker ended")
		return l
	case <-time.After(30 * time.Second):
		require.FailNow(p.t, "no line from the worker")
		return wire.LineFromWorker{}
	}
}

func (p *pool) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second):
		require.FailNow(p.t, "the worker did not end")
		return nil
	}
}

// simple makes a worker with one handler for the type "a".
func simple(h worker.Handler) func(*worker.Options) *worker.Worker {
	return func(o *worker.Options) *worker.Worker {
		w := worker.New(*o)
		w.Handle("a", h)
		return w
	}
}

var errTest = errors.New("it broke")
