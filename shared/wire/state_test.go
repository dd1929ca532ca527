package wire_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestAnOrdinaryLife(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent())
	require.Equal(t, "order-17", h.rec.ID)
	require.Equal(t, wire.Definition(*definition()), h.rec.Definition)
	require.Equal(t, 1, h.rec.Attempt)
	require.Equal(t, dawn, h.rec.SubmittedAt)
	require.Equal(t, testSubmission, h.rec.Meta.SubmitSeq)
	h.apply(dispatchedEvent(1, 0, testLane))
	require.Equal(t, testLane, h.rec.Meta.LaneSeq)

	fence := wire.FirstFence(testLane)
	h.apply(startedEvent(1, 0, fence), progressEvent(1, 0, fence))
	require.Equal(t, fence, h.rec.Fence)
	require.Equal(t, "worker-3", h.rec.Worker)
	require.Equal(t, "default", h.rec.Pool)
	require.Equal(t, &wire.Progress{Percent: new(40.0), Message: "half"}, h.rec.Progress)
	require.Equal(t, int64(h.rec.StartedAt-dawn), *h.rec.WaitTimeMs)
	require.Zero(t, h.rec.ExpiresAt())

	h.apply(completedEvent(1, 0, fence))
	require.JSONEq(t, `{"width":800}`, string(h.rec.Result))
	require.Equal(t, h.now, h.rec.FinishedAt)
	require.Equal(t, h.now, h.rec.Meta.UpdatedAt)
	require.Equal(t, int64(1175), *h.rec.ExecutionTimeMs)
	require.Equal(t, &wire.Progress{Percent: new(100.0), Message: "half"}, h.rec.Progress)
	require.Equal(t, "worker-3", h.rec.Worker, "who did it stays")
	require.Equal(t, h.now+86_400_000, h.rec.ExpiresAt())
	require.Equal(t, []wire.Position{{Seq: 1001, Index: 2}, {Seq: 1003, Index: 2}, {Seq: 1005, Index: 2}}, h.rec.Meta.History)
}

func TestWaitsCountFromWhenTheAttemptCouldRun(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent(), dispatchedEvent(1, 0, 5))
	start := startedEvent(1, 0, wire.FirstFence(5))
	start.Timestamp, start.Data.DueAt = dawn+60_040, dawn+60_000
	h.apply(start)
	require.Equal(t, int64(40), *h.rec.WaitTimeMs)
	skewed := startedEvent(1, 0, wire.FirstFence(5)+1)
	skewed.Timestamp, skewed.Data.DueAt = dawn+60_040, dawn+61_000
	h.apply(skewed)
	require.Zero(t, *h.rec.WaitTimeMs, "clocks of two hosts differ")
}

func TestRetriesUntilNoneIsLeft(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent())
	for attempt := 1; attempt <= 4; attempt++ {
		lane := testLane + uint64(attempt)
		h.apply(dispatchedEvent(attempt, 0, lane), startedEvent(attempt, 0, wire.FirstFence(lane)))
		require.Equal(t, attempt, h.rec.Attempt)
		require.Nil(t, h.rec.ExecutionTimeMs)
		h.apply(failedEvent(attempt, 0, wire.FirstFence(lane), false)) // what a pool thinks is not enough
		require.Equal(t, "connection refused", h.rec.Error.Message)
		require.Equal(t, attempt, h.rec.Error.Attempt)
		if attempt < 4 {
			require.Equal(t, wire.StatusRetrying, h.rec.Status)
			require.Equal(t, attempt, h.rec.Retries)
			require.Equal(t, dawn+90_000, h.rec.ScheduledFor)
			require.Equal(t, dawn+90_000, h.rec.Meta.DueAt)
			require.Empty(t, h.rec.Worker)
			require.Zero(t, h.rec.FinishedAt)
		}
	}
	require.Equal(t, wire.StatusFailed, h.rec.Status)
	require.Equal(t, 3, h.rec.Retries)
	require.Equal(t, 4, h.rec.Attempt)
	require.Zero(t, h.rec.ScheduledFor, "that of a retry is over")
	require.Equal(t, h.now, h.rec.FinishedAt)
}

func TestARetryMayStartBeforeItsGrantIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent(), dispatchedEvent(1, 0, 5), startedEvent(1, 0, wire.FirstFence(5)),
		failedEvent(1, 0, wire.FirstFence(5), false), startedEvent(2, 0, wire.FirstFence(9)))
	require.Equal(t, 2, h.rec.Attempt)
	require.Equal(t, uint64(9), h.rec.Meta.LaneSeq, "a start knows its lane message")
	require.Equal(t, wire.Ignored, h.fold(dispatchedEvent(2, 0, 9)))
	h.apply(completedEvent(2, 0, wire.FirstFence(9)))
	require.Nil(t, h.rec.Error, "a completed task has none")
}

func TestATakerThatDoesNotStartTheTaskEndsItsAttempt(t *testing.T) {
	t.Parallel()
	retrying := newHistory(t).apply(submittedEvent(), dispatchedEvent(1, 0, 5), startedEvent(1, 0, wire.FirstFence(5)), failedEvent(1, 0, wire.FirstFence(5), false))
	granted := newHistory(t)
	granted.rec = retrying.rec
	granted.apply(dispatchedEvent(2, 0, 9))
	for _, h := range []*history{retrying, granted} {
		h.apply(failedEvent(2, 0, wire.FirstFence(9), true))
		require.Equal(t, wire.StatusFailed, h.rec.Status)
		require.Equal(t, 2, h.rec.Attempt, "whether its grant was recorded before or not")
		require.Equal(t, wire.FirstFence(9), h.rec.Fence)
	}
}

func TestCrashesAreHandOutsThatNeitherEndedNorWereHandedBack(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f))
	require.Zero(t, h.rec.Meta.Crashes)
	h.apply(startedEvent(1, 0, f+1))
	require.Equal(t, 1, h.rec.Meta.Crashes, "the earlier one is gone without a word")
	h.apply(reassignedEvent(1, 0, f+1, wire.ReasonDrain), startedEvent(1, 0, f+2), reassignedEvent(1, 0, f+2, wire.ReasonLease), startedEvent(1, 0, f+3))
	require.Equal(t, 1, h.rec.Meta.Crashes, "handed back in order")
	h.apply(reassignedEvent(1, 0, f+3, wire.ReasonCrash))
	require.Equal(t, 2, h.rec.Meta.Crashes)
	require.Equal(t, wire.StatusPending, h.rec.Status)
	h.apply(startedEvent(1, 0, f+4))
	require.Equal(t, 2, h.rec.Meta.Crashes, "told once, counted once")
	require.Zero(t, h.rec.Retries)
	require.Equal(t, 1, h.rec.Attempt, "a crash is no failure")
	h.apply(failedEvent(1, 0, f+4, true), retriedEvent(1, 7))
	require.Zero(t, h.rec.Meta.Crashes, "a manual retry begins anew")
}

func TestAHandOutThatWasGivenUpHasNoSayAnyMore(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f), reassignedEvent(1, 0, f, wire.ReasonLease))
	require.Equal(t, wire.Refused, h.fold(completedEvent(1, 0, f)))
	require.Contains(t, h.said, "given up")
	require.Equal(t, wire.Ignored, h.fold(startedEvent(1, 0, f)), "its own start, told again, brings it not back")
	h.apply(startedEvent(1, 0, f+1))
	require.Equal(t, wire.Refused, h.fold(completedEvent(1, 0, f)))
	require.Contains(t, h.said, "handed out again")
	require.Equal(t, wire.Ignored, h.fold(progressEvent(1, 0, f)))
	h.apply(completedEvent(1, 0, f+1))
	require.Equal(t, wire.Refused, h.fold(failedEvent(1, 0, f, true)))
	require.Contains(t, h.said, "completed already")
}

func TestManualRetryOfAFailedTask(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f), failedEvent(1, 0, f, false), startedEvent(2, 0, f+1024),
		failedEvent(2, 0, f+1024, true), retriedEvent(1, 7))
	r := h.rec
	require.Equal(t, wire.StatusPending, r.Status)
	require.Equal(t, 3, r.Attempt, "goes on")
	require.Zero(t, r.Retries)
	require.Equal(t, 1, r.Meta.Round)
	require.Equal(t, uint64(7), r.Meta.ControlSeq)
	require.Zero(t, r.Meta.LaneSeq)
	require.Equal(t, f+1024, r.Fence, "never falls")
	require.Nil(t, r.Error)
	require.Nil(t, r.WaitTimeMs)
	require.Nil(t, r.ExecutionTimeMs)
	require.Zero(t, r.StartedAt)
	require.Zero(t, r.FinishedAt)
	require.Empty(t, r.Worker)

	for _, late := range []wire.Event{completedEvent(2, 0, f+1024), failedEvent(2, 0, f+1024, true), failedEvent(1, 0, f, false)} {
		require.Equal(t, wire.Refused, h.fold(late))
		require.Contains(t, h.said, "newer round")
	}
	for _, late := range []wire.Event{startedEvent(2, 0, f+5000), dispatchedEvent(3, 0, 99), cancelledEvent(0, 99), retriedEvent(1, 7)} {
		require.Equal(t, wire.Ignored, h.fold(late), late.Event)
	}
	h.apply(dispatchedEvent(3, 1, 12), startedEvent(3, 1, wire.FirstFence(12)), completedEvent(3, 1, wire.FirstFence(12)))
}

func TestManualRetryOfACancelledTask(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f), cancelledEvent(0, 6), retriedEvent(1, 7))
	require.Equal(t, 1, h.rec.Attempt, "nothing has failed")
	h = newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f), failedEvent(1, 0, f, false), cancelledEvent(0, 6), retriedEvent(1, 7))
	require.Equal(t, 2, h.rec.Attempt, "the first has failed before the cancel")
	require.Zero(t, h.rec.Retries)
	require.Nil(t, h.rec.Error)
}

func TestCommandsAreAppliedInTheirOrderOnce(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent(), cancelledEvent(0, 6))
	require.Equal(t, wire.Ignored, h.fold(cancelledEvent(0, 6)))
	h.apply(retriedEvent(1, 7))
	require.Equal(t, wire.Ignored, h.fold(cancelledEvent(1, 6)), "told again after the retry")
	require.Equal(t, wire.Ignored, h.fold(deletedEvent(8)), "runs again")
	h.apply(cancelledEvent(1, 9))
	require.Equal(t, wire.Ignored, h.fold(deletedEvent(8)), "asked for before the cancel")
	require.Equal(t, wire.Deleted, h.fold(deletedEvent(10)))
	require.Nil(t, h.rec)
}

func TestRepairBeginsARoundAndKeepsWhatWasCounted(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent(), startedEvent(1, 0, f), failedEvent(1, 0, f, false), repairedEvent(1))
	require.Equal(t, wire.StatusPending, h.rec.Status)
	require.Equal(t, 2, h.rec.Attempt, "the one that waited")
	require.Equal(t, 1, h.rec.Retries)
	require.Equal(t, "connection refused", h.rec.Error.Message)
	require.Equal(t, wire.Ignored, h.fold(startedEvent(2, 0, f+2048)), "the lost message turns up")
	h.apply(startedEvent(2, 1, f+4096), startedEvent(2, 1, f+4097), repairedEvent(2))
	require.Equal(t, 2, h.rec.Attempt)
	require.Equal(t, 1, h.rec.Meta.Crashes)
}

func TestDelayedTaskKeepsItsTime(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(laterEvent(), delayEvent(testSubmission))
	require.Equal(t, dawn+60_000, h.rec.ScheduledFor)
	require.Equal(t, dawn+60_000, h.rec.Meta.DueAt)
	h.apply(dispatchedEvent(1, 0, 5), startedEvent(1, 0, f), failedEvent(1, 0, f, false))
	require.Equal(t, dawn+90_000, h.rec.ScheduledFor)
	h.apply(startedEvent(2, 0, f+1024), completedEvent(2, 0, f+1024))
	require.Equal(t, dawn+60_000, h.rec.ScheduledFor)
}

func TestAStartMayStandBeforeItsSubmission(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	for _, submitted := range []wire.Event{submittedEvent(), laterEvent()} {
		start := startedEvent(1, 0, f)
		start.Data.Task = submitted.Data.Task
		start.Timestamp = dawn + 61_000
		early := newHistory(t).apply(start)
		require.True(t, early.rec.Meta.Early)
		require.Equal(t, wire.StatusInProgress, early.rec.Status)
		require.Equal(t, wire.Ignored, early.fold(dispatchedEvent(1, 0, 5)))
		early.apply(submitted)
		require.Equal(t, wire.Ignored, early.fold(submitted), "told again")

		ordinary := newHistory(t).apply(submitted, start)
		ordinary.rec.Meta.History, early.rec.Meta.History = nil, nil
		require.Equal(t, ordinary.rec, early.rec)
	}
}

func TestAnEarlyStartOfALaterHandOut(t *testing.T) {
	t.Parallel()
	start := startedEvent(2, 1, wire.FirstFence(5))
	start.Data.Retries, start.Data.ControlSeq = new(1), 44
	h := newHistory(t).apply(start)
	require.Equal(t, 2, h.rec.Attempt)
	require.Equal(t, 1, h.rec.Retries)
	require.Equal(t, 1, h.rec.Meta.Round)
	require.Equal(t, wire.Ignored, h.fold(cancelledEvent(1, 44)), "older than the round")
	h.apply(cancelledEvent(1, 45), submittedEvent())
	require.False(t, h.rec.Meta.Early)
	require.Equal(t, wire.StatusCancelled, h.rec.Status)
	require.Equal(t, h.seq, h.rec.Meta.History[0].Seq, "the submission comes first")
}

func TestHistoryKeepsTheFirstAndTheLatest(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t).apply(submittedEvent())
	for n := range 14 {
		h.apply(startedEvent(1, 0, f+uint64(n)))
	}
	h.apply(startedEvent(1, 0, f+14))
	require.Len(t, h.rec.Meta.History, wire.HistoryLength)
	require.False(t, h.rec.Meta.HistoryTruncated)
	for n := range 100 {
		h.apply(startedEvent(1, 0, f+15+uint64(n)))
		require.Len(t, h.rec.Meta.History, wire.HistoryLength)
		require.True(t, h.rec.Meta.HistoryTruncated)
		require.Equal(t, uint64(1001), h.rec.Meta.History[0].Seq)
		for i, p := range h.rec.Meta.History[1:] {
			require.Equal(t, h.seq-uint64(wire.HistoryLength-2-i), p.Seq)
		}
	}
}

func TestALateSubmissionKeepsTheHistoryInItsBounds(t *testing.T) {
	t.Parallel()
	f := wire.FirstFence(5)
	h := newHistory(t)
	for n := range wire.HistoryLength {
		h.apply(startedEvent(1, 0, f+uint64(n)))
	}
	require.False(t, h.rec.Meta.HistoryTruncated)
	h.apply(submittedEvent())
	require.Len(t, h.rec.Meta.History, wire.HistoryLength)
	require.True(t, h.rec.Meta.HistoryTruncated)
	require.Equal(t, h.seq, h.rec.Meta.History[0].Seq)
	h.apply(completedEvent(1, 0, f+wire.HistoryLength-1))
	require.Len(t, h.rec.Meta.History, wire.HistoryLength)
}

func TestProgressAndDispatchesLeaveNoHistory(t *testing.T) {
	t.Parallel()
	h := newHistory(t).apply(submittedEvent(), dispatchedEvent(1, 0, 5), startedEvent(1, 0, wire.FirstFence(5)))
	for range 40 {
		h.apply(progressEvent(1, 0, wire.FirstFence(5)))
	}
	require.Len(t, h.rec.Meta.History, 2)
	require.Equal(t, h.now, h.rec.Meta.UpdatedAt)
}

func TestSplitMakesOneEventPerTask(t *testing.T) {
	t.Parallel()
	one := submittedEvent()
	require.Equal(t, []wire.Event{one}, wire.Split(&one))
	group := wire.Event{Seq: "7.0", Timestamp: dawn, Event: wire.EventDispatched, Data: wire.EventData{
		Lane: "default_high", First: 40, IDs: []string{"a", "b", "c"}, Attempts: []int{1, 4, 2}, Rounds: []int{0, 2, 1},
	}}
	got := wire.Split(&group)
	require.Len(t, got, 3)
	require.Equal(t, wire.Event{
		Seq: "7.0", Timestamp: dawn, Event: wire.EventDispatched, TaskID: "b", Attempt: 4,
		Data: wire.EventData{Lane: "default_high", LaneSeq: 41, Round: 2},
	}, got[1])
	group.Data.Attempts, group.Data.Rounds = nil, nil
	for i, e := range wire.Split(&group) {
		require.Equal(t, 1, e.Attempt)
		require.Zero(t, e.Data.Round)
		require.Equal(t, uint64(40+i), e.Data.LaneSeq)
	}
	require.Empty(t, wire.Split(&wire.Event{Event: wire.EventDispatched}))
}

func TestYoungSubmissionsOnlyAreBorn(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]wire.Verdict{
		-time.Minute:                            wire.Applied, // the clocks of two hosts differ
		0:                                       wire.Applied,
		wire.YoungSubmission - time.Millisecond: wire.Applied,
		wire.YoungSubmission:                    wire.Ignored,
		wire.YoungSubmission + 365*24*time.Hour*10: wire.Ignored,
	} {
		e := startedEvent(1, 0, 7)
		e.Timestamp = dawn.Add(age)
		require.Equal(t, want, newHistory(t).fold(e), age)
	}
}

// A pool that was cut off tells late of a hand-out whose fence another pool has given too.
func TestWhatAnotherWorkerSaysOfTheSameFenceDoesNotCount(t *testing.T) {
	t.Parallel()
	fence := wire.FirstFence(testLane) + 1
	h := newHistory(t).apply(submittedEvent(), dispatchedEvent(1, 0, testLane), startedEvent(1, 0, fence))
	other := func(e wire.Event) wire.Event {
		e.WorkerID = "worker-4"
		return e
	}
	require.Equal(t, wire.Ignored, h.fold(other(startedEvent(1, 0, fence))))
	require.Equal(t, wire.Ignored, h.fold(other(progressEvent(1, 0, fence))))
	require.Equal(t, wire.Ignored, h.fold(other(reassignedEvent(1, 0, fence, wire.ReasonLease))))
	require.Equal(t, wire.StatusInProgress, h.rec.Status, "the hand-out that was recorded goes on")
	require.Equal(t, wire.Refused, h.fold(other(failedEvent(1, 0, fence, true))))
	require.Equal(t, "the task was handed to another worker", h.said)
	require.Equal(t, wire.Refused, h.fold(other(completedEvent(1, 0, fence))))
	h.apply(completedEvent(1, 0, fence))
	require.Equal(t, wire.Refused, h.fold(other(completedEvent(1, 0, fence))), "not a repetition")
	require.Equal(t, wire.Ignored, h.fold(completedEvent(1, 0, fence)), "a repetition")
}
