package workerpool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// envURL tells a pool process where NATS is.
const envURL = "BATUTA_TEST_URL"

// runPoolProcess is a pool in a process of its own, which ends only by a signal.
func runPoolProcess() {
	err := func() error {
		nc, err := natsx.Connect(natsx.ConnectOptions{URL: os.Getenv(envURL), Name: "pool"})
		if err != nil {
			return err
		}
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		p, err := workerpool.New(workerpool.Config{
			JS: js, Command: []string{exe}, Env: append(os.Environ(), envRole+"=worker"), Min: 2, Max: 2, Lease: time.Second,
			Heartbeat: 200 * time.Millisecond,
		})
		if err != nil {
			return err
		}
		return p.Start(context.Background())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started") //nolint:forbidigo // the test waits for it
	select {}
}

// poolProcess starts a pool in a process of its own.
func (sys *system) poolProcess() *exec.Cmd {
	sys.t.Helper()
	exe, err := os.Executable()
	require.NoError(sys.t, err)
	cmd := exec.CommandContext(context.Background(), exe)
	cmd.Env = append(os.Environ(), envRole+"=pool", envURL+"="+sys.s.URL())
	cmd.Stderr = sys.t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(sys.t, err)
	require.NoError(sys.t, cmd.Start())
	sys.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(sys.t, err)
	require.Equal(sys.t, "started\n", line)
	return cmd
}

func TestNoWorkerOutlivesItsPool(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	pool := sys.poolProcess()
	env := sys.task("obstinate", nil)
	sys.submit(env)
	busy := sys.workerOf(env.ID)
	var pids []int
	sys.awaitWorkers("two workers", func(w map[string]wire.Worker) bool {
		pids = nil
		for _, one := range w {
			pids = append(pids, one.PID)
		}
		return len(pids) == 2
	})
	require.Contains(t, pids, busy.PID)
	require.NoError(t, pool.Process.Kill())
	for _, pid := range pids {
		natstest.Eventually(t, func() error {
			if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
				return fmt.Errorf("process %d still runs", pid)
			}
			return nil
		})
	}
	// Another pool takes the task over, once the lease and the worker's key are over.
	sys.pool()
	rec := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Worker != busy.ID && r.Status == wire.StatusInProgress })
	require.Equal(t, 1, rec.Meta.Crashes)
	require.Greater(t, rec.Fence, wire.FirstFence(1))
	sys.cancel(env.ID)
	sys.awaitAcknowledged()
}

// zombie tells whether a process has ended and only waits to be reaped by whoever adopted it.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	var id int
	var name, state string
	_, _ = fmt.Sscan(string(b), &id, &name, &state)
	return state == "Z"
}

func TestAStoppedPoolGivesUpWhatItHeld(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	pool := sys.poolProcess()
	env := sys.task("sleep", 4000)
	sys.submit(env)
	first := sys.await(env.ID, wire.StatusInProgress)
	require.NoError(t, pool.Process.Signal(syscall.SIGSTOP))
	sys.pool()
	rec := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence })
	require.NoError(t, pool.Process.Signal(syscall.SIGCONT))
	done := sys.await(env.ID, wire.StatusCompleted)
	require.Equal(t, rec.Fence, done.Fence, "the late outcome does not count")
	require.Equal(t, rec.Worker, done.Worker)
	sys.awaitAcknowledged()
}
