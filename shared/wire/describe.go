package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe says an event in English, from its other fields alone.
func Describe(e *Event) string {
	d := &e.Data
	if s := describeTask(e, d); s != "" {
		return s
	}
	switch e.Event {
	case EventWorkerNew:
		return fmt.Sprintf("%s added to pool %s", e.WorkerID, e.Pool)
	case EventWorkerReady:
		return fmt.Sprintf("%s of pool %s is ready", e.WorkerID, e.Pool)
	case EventWorkerHung:
		return fmt.Sprintf("%s of pool %s is hung%s", e.WorkerID, e.Pool, because(d.Reason))
	case EventWorkerLost:
		return fmt.Sprintf("%s of pool %s was lost%s", e.WorkerID, e.Pool, because(d.Reason))
	case EventWorkerStop:
		return fmt.Sprintf("%s of pool %s stopped%s", e.WorkerID, e.Pool, because(d.Reason))
	case EventPoolScaled:
		return fmt.Sprintf("pool %s scaled from %d to %d workers%s", e.Pool, deref(d.From), deref(d.To), because(d.Reason))
	case EventPoolChanged:
		return fmt.Sprintf("pool %s changed: %s", e.Pool, d.Change)
	case EventQueuePaused:
		return fmt.Sprintf("queue %s paused", d.Queue)
	case EventQueueResume:
		return fmt.Sprintf("queue %s resumed", d.Queue)
	case EventQueueChange:
		return fmt.Sprintf("queue %s changed: %s", d.Queue, d.Change)
	case EventSystem:
		return fmt.Sprintf("system is %s, was %s%s", d.Status, d.Previous, because(d.Reason))
	case EventAudit:
		return fmt.Sprintf("%s: %s %s", d.Actor, d.Action, d.Target)
	}
	return string(e.Event)
}

func describeTask(e *Event, d *EventData) string {
	switch e.Event {
	case EventSubmitted:
		if d.Task == nil {
			return e.TaskID + " submitted"
		}
		return e.TaskID + " of type " + d.Task.Type + " submitted" // this and the like are said of every task
	case EventRejected:
		return fmt.Sprintf("submission %d rejected%s", d.SubmitSeq, because(rejection(d)))
	case EventDuplicate:
		return fmt.Sprintf("%s submitted again; it runs once", e.TaskID)
	case EventScheduled:
		return fmt.Sprintf("%s scheduled for %s%s", e.TaskID, d.ScheduledFor, because(d.Reason))
	case EventDispatched:
		return fmt.Sprintf("%d tasks in lane %s", len(d.IDs), d.Lane)
	case EventStarted:
		return e.TaskID + " assigned to " + e.WorkerID
	case EventProgress:
		return describeProgress(e.TaskID, d)
	case EventCompleted:
		return e.TaskID + " completed in " + strconv.FormatInt(derefInt64(d.ExecutionTimeMs), 10) + " ms"
	case EventFailed:
		return describeFailure(e, d)
	case EventReassigned:
		return fmt.Sprintf("%s handed out again%s", e.TaskID, because(d.Reason))
	case EventRefused:
		return fmt.Sprintf("late %s of %s refused%s", d.Outcome, e.TaskID, because(d.Reason))
	case EventCancelled:
		return fmt.Sprintf("%s cancelled%s", e.TaskID, because(d.Reason))
	case EventDeleted:
		return fmt.Sprintf("%s deleted", e.TaskID)
	}
	return ""
}

func describeFailure(e *Event, d *EventData) string {
	message := ""
	if d.Error != nil {
		message = clip(d.Error.Message, 120)
	}
	if d.Final == nil || *d.Final {
		return fmt.Sprintf("%s failed for good: %s", e.TaskID, message)
	}
	return fmt.Sprintf("%s failed: %s; retrying (%d/%d)", e.TaskID, message, deref(d.Retries), deref(d.MaxRetries))
}

func rejection(d *EventData) string {
	if d.Reason != "" || len(d.Errors) == 0 {
		return d.Reason
	}
	return clip(d.Errors.Error(), 200)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func deref(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

func derefInt64(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// describeProgress tells what a handler has said of how far it is: a percentage, words, or both.
func describeProgress(task string, d *EventData) string {
	switch {
	case d.Percent != nil:
		return strings.TrimSpace(fmt.Sprintf("%s at %.3g %% %s", task, *d.Percent, d.Message))
	case d.Message != "":
		return task + ": " + d.Message
	}
	return task + " goes on"
}

// NewEvent is an event of now, said in English.
func NewEvent(e Event) Event {
	if e.Timestamp == 0 {
		e.Timestamp = Now()
	}
	e.Description = Describe(&e)
	return e
}
