package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestEveryEventIsSaidInEnglish(t *testing.T) {
	t.Parallel()
	want := map[wire.EventName]string{
		wire.EventSubmitted:   "task-104 of type image.resize submitted",
		wire.EventRejected:    "submission 105 rejected: tpye: \"image.resize\": is not a field of a task",
		wire.EventDuplicate:   "order-17 submitted again; it runs once",
		wire.EventScheduled:   "task-104 scheduled for 2026-01-01T10:22:02.000Z: delay",
		wire.EventStarted:     "task-104 assigned to worker-3",
		wire.EventProgress:    "task-104 at 40 % resizing",
		wire.EventCompleted:   "task-104 completed in 1175 ms",
		wire.EventFailed:      "task-104 failed: connection refused; retrying (2/3)",
		wire.EventReassigned:  "task-104 handed out again: lease",
		wire.EventRefused:     "late task.completed of task-104 refused: the task was handed out again since",
		wire.EventCancelled:   "task-104 cancelled: asked for",
		wire.EventDeleted:     "task-104 deleted",
		wire.EventWorkerNew:   "worker-3 added to pool default",
		wire.EventWorkerReady: "worker-3 of pool default is ready",
		wire.EventWorkerHung:  "worker-3 of pool default is hung: silent for 5 s",
		wire.EventWorkerLost:  "worker-3 of pool default was lost: killed by SIGKILL",
		wire.EventWorkerStop:  "worker-3 of pool default stopped: scaled down",
		wire.EventPoolScaled:  "pool default scaled from 2 to 5 workers: 1200 tasks wait",
		wire.EventPoolChanged: `pool default changed: {"max":8}`,
		wire.EventQueuePaused: "queue images paused",
		wire.EventQueueResume: "queue images resumed",
		wire.EventQueueChange: `queue images changed: {"maxConcurrent":4}`,
		wire.EventSystem:      "system is High Load, was Stable: the backlog needs 42 s",
		wire.EventAudit:       "ana: task.cancel order-17",
	}
	events := goldenEvents()
	require.Len(t, events, len(wire.EventNames)+1, "all, and the internal one")
	seen := map[wire.EventName]bool{}
	for i := range events {
		e := events[i]
		seen[e.Event] = true
		if e.Event.Public() {
			require.Equal(t, want[e.Event], wire.Describe(&e))
		} else {
			require.Equal(t, "2 tasks in lane default_high", wire.Describe(&e))
		}
	}
	for _, name := range wire.EventNames {
		require.True(t, seen[name], name)
	}
}

func TestProgressIsSaidByPercentOrByWords(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]wire.EventData{
		"x at 40 % half": {Percent: new(40.0), Message: "half"}, "x at 0 %": {Percent: new(0.0)}, "x: row 7": {Message: "row 7"},
	} {
		require.Equal(t, want, wire.Describe(&wire.Event{Event: wire.EventProgress, TaskID: "x", Data: d}))
	}
}

func TestWhatLittleIsKnownIsSaidToo(t *testing.T) {
	t.Parallel()
	for _, name := range append([]wire.EventName{wire.EventDispatched, "task.renamed"}, wire.EventNames...) {
		require.NotEmpty(t, wire.Describe(&wire.Event{Event: name}), name)
	}
}

func TestFailuresSayHowTheyGoOn(t *testing.T) {
	t.Parallel()
	e := failedEvent(4, 0, 7, true)
	e.TaskID = "task-104"
	require.Equal(t, "task-104 failed for good: connection refused", wire.Describe(&e))
	e.Data.Final = nil
	require.Contains(t, wire.Describe(&e), "for good", "as it is folded")
	e.Data.Error.Message = strings.Repeat("é", 500)
	require.Less(t, len(wire.Describe(&e)), 200)
	require.True(t, strings.HasSuffix(wire.Describe(&e), "é…"))
}

func TestNewEventsAreOfNow(t *testing.T) {
	t.Parallel()
	before := wire.Now()
	e := wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: "a"})
	require.GreaterOrEqual(t, e.Timestamp, before)
	require.Equal(t, "a deleted", e.Description)
	require.Equal(t, dawn, wire.NewEvent(wire.Event{Event: wire.EventDeleted, Timestamp: dawn}).Timestamp)
}
