package workerpool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// runService is the program worker-pool as it ships.
func runService() {
	os.Exit(program.Main(program.Spec{
		Name: "worker-pool", Settings: settings.WorkerPool,
		New: func(e program.Env) (program.Service, error) { return workerpool.New(workerpool.ConfigOf(e)) },
	}))
}

// service is the program worker-pool in a process of its own.
type service struct {
	sys  *system
	cmd  *exec.Cmd
	log  chan string // its lines
	exit chan error
}

// service starts the program; the lease is so long that nothing can be waiting for it.
func (sys *system) service(env ...string) *service {
	sys.t.Helper()
	exe, err := os.Executable()
	require.NoError(sys.t, err)
	cmd := exec.CommandContext(context.Background(), exe)
	cmd.Env = append(os.Environ(), envRole+"=service", "BATUTA_NATS_URL="+sys.url, "BATUTA_OPS_ADDR=127.0.0.1:0",
		"BATUTA_WORKER_COMMAND="+shellWords("env", envRole+"=worker", exe), "BATUTA_LEASE=10m", "BATUTA_POOL_MIN=1", "BATUTA_POOL_MAX=1",
		"BATUTA_WORKER_CONCURRENCY=8", "BATUTA_LOG_FORMAT=text")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.StderrPipe()
	require.NoError(sys.t, err)
	require.NoError(sys.t, cmd.Start())
	s := &service{sys: sys, cmd: cmd, log: make(chan string, 10_000), exit: make(chan error, 1)}
	read := make(chan struct{})
	go s.read(out, read)
	go func() { <-read; s.exit <- cmd.Wait() }()
	sys.t.Cleanup(func() { _ = cmd.Process.Kill(); <-read })
	return s
}

func shellWords(words ...string) string {
	for i, w := range words {
		words[i] = "'" + w + "'"
	}
	return strings.Join(words, " ")
}

func (s *service) read(from io.Reader, done chan<- struct{}) {
	defer close(done)
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fmt.Fprintln(s.sys.t.Output(), lines.Text())
		s.log <- lines.Text()
	}
}

// awaitLog waits for a line with a text.
func (s *service) awaitLog(text string) {
	s.sys.t.Helper()
	after := time.After(patience)
	for {
		select {
		case line := <-s.log:
			if strings.Contains(line, text) {
				return
			}
		case <-after:
			s.sys.t.Fatalf("the log never said %q", text)
		}
	}
}

func (s *service) terminate() {
	s.sys.t.Helper()
	require.NoError(s.sys.t, s.cmd.Process.Signal(syscall.SIGTERM))
}

// awaitExit gives the exit code.
func (s *service) awaitExit() int {
	s.sys.t.Helper()
	select {
	case err := <-s.exit:
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode()
		}
		require.NoError(s.sys.t, err)
		return 0
	case <-time.After(patience):
		s.sys.t.Fatal("the process does not end")
		return -1
	}
}

func TestADrainedPoolFinishesOrHandsBack(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	first := sys.service("BATUTA_DRAIN=3s")
	short, long := sys.task("sleep", 1500), sys.task("file", t.TempDir())
	sys.submit(short, long)
	sys.awaitRunning(long.ID, "")
	sys.await(short.ID, wire.StatusInProgress)
	w := sys.workerOf(long.ID)
	first.terminate()
	first.awaitLog("stopping")
	var after []*wire.Envelope
	for i := range 50 {
		after = append(after, sys.task("echo", i))
	}
	sys.submit(after...)
	require.Equal(t, 0, first.awaitExit())
	require.Equal(t, wire.FirstFence(1), sys.await(short.ID, wire.StatusCompleted).Fence, "it had time to finish")
	rec := sys.await(long.ID, wire.StatusPending)
	require.Equal(t, 0, rec.Meta.Crashes)
	require.Equal(t, 0, rec.Retries)
	require.ErrorIs(t, syscall.Kill(w.PID, 0), syscall.ESRCH)
	for _, env := range after {
		require.NotContains(t, sys.names(env.ID), wire.EventStarted, "a pool that drains claims nothing")
	}

	sys.service()
	for _, env := range after {
		sys.await(env.ID, wire.StatusCompleted)
	}
	again := sys.awaitThat(long.ID, func(r *wire.Record) bool { return r.Status == wire.StatusInProgress && r.Progress != nil })
	require.Greater(t, again.Fence, wire.FirstFence(2))
	require.Equal(t, 0, again.Meta.Crashes)
	var dir string
	mustParse(long.Payload, &dir)
	letGo(t, dir, again.Fence)
	sys.await(long.ID, wire.StatusCompleted)
	sys.awaitAcknowledged()
}

func TestDrainUnderLoadMovesTheWorkToAnotherPool(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	first := sys.service("BATUTA_DRAIN=200ms")
	var all []*wire.Envelope
	for i := range 60 {
		all = append(all, sys.task("sleep", 50+100*(i%10)))
	}
	sys.submit(all...)
	sys.await(all[10].ID, wire.StatusCompleted)
	sys.service()
	first.terminate()
	require.Equal(t, 0, first.awaitExit())
	for _, env := range all {
		rec := sys.await(env.ID, wire.StatusCompleted)
		require.Equal(t, 0, rec.Meta.Crashes, env.ID)
		require.Equal(t, 1, rec.Attempt)
	}
	sys.awaitAcknowledged()
}

func TestASecondSignalEndsThePoolAtOnce(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	s := sys.service("BATUTA_DRAIN=10m")
	env := sys.task("obstinate", nil)
	sys.submit(env)
	w := sys.workerOf(env.ID)
	s.terminate()
	s.awaitLog("stopping")
	s.terminate()
	require.Equal(t, 1, s.awaitExit())
	sys.awaitGone(w.PID)
}

func TestASignalDuringTheStart(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name  string
		stall func(*proxy)
	}{
		{"while it connects", (*proxy).Stall},
		{"while it makes streams", func(p *proxy) { p.StallAfter("$JS.API.") }},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t)
			p := newProxy(t, sys.url)
			how.stall(p)
			s := sys.serviceThrough(p)
			p.awaitStalled(t)
			s.terminate()
			require.Equal(t, 0, s.awaitExit())
			require.Empty(t, sys.workers())
		})
	}
}

// serviceThrough starts the program behind a proxy.
func (sys *system) serviceThrough(p *proxy, env ...string) *service {
	sys.t.Helper()
	return sys.service(append(env, "BATUTA_NATS_URL="+p.URL())...)
}
