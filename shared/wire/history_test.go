package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// dawn is when the tests' histories begin: 2026-01-01T10:21:02.000Z.
const dawn wire.Time = 1_767_262_862_000

// history folds events one after the other and gives each its place and time.
type history struct {
	t    testing.TB
	rec  *wire.Record
	seq  uint64
	now  wire.Time
	said string
}

func newHistory(t testing.TB) *history {
	t.Helper()
	return &history{t: t, seq: 1000, now: dawn}
}

// fold applies an event a second after the one before it and says what became of it.
func (h *history) fold(e wire.Event) wire.Verdict {
	h.t.Helper()
	h.seq++
	h.now += 1000
	e.TaskID = "order-17"
	if e.Timestamp == 0 {
		e.Timestamp = h.now
	}
	var verdict wire.Verdict
	h.rec, verdict, h.said = foldPurely(h.t, h.rec, e, wire.Position{Seq: h.seq, Index: 2})
	return verdict
}

// apply is fold for events that must change the record.
func (h *history) apply(events ...wire.Event) *history {
	h.t.Helper()
	for _, e := range events {
		require.Equal(h.t, wire.Applied, h.fold(e), "%s: %s", e.Event, h.said)
	}
	return h
}

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	FailNow()
}

// foldPurely folds twice and checks that both gave the same and left their input as it was.
func foldPurely(t tester, rec *wire.Record, e wire.Event, pos wire.Position) (*wire.Record, wire.Verdict, string) {
	t.Helper()
	before, event := encoded(t, rec), encoded(t, e)
	next, verdict, reason := wire.Next(rec, &e, pos)
	again, sameVerdict, sameReason := wire.Next(rec, &e, pos)
	if !bytes.Equal(before, encoded(t, rec)) || !bytes.Equal(event, encoded(t, e)) {
		t.Fatalf("%s changed its input: %s became %s", e.Event, before, encoded(t, rec))
	}
	if verdict != sameVerdict || reason != sameReason || !bytes.Equal(encoded(t, next), encoded(t, again)) {
		t.Fatalf("%s gave two results: %s and %s", e.Event, encoded(t, next), encoded(t, again))
	}
	if verdict != wire.Applied && verdict != wire.Deleted && next != rec {
		t.Fatalf("%s with verdict %d gave another record", e.Event, verdict)
	}
	if (reason != "") != (verdict == wire.Refused) {
		t.Fatalf("%s with verdict %d says %q", e.Event, verdict, reason)
	}
	return next, verdict, reason
}

func encoded(t tester, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return b
}

// definition is a task of the contract's defaults.
func definition() *wire.Compact {
	return &wire.Compact{
		Type: "image.resize", Queue: "default", Priority: wire.PriorityHigh, MaxRetries: 3, Backoff: wire.DefaultBackoff,
		TimeoutMs: 60_000, RetentionMs: 86_400_000, Tags: map[string]string{"customer": "a1"},
	}
}

const (
	testSubmission uint64 = 104
	testLane       uint64 = 50
)

// The events below are those of an ordinary history; what is given is changed afterwards.

func submittedEvent() wire.Event {
	return wire.Event{Event: wire.EventSubmitted, Data: wire.EventData{
		Task: definition(), SubmitSeq: testSubmission, SubmittedAt: dawn, Hash: "0badcafe",
	}}
}

func laterEvent() wire.Event {
	e := submittedEvent()
	e.Data.Task.DelayMs, e.Data.ScheduledFor = 60_000, dawn+60_000
	return e
}

func dispatchedEvent(attempt, round int, lane uint64) wire.Event {
	return wire.Event{Event: wire.EventDispatched, Attempt: attempt, Data: wire.EventData{Round: round, LaneSeq: lane}}
}

func startedEvent(attempt, round int, fence uint64) wire.Event {
	return wire.Event{Event: wire.EventStarted, Attempt: attempt, WorkerID: "worker-3", Pool: "default", Data: wire.EventData{
		Task: definition(), SubmitSeq: testSubmission, SubmittedAt: dawn, Hash: "0badcafe", DueAt: dawn,
		Round: round, Fence: fence, LaneSeq: fence / wire.FencePerLane,
	}}
}

func progressEvent(attempt, round int, fence uint64) wire.Event {
	return wire.Event{Event: wire.EventProgress, Attempt: attempt, Data: wire.EventData{
		Round: round, Fence: fence, Percent: new(40.0), Message: "half",
	}}
}

func completedEvent(attempt, round int, fence uint64) wire.Event {
	return wire.Event{Event: wire.EventCompleted, Attempt: attempt, WorkerID: "worker-3", Pool: "default", Data: wire.EventData{
		Round: round, Fence: fence, Result: json.RawMessage(`{"width":800}`), ExecutionTimeMs: new(int64(1175)),
	}}
}

func failedEvent(attempt, round int, fence uint64, final bool) wire.Event {
	e := wire.Event{Event: wire.EventFailed, Attempt: attempt, WorkerID: "worker-3", Pool: "default", Data: wire.EventData{
		Round: round, Fence: fence, Final: &final, ExecutionTimeMs: new(int64(31)),
		Error: &wire.TaskError{Message: "connection refused", Code: wire.CodeHandler, Attempt: attempt, At: dawn + 7},
	}}
	if !final {
		e.Data.NextAttemptAt = dawn + 90_000
	}
	return e
}

func reassignedEvent(attempt, round int, fence uint64, reason string) wire.Event {
	return wire.Event{Event: wire.EventReassigned, Attempt: attempt, Data: wire.EventData{Round: round, Fence: fence, Reason: reason}}
}

func cancelledEvent(round int, control uint64) wire.Event {
	return wire.Event{Event: wire.EventCancelled, Data: wire.EventData{Round: round, ControlSeq: control}}
}

func retriedEvent(round int, control uint64) wire.Event {
	return wire.Event{Event: wire.EventScheduled, Data: wire.EventData{Reason: wire.ReasonManual, Round: round, ControlSeq: control, ScheduledFor: dawn + 5000}}
}

func repairedEvent(round int) wire.Event {
	return wire.Event{Event: wire.EventScheduled, Data: wire.EventData{Reason: wire.ReasonRepair, Round: round}}
}

func deletedEvent(control uint64) wire.Event {
	return wire.Event{Event: wire.EventDeleted, Data: wire.EventData{ControlSeq: control}}
}
