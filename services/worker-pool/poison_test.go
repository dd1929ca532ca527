package workerpool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// kills is a task that kills something each time it runs, until its ways are used up. Patient:
// not before the file of its fence is there.
type kills struct {
	Dir, Go string
	Ways    []string
}

func (k kills) run(fence uint64) (any, error) {
	for k.Go != "" {
		if _, err := os.Stat(goFile(k.Go, fence)); err == nil {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	runs, err := os.ReadDir(k.Dir)
	if err != nil {
		return nil, err
	}
	if len(runs) == len(k.Ways) {
		return "harmless by now", nil
	}
	if err := os.WriteFile(filepath.Join(k.Dir, fmt.Sprint(len(runs))), nil, 0o600); err != nil {
		return nil, err
	}
	switch k.Ways[len(runs)] {
	case "worker":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "pool":
		_ = syscall.Kill(os.Getppid(), syscall.SIGKILL)
	case "host":
		_ = syscall.Kill(os.Getppid(), syscall.SIGKILL)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select {}
}

func handleKills(_ context.Context, t *worker.Task) (any, error) {
	var k kills
	if err := t.Bind(&k); err != nil {
		return nil, err
	}
	return k.run(t.Fence)
}

// keepPool keeps a pool process running: whenever it dies another is started.
func (sys *system) keepPool() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	sys.t.Cleanup(func() { cancel(); wg.Wait() })
	first := make(chan error, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			cmd, err := sys.startPool(ctx)
			select {
			case first <- err:
			default:
			}
			if err == nil {
				_ = cmd.Wait()
			}
		}
	})
	require.NoError(sys.t, <-first)
}

// startPool starts a pool in a process of its own, and returns when it runs.
func (sys *system) startPool(ctx context.Context, env ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(append(os.Environ(), envRole+"=pool", envURL+"="+sys.url), env...)
	cmd.Stderr = sys.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started\n" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("the pool said %q: %w", line, err)
	}
	return cmd, nil
}

// letGoWhenStored lets a patient task go on whenever its start is stored.
func (sys *system) letGoWhenStored(id, dir string, status wire.Status) *wire.Record {
	return sys.awaitThat(id, func(r *wire.Record) bool {
		if r.Status == wire.StatusInProgress {
			letGo(sys.t, dir, r.Fence)
		}
		return r.Status == status
	})
}

func TestPoisonThatKillsPools(t *testing.T) {
	t.Parallel()
	for _, ways := range []string{"pool pool pool", "host host host", "worker pool host", "pool worker pool", "host pool worker"} {
		t.Run(ways, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t)
			sys.keepPool()
			poison, good := sys.poisonous(kills{t.TempDir(), t.TempDir(), strings.Fields(ways)}, 3)
			rec := sys.letGoWhenStored(poison.ID, goDir(poison), wire.StatusFailed)
			require.Equal(t, wire.CodeCrashed, rec.Error.Code)
			require.Contains(t, rec.Error.Message, "3 times")
			require.Equal(t, 1, rec.Attempt)
			require.Equal(t, 0, rec.Retries)
			sys.awaitUnharmed(good)
			sys.awaitAcknowledged()
		})
	}
}

// poisonous submits a task that kills, among harmless ones that all run when it begins.
func (sys *system) poisonous(k kills, neighbours int) (poison *wire.Envelope, good []*wire.Envelope) {
	sys.t.Helper()
	for range neighbours {
		good = append(good, sys.task("sleep", 2000))
	}
	sys.submit(good...)
	for _, env := range good {
		sys.await(env.ID, wire.StatusInProgress)
	}
	poison = sys.task("kills", k)
	sys.submit(poison)
	return poison, good
}

func goDir(env *wire.Envelope) string {
	var k kills
	mustParse(env.Payload, &k)
	return k.Go
}

// awaitUnharmed waits until tasks have completed in their first attempt.
func (sys *system) awaitUnharmed(envs []*wire.Envelope) {
	sys.t.Helper()
	for _, env := range envs {
		rec := sys.await(env.ID, wire.StatusCompleted)
		require.LessOrEqual(sys.t, rec.Meta.Crashes, 2)
		require.Equal(sys.t, 1, rec.Attempt)
	}
}

func TestPoisonThatKillsItsPoolBeforeItsStartIsStored(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.keepPool()
	poison, good := sys.poisonous(kills{Dir: t.TempDir(), Ways: []string{"pool", "pool", "pool", "pool", "pool"}}, 3)
	rec := sys.await(poison.ID, wire.StatusFailed)
	require.Equal(t, wire.CodeCrashed, rec.Error.Code, "only its first death may have gone unnoticed")
	sys.awaitUnharmed(good)
	sys.awaitAcknowledged()
}

// Of a pool's death the many go first, and at once; who has died twice waits for those that
// it may have died with, and for nobody else.
func TestSuspectsOfAPoolDoNotWaitForThoseWithTheirLastChance(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	last, same, other := sys.task("finishes", nil), sys.task("finishes", nil), sys.task("finishes", nil)
	sys.diedIn(last, "pool-x", 2)
	sys.diedIn(same, "pool-x", 1)
	sys.diedIn(other, "pool-y", 1)
	for _, env := range []*wire.Envelope{last, same, other} {
		sys.lane(env, wire.HeaderCheck)
	}
	// On a busy machine the three may be checked further from each other than a pool waits.
	sys.pool(size(3, 1), func(c *workerpool.Config) { workerpool.WaitApart(c, c.Lease/2) })
	sys.awaitRunning(same.ID, deadWorker)
	sys.awaitRunning(other.ID, deadWorker)
	require.Equal(t, 2, int(sys.record(last.ID).Fence), "it may have died with one that runs")
	sys.finishAfter(same.ID, deadWorker)
	sys.awaitRunning(last.ID, deadWorker)
	require.Equal(t, wire.StatusInProgress, sys.record(other.ID).Status, "they never ran in the same pool")
	sys.finishAfter(last.ID, deadWorker)
	sys.finishAfter(other.ID, deadWorker)
	sys.awaitAcknowledged()
}

const deadWorker = "worker-77"

// diedIn records a task whose pool has died while it ran, so many times.
func (sys *system) diedIn(env *wire.Envelope, pool string, times int) {
	sys.t.Helper()
	d := wire.EventData{Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt}
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: d}))
	for n := range times {
		d.Fence = uint64(n) + 1
		sys.publishEvent(wire.NewEvent(wire.Event{
			Event: wire.EventStarted, TaskID: env.ID, WorkerID: deadWorker, Pool: pool, Attempt: 1, Data: d,
		}))
	}
	kv, err := sys.js.KeyValue(sys.t.Context(), wire.BucketWorkers)
	require.NoError(sys.t, err)
	_, err = kv.PutString(sys.t.Context(), deadWorker, "{}")
	require.NoError(sys.t, err)
	require.NoError(sys.t, kv.Delete(sys.t.Context(), deadWorker))
}

func TestTwoDeathsAreForgiven(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.keepPool()
	env := sys.task("kills", kills{t.TempDir(), t.TempDir(), []string{"pool", "worker"}})
	sys.submit(env)
	rec := sys.letGoWhenStored(env.ID, goDir(env), wire.StatusCompleted)
	require.Equal(t, 2, rec.Meta.Crashes)
	require.Equal(t, 0, rec.Retries)
	require.Equal(t, `"harmless by now"`, string(rec.Result))
	sys.awaitAcknowledged()
}
