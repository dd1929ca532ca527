//go:build linux

package proc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/proc"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// script answers every line with a heartbeat.
const script = `echo '{"op":"ready","protocol":1}'; %s while read -r line; do echo '{"op":"heartbeat"}'; done`

// heard is a handler that passes on what it hears.
type heard struct {
	lines chan string
	exit  chan proc.Exit
	busy  bool
}

func newHeard() *heard { return &heard{lines: make(chan string, 1000), exit: make(chan proc.Exit, 1)} }

func (h *heard) Line(l *wire.LineFromWorker) error { h.lines <- l.Op; return nil }
func (h *heard) Busy() bool                        { return h.busy }
func (h *heard) Exited(e proc.Exit)                { h.exit <- e }

// awaitLine fails where the worker ends instead.
func (h *heard) awaitLine(t *testing.T, op string) {
	t.Helper()
	select {
	case got := <-h.lines:
		require.Equal(t, op, got)
	case e := <-h.exit:
		t.Fatalf("the worker ended: %s", e)
	}
}

func command(t *testing.T, extra string) *proc.Command {
	t.Helper()
	return &proc.Command{
		Args: []string{"sh", "-c", fmt.Sprintf(script, extra)}, Env: os.Environ(), Heartbeat: time.Second,
		Log: obs.NewTestLogger(t.Output()),
	}
}

// onAThreadThatEnds runs f on a thread of its own, and returns when that has ended.
func onAThreadThatEnds(t *testing.T, f func()) {
	t.Helper()
	thread := os.Getpid() // the first one never ends
	for thread == os.Getpid() {
		c := make(chan int)
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if id := syscall.Gettid(); id != os.Getpid() {
				f()
			}
			c <- syscall.Gettid()
		}()
		thread = <-c
	}
	natstest.Eventually(t, func() error {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err == nil {
			return fmt.Errorf("thread %d still runs", thread)
		}
		return nil
	})
}

func TestAWorkerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	h, c := newHeard(), command(t, "")
	var w proc.Worker
	var err error
	onAThreadThatEnds(t, func() { w, err = c.Launch("worker-1", h) })
	require.NoError(t, err)
	h.awaitLine(t, wire.OpReady)
	for range 20 {
		require.NoError(t, w.Send(&wire.LineToWorker{Op: wire.OpDrain}))
		h.awaitLine(t, wire.OpHeartbeat)
	}
	w.Kill()
	require.Equal(t, "killed", (<-h.exit).Signal)
}

func TestTheChildrenOfAWorkerDieWithIt(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"killed", "exits"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "child")
			h := newHeard()
			end := ""
			if how == "exits" {
				end = "read -r line; exit 0;"
			}
			w, err := command(t, fmt.Sprintf("sleep 600 & echo $! > %s.new; mv %s.new %s; echo '{\"op\":\"heartbeat\"}'; %s", file, file, file, end)).Launch("worker-1", h)
			require.NoError(t, err)
			h.awaitLine(t, wire.OpReady)
			h.awaitLine(t, wire.OpHeartbeat)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			child, err := strconv.Atoi(strings.TrimSpace(string(b)))
			require.NoError(t, err)
			if how == "exits" {
				require.NoError(t, w.Send(&wire.LineToWorker{Op: wire.OpDrain}))
			} else {
				w.Kill()
			}
			<-h.exit
			natstest.Eventually(t, func() error {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
				if err == nil && !strings.Contains(string(stat), ") Z ") {
					return fmt.Errorf("its child %d still runs", child)
				}
				return nil
			})
		})
	}
}
