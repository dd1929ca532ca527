package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestARunInWhichAllIsWell(t *testing.T) {
	t.Parallel()
	w, _ := good(t)
	rep := w.requireBroken("")
	require.True(t, rep.Whole)
	c := rep.Counts
	require.Equal(t, 6, c.Accepted)
	require.Equal(t, 6, c.Ended)
	require.Equal(t, 4, c.Completed)
	require.Equal(t, 1, c.Failed)
	require.Equal(t, 1, c.Cancelled)
	require.Equal(t, 10, c.Executions)
	require.Equal(t, 2, c.Again, "killed, late")
	require.Equal(t, 1, c.Refused)
	require.Zero(t, c.Repairs)
}

func TestAPlantedLossIsFound(t *testing.T) {
	t.Parallel()
	t.Run("no trace", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		w.cfg.Tasks = append(w.cfg.Tasks, check.Task{ID: "task-900", Kind: "short", Ends: []wire.Status{wire.StatusCompleted}})
		w.settle()
		rep := w.check()
		require.Len(t, rep.Findings, 1)
		require.Equal(t, check.RuleLost, rep.Findings[0].Rule)
		require.Equal(t, "task-900", rep.Findings[0].TaskID)
		require.NotEqual(t, plain.id, rep.Findings[0].TaskID)
	})
	t.Run("record gone", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		w.settle()
		delete(w.records, plain.id)
		w.requireBroken(plain.id, check.RuleLost)
	})
	t.Run("never ended", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		open := w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1")
		w.requireBroken(open.id, check.RuleStuck)
	})
	t.Run("ran only in the ledger", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		w.ledger = append(w.ledger, ledger.Entry{Kind: ledger.Began, ID: "task-900", Attempt: 1, Fence: 1, At: at(5)})
		rep := w.check()
		require.Len(t, rep.Findings, 1)
		require.Equal(t, check.RuleLost, rep.Findings[0].Rule)
	})
}

func TestAPlantedDoubleEndIsFound(t *testing.T) {
	t.Parallel()
	t.Run("under the same fence", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		plain.complete(200, 1, "worker-1")
		w.requireBroken(plain.id, check.RuleTwoEnds)
	})
	t.Run("failed and completed", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		plain.fail(200, 1, true, wire.CodeHandler)
		w.requireBroken(plain.id, check.RuleTwoEnds)
	})
	t.Run("a late one that was applied instead of refused", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		w.events = slices.DeleteFunc(w.events, func(e wire.Event) bool { return e.Event == wire.EventRefused })
		rep := w.check()
		require.Len(t, rep.Findings, 1)
		require.Equal(t, check.RuleTwoEnds, rep.Findings[0].Rule)
	})
	t.Run("the record changed after its end", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		w.settle()
		w.records[plain.id].Status = wire.StatusCancelled
		w.requireBroken(plain.id, check.RuleWrongEnd, check.RuleRecord)
	})
}

func TestACompletionThatNobodyExecutedIsFound(t *testing.T) {
	t.Parallel()
	w, plain := good(t)
	w.ledger = slices.DeleteFunc(w.ledger, func(e ledger.Entry) bool { return e.ID == plain.id && e.Kind == ledger.Succeeded })
	w.requireBroken(plain.id, check.RuleUnseen)
}

func TestAFenceThatGoesBackIsFound(t *testing.T) {
	t.Parallel()
	t.Run("a later hand-out has a smaller one", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		j := w.submit(0, wire.PriorityMedium).start(10, 1, 2, "worker-1").start(20, 1, 1, "worker-2")
		j.fence = j.lane*wire.FencePerLane + 2
		j.complete(30, 1, "worker-1")
		w.requireBroken(j.id, check.RuleFence)
	})
	t.Run("two workers have the same", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		j := w.submit(0, wire.PriorityMedium).start(10, 1, 2, "worker-1").start(20, 1, 2, "worker-2").complete(30, 1, "worker-1")
		w.requireBroken(j.id, check.RuleFence)
	})
	t.Run("a handler that begins late is none", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		j := w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1").start(20, 1, 2, "worker-2").complete(30, 1, "worker-2")
		for i := range w.ledger {
			if e := &w.ledger[i]; e.ID == j.id && e.Worker == "worker-1" {
				e.At = at(500) // its process was stopped after the hand-out
			}
		}
		w.requireBroken("")
	})
}

func TestAnAttemptTooManyIsFound(t *testing.T) {
	t.Parallel()
	t.Run("beyond the limit", func(t *testing.T) {
		t.Parallel()
		w, _ := good(t)
		j := w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1").fail(11, 1, false, wire.CodeHandler)
		j.start(20, 2, 2, "worker-1").fail(21, 2, false, wire.CodeHandler)
		j.start(30, 3, 3, "worker-1").complete(31, 3, "worker-1")
		rep := w.check()
		require.True(t, slices.ContainsFunc(rep.Findings, func(f check.Finding) bool {
			return f.TaskID == j.id && f.Rule == check.RuleAttempts && f.Text == "attempt 3 of at most 2, by the events"
		}), "%v", rep.Findings)
	})
	t.Run("by the ledger alone", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		w.ledger = append(w.ledger, ledger.Entry{Kind: ledger.Began, ID: plain.id, Attempt: 3, Fence: plain.fence + 1, At: at(90)})
		w.requireBroken(plain.id, check.RuleAttempts)
	})
	t.Run("that no failure asked for", func(t *testing.T) {
		t.Parallel()
		w, plain := good(t)
		w.ledger = append(w.ledger, ledger.Entry{Kind: ledger.Began, ID: plain.id, Attempt: 2, Fence: plain.fence + 1, At: at(90)})
		w.requireBroken(plain.id, check.RuleAttempts)
	})
}

func TestARepairIsFound(t *testing.T) {
	t.Parallel()
	w, _ := good(t)
	j := w.submit(0, wire.PriorityMedium)
	w.tell(5, wire.Event{Event: wire.EventScheduled, TaskID: j.id, Data: wire.EventData{Reason: wire.ReasonRepair, Round: 1}})
	rep := w.check()
	require.Equal(t, 1, rep.Counts.Repairs)
	require.True(t, slices.ContainsFunc(rep.Findings, func(f check.Finding) bool { return f.Rule == check.RuleRepair && f.TaskID == j.id }))
}

func TestARecordThatItsEventsDoNotMakeIsFound(t *testing.T) {
	t.Parallel()
	w, plain := good(t)
	w.settle()
	w.records[plain.id].Retries = 1 // an event applied twice
	w.requireBroken(plain.id, check.RuleRecord)
}

func TestAnUnexpectedEndIsFound(t *testing.T) {
	t.Parallel()
	w, _ := good(t)
	j := w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1").fail(11, 1, true, wire.CodeHandler)
	w.requireBroken(j.id, check.RuleWrongEnd)

	w, _ = good(t)
	w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1").fail(11, 1, true, wire.CodeCrashed)
	require.Equal(t, 1, w.requireBroken("").Counts.Crashed, "whose workers were killed too often may fail")
}

// backlog is a pool that works through tasks of two priorities, one every 100 ms.
func backlog(t *testing.T, order []wire.Priority) *world {
	t.Helper()
	w := newWorld(t)
	var jobs []*job
	for _, p := range order {
		jobs = append(jobs, w.submit(0, p))
	}
	for i, j := range jobs {
		ms := 10_000 + 100*i
		j.start(ms, 1, 1, "worker-1").complete(ms+10, 1, "worker-1")
	}
	return w
}

// repeat is n times p.
func repeat(n int, p wire.Priority) []wire.Priority { return slices.Repeat([]wire.Priority{p}, n) }

func TestPriorities(t *testing.T) {
	t.Parallel()
	high, low, medium := wire.PriorityHigh, wire.PriorityLow, wire.PriorityMedium
	inOrder := append(repeat(100, high), repeat(50, low)...)
	rep := backlog(t, inOrder).requireBroken("")
	require.Equal(t, 150, rep.Counts.Compared)
	require.Zero(t, rep.Counts.Shares)

	shared := slices.Concat(repeat(20, high), repeat(1, low), repeat(20, high), repeat(1, low), repeat(58, high), repeat(48, low))
	rep = backlog(t, shared).requireBroken("")
	require.Equal(t, 2, rep.Counts.Shares, "one in twenty is the lowest lane's")

	w := backlog(t, slices.Concat(repeat(20, high), repeat(2, low), repeat(70, high)))
	w.requireBroken("task-022", check.RulePriority) // the second in a row

	w = backlog(t, slices.Concat(repeat(20, high), repeat(1, medium), repeat(70, high), repeat(50, low)))
	w.requireBroken("task-021", check.RulePriority) // not of the lowest lane

	w = backlog(t, slices.Concat(repeat(20, high), repeat(1, medium), repeat(70, high), repeat(50, low)))
	w.cfg.Faults = []check.Fault{{Kind: "pool.hang", Pool: "pool-1", Begun: at(11_000), Ended: at(11_500)}}
	w.requireBroken("") // it may have been taken before the disturbance
}

// The lowest lane's share is a lane message, with all tasks of it.
func TestTheShareMayBeAParcel(t *testing.T) {
	t.Parallel()
	for _, second := range []int{0, 1} { // whether another message follows at once
		w := newWorld(t)
		var order []*job
		var high []*job
		for range 90 {
			high = append(high, w.submit(0, wire.PriorityHigh))
		}
		order = append(order, high[:20]...)
		order = append(order, w.parcel(0, 8, wire.PriorityLow)...)
		if second > 0 {
			order = append(order, w.parcel(0, second, wire.PriorityLow)...)
		}
		order = append(order, high[20:]...)
		for i, j := range order {
			ms := 10_000 + 100*i
			j.start(ms, 1, 1, "worker-1").complete(ms+10, 1, "worker-1")
		}
		if second == 0 {
			require.Equal(t, 8, w.requireBroken("").Counts.Shares)
			continue
		}
		w.requireBroken(order[28].id, check.RulePriority)
	}
}

func TestRecoveryTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell(0, wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1", Data: wire.EventData{PID: pidOf("worker-1")}})
	done := w.submit(0, wire.PriorityHigh).start(10, 1, 1, "worker-1").complete(20, 1, "worker-1")
	hit := w.submit(0, wire.PriorityHigh).start(10, 1, 1, "worker-1")
	elsewhere := w.submit(0, wire.PriorityHigh).start(10, 1, 1, "worker-2")
	w.tell(105, wire.Event{Event: wire.EventReassigned, TaskID: hit.id, Attempt: 1, Data: wire.EventData{Fence: hit.fence, Reason: wire.ReasonCrash}})
	hit.start(130, 1, 2, "worker-2").complete(140, 1, "worker-2")
	elsewhere.complete(150, 1, "worker-2")
	after := w.submit(300, wire.PriorityHigh).start(345, 1, 1, "worker-2").complete(350, 1, "worker-2")
	require.NotEqual(t, done.id, after.id)
	w.cfg.Faults = []check.Fault{
		{Kind: "worker.kill", Begun: at(100), Ended: at(100), Workers: []int{pidOf("worker-1")}, Measure: true},
		{Kind: "nats.kill", Begun: at(200), Ended: at(280), Everybody: true},
	}
	rep := w.requireBroken("")
	require.Equal(t, []check.Recovery{
		{Kind: "nats.kill", Faults: 1, Samples: 1, Median: 145 * time.Millisecond, P99: 145 * time.Millisecond, Worst: 145 * time.Millisecond},
		{Kind: "worker.kill", Faults: 1, Samples: 1, Median: 30 * time.Millisecond, P99: 30 * time.Millisecond, Worst: 30 * time.Millisecond},
	}, rep.Recoveries)
}
