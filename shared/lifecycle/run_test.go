package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const soon = 30 * time.Second

// journal keeps what the services of a test did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// fake is a service that writes to a journal and does as it is told.
type fake struct {
	Group
	name     string
	journal  *journal
	startErr error
	stopErr  error
	starting chan struct{} // closed when Start was called; Start then waits for its context
	// tellsCause makes that Start return the cause of the context's end.
	tellsCause bool
	onStop     func(ctx context.Context)
}

func (f *fake) String() string { return f.name }

func (f *fake) Start(ctx context.Context) error {
	f.journal.add("start " + f.name)
	if f.starting != nil {
		close(f.starting)
		<-ctx.Done()
		if f.tellsCause {
			return fmt.Errorf("open a stream: %w", context.Cause(ctx))
		}
		return ctx.Err()
	}
	return f.startErr
}

func (f *fake) Stop(ctx context.Context) error {
	f.journal.add("stop " + f.name)
	if f.onStop != nil {
		f.onStop(ctx)
	}
	return f.stopErr
}

type bench struct {
	journal *journal
	runner  *Runner
	ready   chan struct{}
	exited  chan int
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{journal: &journal{}, ready: make(chan struct{}), exited: make(chan int, 1)}
	b.runner = &Runner{
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ready:   func() { close(b.ready) },
		signals: make(chan os.Signal, 2),
		exit:    func(code int) { b.exited <- code },
	}
	return b
}

func (b *bench) service(name string) *fake { return &fake{name: name, journal: b.journal} }

func (b *bench) start(ctx context.Context, services ...Service) <-chan int {
	code := make(chan int, 1)
	go func() { code <- b.runner.Run(ctx, services...) }()
	return code
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(soon):
		require.Fail(t, "nothing came")
		panic("unreachable")
	}
}

func TestRunStopsInReverseOnSignal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.start(t.Context(), b.service("a"), b.service("b"))
	await(t, b.ready)
	b.runner.signals <- syscall.SIGTERM
	require.Equal(t, ExitOK, await(t, code))
	require.Equal(t, []string{"start a", "start b", "stop b", "stop a"}, b.journal.all())
}

func TestRunUnwindsAFailedStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := b.service("broken")
	broken.startErr = errors.New("port taken")
	require.Equal(t, ExitFailed, await(t, b.start(t.Context(), b.service("a"), broken, b.service("never"))))
	require.Equal(t, []string{"start a", "start broken", "stop a"}, b.journal.all())
}

func TestRunDrainsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := b.service("a")
	s.onStop = func(ctx context.Context) {
		require.NoError(t, ctx.Err(), "the stop was cut short by what asked for it")
	}
	code := b.start(ctx, s)
	await(t, b.ready)
	cancel()
	require.Equal(t, ExitOK, await(t, code))
	require.Equal(t, []string{"start a", "stop a"}, b.journal.all())
}

func TestRunCallsOffAStartOnSignal(t *testing.T) {
	t.Parallel()
	for _, tellsCause := range []bool{false, true} {
		b := setup(t)
		slow := b.service("slow")
		slow.starting, slow.tellsCause = make(chan struct{}), tellsCause
		code := b.start(t.Context(), b.service("a"), slow)
		await(t, slow.starting)
		b.runner.signals <- syscall.SIGINT
		require.Equal(t, ExitOK, await(t, code))
		require.Equal(t, []string{"start a", "start slow", "stop a"}, b.journal.all())
	}
}

func TestRunStopsWhenAServiceFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := b.service("bad")
	code := b.start(t.Context(), b.service("a"), bad)
	await(t, b.ready)
	bad.Fail(errors.New("listener broke"))
	require.Equal(t, ExitFailed, await(t, code))
	require.Equal(t, []string{"start a", "start bad", "stop bad", "stop a"}, b.journal.all())
}

func TestRunStopsTheOthersWhenOneStopFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := b.service("bad")
	bad.stopErr = errors.New("stuck")
	code := b.start(t.Context(), b.service("a"), bad)
	await(t, b.ready)
	b.runner.signals <- syscall.SIGTERM
	require.Equal(t, ExitFailed, await(t, code))
	require.Equal(t, []string{"start a", "start bad", "stop bad", "stop a"}, b.journal.all())
}

func TestRunBoundsTheStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.runner.StopTimeout = time.Millisecond
	s := b.service("a")
	s.onStop = func(ctx context.Context) { <-ctx.Done() }
	code := b.start(t.Context(), s)
	await(t, b.ready)
	b.runner.signals <- syscall.SIGTERM
	require.Equal(t, ExitOK, await(t, code))
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.service("a")
	stopping, release := make(chan struct{}), make(chan struct{})
	s.onStop = func(context.Context) { close(stopping); <-release }
	code := b.start(t.Context(), s)
	await(t, b.ready)
	b.runner.signals <- syscall.SIGTERM
	await(t, stopping)
	b.runner.signals <- syscall.SIGTERM
	require.Equal(t, ExitFailed, await(t, b.exited))
	close(release)
	await(t, code)
}

const childEnv = "LIFECYCLE_TEST_CHILD"

// TestMain turns the test binary into a process with one service, for the tests with
// real signals.
func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "obeys":
		os.Exit(child(func(context.Context) {}))
	case "hangs":
		os.Exit(child(func(context.Context) { say("stopping"); select {} }))
	}
	os.Exit(m.Run())
}

// say tells the test, on the process's output, how far it is.
func say(line string) { _, _ = fmt.Fprintln(os.Stdout, line) }

func child(onStop func(context.Context)) int {
	s := &fake{name: "child", journal: &journal{}, onStop: onStop}
	return (&Runner{Ready: func() { say("ready") }}).Run(context.Background(), s)
}

func startChild(t *testing.T, mode string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	requireLine(t, lines, "ready\n")
	return cmd, lines
}

func requireLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, want, line)
}

func TestProcessExitsZeroOnSigterm(t *testing.T) {
	t.Parallel()
	cmd, out := startChild(t, "obeys")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}

func TestProcessExitsAtOnceOnSecondSignal(t *testing.T) {
	t.Parallel()
	cmd, out := startChild(t, "hangs")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	requireLine(t, out, "stopping\n")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, ExitFailed, exit.ExitCode())
}
