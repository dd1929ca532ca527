package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// transitions is the table of the package's documentation, with every way in which an event
// may not fit; a scheduled task was never handed out, so that any fence is above its own. A
// cell is the status that follows; "." for ignored, "refused", "duplicate", "collision",
// "removed"; "noted" where the status stays and the history grows.
const transitions = `
event                          none        scheduled   pending     inProgress  retrying    completed   failed      cancelled
submitted                      pending     .           .           .           .           .           .           .
submitted:later                scheduled   .           .           .           .           .           .           .
submitted:undefined            .           .           .           .           .           .           .           .
submitted:again                pending     duplicate   duplicate   duplicate   duplicate   duplicate   duplicate   duplicate
submitted:member               pending     duplicate   duplicate   duplicate   duplicate   duplicate   duplicate   duplicate
submitted:other                pending     collision   collision   collision   collision   collision   collision   collision
dispatched                     .           pending     pending     inProgress  pending     .           .           .
dispatched:known               .           .           .           .           .           .           .           .
dispatched:round-              .           .           .           .           .           .           .           .
dispatched:round+              .           .           .           .           .           .           .           .
dispatched:attempt-            .           .           .           .           .           .           .           .
dispatched:attempt+            .           .           .           .           .           .           .           .
scheduled:delay                .           scheduled   .           .           .           .           .           .
scheduled:delay-other          .           .           .           .           .           .           .           .
scheduled:manual               .           .           .           .           .           .           pending     pending
scheduled:manual-old           .           .           .           .           .           .           .           .
scheduled:manual-round         .           .           .           .           .           .           .           .
scheduled:repair               .           pending     pending     pending     pending     .           .           .
scheduled:repair-round         .           .           .           .           .           .           .           .
scheduled:unreasoned           .           .           .           .           .           .           .           .
started                        inProgress  inProgress  inProgress  inProgress  inProgress  .           .           .
started:same-fence             .           .           .           .           .           .           .           .
started:fence-                 inProgress  inProgress  .           .           .           .           .           .
started:round-                 inProgress  .           .           .           .           .           .           .
started:round+                 inProgress  .           .           .           .           .           .           .
started:attempt-               inProgress  .           .           .           .           .           .           .
started:attempt+               inProgress  .           .           .           .           .           .           .
started:other-submission       inProgress  .           .           .           .           .           .           .
started:other-member           inProgress  .           .           .           .           .           .           .
started:old-submission         .           inProgress  inProgress  inProgress  inProgress  .           .           .
started:undefined              .           inProgress  inProgress  inProgress  inProgress  .           .           .
progress                       .           .           .           inProgress  .           .           .           .
progress:fence-                .           .           .           .           .           .           .           .
progress:fence+                .           .           .           .           .           .           .           .
progress:round-                .           .           .           .           .           .           .           .
progress:attempt-              .           .           .           .           .           .           .           .
progress:empty                 .           .           .           .           .           .           .           .
completed                      .           refused     refused     completed   refused     .           refused     refused
completed:fence-               .           refused     refused     refused     refused     refused     refused     refused
completed:fence+               .           refused     refused     refused     refused     refused     refused     refused
completed:no-fence             .           .           .           .           .           .           .           .
completed:round-               .           refused     refused     refused     refused     refused     refused     refused
completed:round+               .           refused     refused     refused     refused     refused     refused     refused
completed:attempt-             .           refused     refused     refused     refused     .           refused     refused
failed:final                   .           failed      refused     failed      .           refused     .           refused
failed:retryable               .           retrying    refused     retrying    .           refused     .           refused
failed:told-later              .           failed      refused     failed      refused     refused     refused     refused
failed:fence-                  .           failed      refused     refused     refused     refused     refused     refused
failed:not-started             .           failed      failed      failed      failed      refused     refused     refused
failed:not-started-attempt-    .           refused     refused     refused     refused     refused     refused     refused
failed:not-started-attempt+    .           refused     refused     refused     refused     refused     refused     refused
failed:not-started-round-      .           refused     refused     refused     refused     refused     refused     refused
failed:scheduler               .           failed      failed      .           failed      .           .           .
failed:scheduler-round-        .           .           .           .           .           .           .           .
reassigned                     .           .           .           pending     .           .           .           .
reassigned:fence-              .           .           .           .           .           .           .           .
reassigned:fence+              .           .           .           .           .           .           .           .
reassigned:round-              .           .           .           .           .           .           .           .
reassigned:attempt-            .           .           .           .           .           .           .           .
cancelled                      .           cancelled   cancelled   cancelled   cancelled   .           .           .
cancelled:old                  .           .           .           .           .           .           .           .
cancelled:round-               .           .           .           .           .           .           .           .
deleted                        .           .           .           .           .           removed     removed     removed
deleted:old                    .           .           .           .           .           .           .           .
refused                        .           noted       noted       noted       noted       noted       noted       noted
duplicate                      .           noted       noted       noted       noted       noted       noted       noted
rejected                       .           noted       noted       noted       noted       noted       noted       noted
unknown                        .           .           .           .           .           .           .           .
`

// baseFence is that of the hand-out of which the records of the table know.
const (
	baseFence   = testLane*wire.FencePerLane + 7
	baseControl = 30
)

// recordIn is a record of the given status. All but the scheduled one are in their second
// round, so that there is an earlier one, and were handed out once in it.
func recordIn(t *testing.T, status wire.Status) *wire.Record {
	t.Helper()
	h := newHistory(t)
	if status == wire.StatusScheduled {
		h.apply(laterEvent())
		h.rec.Meta.ControlSeq = baseControl // a command of which nothing came
		return h.rec
	}
	h.apply(submittedEvent(), dispatchedEvent(1, 0, 40), cancelledEvent(0, baseControl-1), retriedEvent(1, baseControl),
		dispatchedEvent(1, 1, testLane), startedEvent(1, 1, baseFence))
	switch status {
	case wire.StatusPending:
		h.apply(reassignedEvent(1, 1, baseFence, wire.ReasonDrain))
	case wire.StatusRetrying:
		h.apply(failedEvent(1, 1, baseFence, false))
	case wire.StatusCompleted:
		h.apply(completedEvent(1, 1, baseFence))
	case wire.StatusFailed:
		h.apply(failedEvent(1, 1, baseFence, true))
	case wire.StatusCancelled:
		h.apply(cancelledEvent(1, baseControl+1))
	}
	require.Equal(t, status, h.rec.Status)
	return h.rec
}

// place is what an event needs to know of the record that it is meant for.
type place struct {
	attempt, due, round int
	fence, control      uint64
}

func placeOf(rec *wire.Record) place {
	if rec == nil {
		return place{attempt: 1, due: 1}
	}
	p := place{attempt: rec.Attempt, due: rec.Attempt, round: rec.Meta.Round, fence: rec.Fence, control: rec.Meta.ControlSeq}
	if rec.Status == wire.StatusRetrying {
		p.due++
	}
	return p
}

// latest is the fence of the recorded hand-out, or one that could be the first.
func (p place) latest() uint64 {
	if p.fence == 0 {
		return baseFence
	}
	return p.fence
}

// variants makes the events of the table.
var variants = map[string]func(place) wire.Event{
	"submitted":       func(place) wire.Event { return submittedEvent() },
	"submitted:later": func(place) wire.Event { return laterEvent() },
	"submitted:undefined": func(place) wire.Event {
		return change(submittedEvent(), func(d *wire.EventData) { d.Task = nil })
	},
	"submitted:again": func(place) wire.Event {
		return change(submittedEvent(), func(d *wire.EventData) { d.SubmitSeq++ })
	},
	"submitted:member": func(place) wire.Event {
		return change(submittedEvent(), func(d *wire.EventData) { d.Member = 2 })
	},
	"submitted:other": func(place) wire.Event {
		return change(submittedEvent(), func(d *wire.EventData) { d.SubmitSeq++; d.Hash = "deadbeef" })
	},
	"dispatched":          func(p place) wire.Event { return dispatchedEvent(p.due, p.round, testLane+1) },
	"dispatched:known":    func(p place) wire.Event { return dispatchedEvent(p.due, p.round, p.fence/wire.FencePerLane) },
	"dispatched:round-":   func(p place) wire.Event { return dispatchedEvent(p.due, p.round-1, testLane+1) },
	"dispatched:round+":   func(p place) wire.Event { return dispatchedEvent(p.due, p.round+1, testLane+1) },
	"dispatched:attempt-": func(p place) wire.Event { return dispatchedEvent(p.due-1, p.round, testLane+1) },
	"dispatched:attempt+": func(p place) wire.Event { return dispatchedEvent(p.due+1, p.round, testLane+1) },
	"scheduled:delay":     func(place) wire.Event { return delayEvent(testSubmission) },
	"scheduled:delay-other": func(place) wire.Event {
		return delayEvent(testSubmission + 1)
	},
	"scheduled:manual":       func(p place) wire.Event { return retriedEvent(p.round+1, p.control+1) },
	"scheduled:manual-old":   func(p place) wire.Event { return retriedEvent(p.round+1, p.control) },
	"scheduled:manual-round": func(p place) wire.Event { return retriedEvent(p.round, p.control+1) },
	"scheduled:repair":       func(p place) wire.Event { return repairedEvent(p.round + 1) },
	"scheduled:repair-round": func(p place) wire.Event { return repairedEvent(p.round + 2) },
	"scheduled:unreasoned": func(p place) wire.Event {
		return change(retriedEvent(p.round+1, p.control+1), func(d *wire.EventData) { d.Reason = "" })
	},
	"started":            func(p place) wire.Event { return startedEvent(p.due, p.round, p.latest()+1) },
	"started:same-fence": func(p place) wire.Event { return startedEvent(p.due, p.round, p.fence) },
	"started:fence-":     func(p place) wire.Event { return startedEvent(p.due, p.round, max(p.fence, 1)-min(p.fence, 1)) },
	"started:round-":     func(p place) wire.Event { return startedEvent(p.due, p.round-1, p.latest()+1) },
	"started:round+":     func(p place) wire.Event { return startedEvent(p.due, p.round+1, p.latest()+1) },
	"started:attempt-":   func(p place) wire.Event { return startedEvent(p.due-1, p.round, p.latest()+1) },
	"started:attempt+":   func(p place) wire.Event { return startedEvent(p.due+1, p.round, p.latest()+1) },
	"started:other-submission": func(p place) wire.Event {
		return change(startedEvent(p.due, p.round, p.latest()+1), func(d *wire.EventData) { d.SubmitSeq++ })
	},
	"started:other-member": func(p place) wire.Event {
		return change(startedEvent(p.due, p.round, p.latest()+1), func(d *wire.EventData) { d.Member++ })
	},
	"started:old-submission": func(p place) wire.Event {
		e := startedEvent(p.due, p.round, p.latest()+1)
		e.Timestamp = dawn.Add(wire.YoungSubmission)
		return e
	},
	"started:undefined": func(p place) wire.Event {
		return change(startedEvent(p.due, p.round, p.latest()+1), func(d *wire.EventData) { d.Task = nil })
	},
	"progress":          func(p place) wire.Event { return progressEvent(p.attempt, p.round, p.latest()) },
	"progress:fence-":   func(p place) wire.Event { return progressEvent(p.attempt, p.round, p.latest()-1) },
	"progress:fence+":   func(p place) wire.Event { return progressEvent(p.attempt, p.round, p.latest()+1) },
	"progress:round-":   func(p place) wire.Event { return progressEvent(p.attempt, p.round-1, p.latest()) },
	"progress:attempt-": func(p place) wire.Event { return progressEvent(p.attempt-1, p.round, p.latest()) },
	"progress:empty": func(p place) wire.Event {
		return change(progressEvent(p.attempt, p.round, p.latest()), func(d *wire.EventData) { d.Percent, d.Message = nil, "" })
	},
	"completed":                   func(p place) wire.Event { return completedEvent(p.attempt, p.round, p.latest()) },
	"completed:fence-":            func(p place) wire.Event { return completedEvent(p.attempt, p.round, p.latest()-1) },
	"completed:fence+":            func(p place) wire.Event { return completedEvent(p.attempt, p.round, p.latest()+1) },
	"completed:no-fence":          func(p place) wire.Event { return completedEvent(p.attempt, p.round, 0) },
	"completed:round-":            func(p place) wire.Event { return completedEvent(p.attempt, p.round-1, p.latest()) },
	"completed:round+":            func(p place) wire.Event { return completedEvent(p.attempt, p.round+1, p.latest()) },
	"completed:attempt-":          func(p place) wire.Event { return completedEvent(p.attempt-1, p.round, p.latest()) },
	"failed:final":                func(p place) wire.Event { return failedEvent(p.attempt, p.round, p.latest(), true) },
	"failed:retryable":            func(p place) wire.Event { return failedEvent(p.attempt, p.round, p.latest(), false) },
	"failed:told-later":           func(p place) wire.Event { return at(failedEvent(p.attempt, p.round, p.latest(), true), dawn+8) },
	"failed:fence-":               func(p place) wire.Event { return failedEvent(p.attempt, p.round, p.latest()-1, true) },
	"failed:not-started":          func(p place) wire.Event { return failedEvent(p.due, p.round, p.latest()+1, true) },
	"failed:not-started-attempt-": func(p place) wire.Event { return failedEvent(p.due-1, p.round, p.latest()+1, true) },
	"failed:not-started-attempt+": func(p place) wire.Event { return failedEvent(p.due+1, p.round, p.latest()+1, true) },
	"failed:not-started-round-":   func(p place) wire.Event { return failedEvent(p.due, p.round-1, p.latest()+1, true) },
	"failed:scheduler":            func(p place) wire.Event { return failedEvent(p.attempt, p.round, 0, true) },
	"failed:scheduler-round-":     func(p place) wire.Event { return failedEvent(p.attempt, p.round-1, 0, true) },
	"reassigned":                  func(p place) wire.Event { return reassignedEvent(p.attempt, p.round, p.latest(), wire.ReasonLease) },
	"reassigned:fence-":           func(p place) wire.Event { return reassignedEvent(p.attempt, p.round, p.latest()-1, wire.ReasonLease) },
	"reassigned:fence+":           func(p place) wire.Event { return reassignedEvent(p.attempt, p.round, p.latest()+1, wire.ReasonLease) },
	"reassigned:round-":           func(p place) wire.Event { return reassignedEvent(p.attempt, p.round-1, p.latest(), wire.ReasonLease) },
	"reassigned:attempt-":         func(p place) wire.Event { return reassignedEvent(p.attempt-1, p.round, p.latest(), wire.ReasonLease) },
	"cancelled":                   func(p place) wire.Event { return cancelledEvent(p.round, p.control+1) },
	"cancelled:old":               func(p place) wire.Event { return cancelledEvent(p.round, p.control) },
	"cancelled:round-":            func(p place) wire.Event { return cancelledEvent(p.round-1, p.control+1) },
	"deleted":                     func(p place) wire.Event { return deletedEvent(p.control + 1) },
	"deleted:old":                 func(p place) wire.Event { return deletedEvent(p.control) },
	"refused":                     func(place) wire.Event { return wire.Event{Event: wire.EventRefused} },
	"duplicate":                   func(place) wire.Event { return wire.Event{Event: wire.EventDuplicate} },
	"rejected":                    func(place) wire.Event { return wire.Event{Event: wire.EventRejected} },
	"unknown":                     func(place) wire.Event { return wire.Event{Event: "task.renamed"} },
}

func change(e wire.Event, f func(*wire.EventData)) wire.Event {
	f(&e.Data)
	return e
}

func at(e wire.Event, t wire.Time) wire.Event {
	e.Data.Error.At = t
	return e
}

func delayEvent(submission uint64) wire.Event {
	return wire.Event{Event: wire.EventScheduled, Data: wire.EventData{Reason: wire.ReasonDelay, SubmitSeq: submission, ScheduledFor: dawn + 60_000}}
}

func TestEveryTransition(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(transitions), "\n")
	states := strings.Fields(lines[0])[1:]
	require.Len(t, states, 1+len(wire.Statuses))
	require.Len(t, variants, len(lines)-1, "each event of the table once")
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		require.Contains(t, variants, cells[0])
		for i, want := range cells[1:] {
			t.Run(cells[0]+"/"+states[i], func(t *testing.T) {
				t.Parallel()
				checkTransition(t, states[i], variants[cells[0]], want)
			})
		}
	}
}

func checkTransition(t *testing.T, state string, event func(place) wire.Event, want string) {
	t.Helper()
	var rec *wire.Record
	if state != "none" {
		rec = recordIn(t, wire.Status(state))
	}
	e := event(placeOf(rec))
	e.TaskID = "order-17"
	if e.Timestamp == 0 {
		e.Timestamp = dawn + 30_000
	}
	pos := wire.Position{Seq: 2000, Index: 1}
	next, verdict, reason := foldPurely(t, rec, e, pos)
	verdicts := map[string]wire.Verdict{
		".": wire.Ignored, "refused": wire.Refused, "duplicate": wire.Duplicate, "collision": wire.Collision, "removed": wire.Deleted,
	}
	if wanted, other := verdicts[want]; other {
		require.Equal(t, wanted, verdict, reason)
		if want == "removed" {
			require.Nil(t, next)
		}
		return
	}
	require.Equal(t, wire.Applied, verdict, reason)
	if want == "noted" {
		want = state
	}
	require.Equal(t, want, string(next.Status))
	if e.Event == wire.EventDispatched {
		require.Equal(t, e.Data.LaneSeq, next.Meta.LaneSeq)
	}
	if e.Event != wire.EventDispatched && e.Event != wire.EventProgress {
		require.Equal(t, pos, next.Meta.History[len(next.Meta.History)-1])
	}
}
