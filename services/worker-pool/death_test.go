package workerpool_test

import (
	"encoding/json"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// noHelp makes leases and silence so long that neither can be what hands a task out again.
func noHelp(c *workerpool.Config) { c.Lease, c.HungAfter = 10*time.Minute, 10*time.Minute }

func mustParse(b []byte, into any) {
	if err := json.Unmarshal(b, into); err != nil {
		panic(err)
	}
}

// doTask is a task of a raw worker, which misbehaves once.
func (sys *system) doTask(d deed) *wire.Envelope {
	d.File = filepath.Join(sys.t.TempDir(), "done")
	return sys.task("do", d)
}

func TestHoweverAWorkerEndsItsTaskIsHandedOutAgainAtOnce(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(role("raw"), size(2, 2), noHelp)
	for _, d := range []deed{
		{Do: "exit", Code: 0},
		{Do: "exit", Code: 1},
		{Do: "exit", Code: 255},
		{Do: "signal", Signal: syscall.SIGKILL},
		{Do: "signal", Signal: syscall.SIGTERM},
		{Do: "signal", Signal: syscall.SIGSEGV},
		{Do: "signal", Signal: syscall.SIGABRT},
		{Do: "signal", Signal: syscall.SIGHUP},
		{Do: "garbage"},
		{Do: "long"},
		{Do: "unknown op"},
		{Do: "foreign result"},
		{Do: "ready again"},
		{Do: "torn line"},
		{Do: "closed stdout"},
	} {
		if d.Signal != 0 && signal.Ignored(d.Signal) {
			continue // as under nohup: workers inherit that, and the signal ends none
		}
		env := sys.doTask(d)
		rec := sys.run(wire.StatusCompleted, env)
		what := fmt.Sprintf("%+v", d)
		require.Equal(t, string(mustJSON(rec.Fence)), string(rec.Result), what)
		require.Equal(t, []wire.EventName{
			wire.EventSubmitted, wire.EventStarted, wire.EventReassigned, wire.EventStarted, wire.EventCompleted,
		}, sys.names(env.ID), what)
		require.Equal(t, 1, rec.Meta.Crashes, what)
		require.Equal(t, 1, rec.Attempt, what)
		require.Equal(t, 0, rec.Retries, what)
		lost := sys.lostWith(env.ID)
		require.Contains(t, lost.Data.Reason, map[string]string{
			"exit": fmt.Sprintf("code %d", d.Code), "garbage": "one JSON object", "long": "1 MiB", "unknown op": "must be one of",
			"foreign result": "task-999999", "ready again": "ready is said once", "closed stdout": "closed its stdout",
		}[d.Do], what)
	}
	sys.awaitAcknowledged()
}

// lostWith waits until the loss of a task's worker was told.
func (sys *system) lostWith(id string) wire.Event {
	sys.t.Helper()
	return sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return len(e.Data.Tasks) > 0 && e.Data.Tasks[0] == id })
}

func TestAWorkerThatCannotBeWrittenToIsReplaced(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(role("raw"), size(1, 2), noHelp)
	env := sys.doTask(deed{Do: "closed stdin"})
	sys.submit(env)
	sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Progress != nil })
	next := sys.task("do", deed{File: "/dev/null"})
	sys.submit(next) // the pool learns with the next line that nobody reads them
	for _, id := range []string{env.ID, next.ID} {
		rec := sys.await(id, wire.StatusCompleted)
		require.Equal(t, 1, rec.Meta.Crashes)
		require.Equal(t, string(mustJSON(rec.Fence)), string(rec.Result))
	}
	lost := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return len(e.Data.Tasks) == 2 })
	require.Contains(t, lost.Data.Reason, "closed its stdin")
}

func TestAllTasksOfADeadWorkerRunAgainAtOnce(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(1, 20), noHelp)
	var all []*wire.Envelope
	for range 20 {
		all = append(all, sys.task("finishes", nil))
	}
	sys.submit(all...)
	for _, env := range all {
		sys.awaitRunning(env.ID, "")
	}
	w := sys.workerOf(all[0].ID)
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGKILL))
	for _, env := range all { // none of them ends before all run
		sys.awaitRunning(env.ID, w.ID)
	}
	for _, env := range all {
		rec := sys.finishAfter(env.ID, w.ID)
		require.Equal(t, 1, rec.Meta.Crashes)
		require.Equal(t, 0, rec.Retries)
	}
	sys.awaitAcknowledged()
}

func TestSuspectsAreKeptApartUntilOneOfThemEnds(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(1, 4), noHelp)
	one, two := sys.task("finishes", nil), sys.task("finishes", nil)
	sys.submit(one, two)
	sys.awaitRunning(one.ID, "")
	sys.awaitRunning(two.ID, "")
	w := sys.workerOf(one.ID)
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGKILL))
	sys.awaitRunning(one.ID, w.ID)
	sys.awaitRunning(two.ID, w.ID)
	bystander := sys.task("echo", 1)
	sys.submit(bystander)
	begin := wire.Now()
	sys.awaitWorkers("three heartbeats", func(ws map[string]wire.Worker) bool {
		return ws[sys.record(one.ID).Worker].LastHeartbeat > begin+600
	})
	require.Equal(t, wire.StatusPending, sys.await(bystander.ID, wire.StatusPending).Status, "there are free slots, but not for it")
	sys.finishAfter(one.ID, w.ID)
	sys.await(bystander.ID, wire.StatusCompleted)
	require.Equal(t, wire.StatusInProgress, sys.record(two.ID).Status, "it is under suspicion no more")
	sys.finishAfter(two.ID, w.ID)
}

func TestATaskWithOneCrashLeftRunsAlone(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(1, 4), noHelp, func(c *workerpool.Config) { c.MaxCrashes = 2 })
	var good []*wire.Envelope
	for range 3 {
		good = append(good, sys.task("sleep", 1500))
	}
	sys.submit(good...)
	for _, env := range good {
		sys.await(env.ID, wire.StatusInProgress)
	}
	poison := sys.task("exit", nil)
	rec := sys.run(wire.StatusFailed, poison)
	require.Equal(t, wire.CodeCrashed, rec.Error.Code)
	require.Equal(t, 2, rec.Meta.Crashes)
	for _, env := range good {
		require.Equal(t, 1, sys.await(env.ID, wire.StatusCompleted).Meta.Crashes, "it died once with its neighbour, then both ran alone")
	}
}

func TestABusyLoopIsKilledAndItsNeighbourRunsOn(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(role("raw"), size(1, 2), func(c *workerpool.Config) { c.Lease, c.HungAfter = 10*time.Minute, 2*time.Second })
	hold := sys.task("hold", nil)
	sys.submit(hold)
	w := sys.workerOf(hold.ID)
	env := sys.doTask(deed{Do: "busy loop"})
	rec := sys.run(wire.StatusCompleted, env)
	require.Equal(t, 1, rec.Meta.Crashes)
	require.Equal(t, string(mustJSON(rec.Fence)), string(rec.Result))
	hung := sys.awaitEvent(wire.EventWorkerHung, func(*wire.Event) bool { return true })
	require.Equal(t, w.ID, hung.WorkerID)
	lost := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == w.ID })
	require.Contains(t, lost.Data.Reason, "hung")
	require.ErrorIs(t, syscall.Kill(w.PID, 0), syscall.ESRCH)
	sys.awaitThat(hold.ID, func(r *wire.Record) bool { return r.Status == wire.StatusInProgress && r.Worker != w.ID })
	sys.cancel(hold.ID)
	sys.awaitAcknowledged()
}
