package workerpool_test

import (
	"cmp"
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

// What a pool process is told: where NATS is, its lease, where that is not 1 s, and the role
// of its workers, where that is not worker.
const (
	envURL    = "BATUTA_TEST_URL"
	envLease  = "BATUTA_TEST_LEASE"
	envWorker = "BATUTA_TEST_WORKER"
)

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
		length, err := time.ParseDuration(os.Getenv(envLease))
		if err != nil {
			length = time.Second
		}
		p, err := workerpool.New(workerpool.Config{
			JS: js, Command: []string{exe}, Env: append(os.Environ(), envRole+"="+cmp.Or(os.Getenv(envWorker), "worker")), Min: 2, Max: 2, Lease: length,
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
func (sys *system) poolProcess(env ...string) *exec.Cmd {
	sys.t.Helper()
	cmd, err := sys.startPool(context.Background(), env...)
	require.NoError(sys.t, err)
	sys.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
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
		sys.awaitGone(pid)
	}
	// Another pool takes the task over, once the lease and the worker's key are over.
	sys.pool()
	rec := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Worker != busy.ID && r.Status == wire.StatusInProgress })
	require.Equal(t, 1, rec.Meta.Crashes)
	require.Greater(t, rec.Fence, wire.FirstFence(1))
	sys.cancel(env.ID)
	sys.awaitAcknowledged()
}

func TestNoWorkerOutlivesItsPoolWhateverItDoes(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	pool := sys.poolProcess(envWorker + "=deaf") // it does not see that its stdin is closed
	var pids []int
	sys.awaitWorkers("two workers", func(w map[string]wire.Worker) bool {
		pids = nil
		for _, one := range w {
			if one.Status == wire.WorkerIdle {
				pids = append(pids, one.PID)
			}
		}
		return len(pids) == 2
	})
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGSTOP))
	require.NoError(t, pool.Process.Kill())
	for _, pid := range pids {
		sys.awaitGone(pid)
	}
}

// awaitGone waits until a process has ended.
func (sys *system) awaitGone(pid int) {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
			return fmt.Errorf("process %d still runs", pid)
		}
		return nil
	})
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

func TestTheTasksOfALostPoolRunElsewhereWithinALease(t *testing.T) {
	t.Parallel()
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t)
			const length = 8 * time.Second
			pool := sys.poolProcess(envLease + "=" + length.String())
			var all []*wire.Envelope
			for range 10 {
				all = append(all, sys.task("finishes", nil))
			}
			sys.submit(all...)
			for _, env := range all[:8] { // two workers of four slots
				sys.awaitRunning(env.ID, "")
			}
			sys.pool(size(3, 4))
			sys.awaitRunning(all[8].ID, "")
			first := sys.record(all[0].ID)
			begin := wire.Now()
			require.NoError(t, pool.Process.Signal(how))
			last := wire.Time(0)
			for _, env := range all[:8] {
				rec := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence && r.Pool != "" && r.StartedAt > begin })
				require.Equal(t, 1, rec.Meta.Crashes)
				last = max(last, rec.StartedAt)
			}
			t.Logf("all run again after %s; the lease is %s", last.Sub(begin), length)
			require.Less(t, last.Sub(begin), length+length/2, "one lease, and room for a busy machine")
			_ = pool.Process.Signal(syscall.SIGCONT)
			for _, env := range all {
				sys.cancel(env.ID)
			}
			sys.awaitAcknowledged()
		})
	}
}
