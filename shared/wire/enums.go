package wire

import "time"

// Status of a task.
type Status string

// The states. Ended are the last three.
const (
	StatusScheduled  Status = "scheduled"
	StatusPending    Status = "pending"
	StatusInProgress Status = "inProgress"
	StatusRetrying   Status = "retrying"
	StatusCompleted  Status = "completed"
	StatusFailed     Status = "failed"
	StatusCancelled  Status = "cancelled"
)

// Statuses lists every status in the order of a task's life.
var Statuses = []Status{StatusScheduled, StatusPending, StatusInProgress, StatusRetrying, StatusCompleted, StatusFailed, StatusCancelled}

// Ended tells whether no more happens to a task of this status by itself.
func (s Status) Ended() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// Valid tells whether s is one of Statuses.
func (s Status) Valid() bool { return indexOf(Statuses, s) >= 0 }

// Priority of a task; a lane exists for each per queue.
type Priority string

// The priorities.
const (
	PriorityCritical Priority = "critical"
	PriorityHigh     Priority = "high"
	PriorityMedium   Priority = "medium"
	PriorityLow      Priority = "low"
)

// Priorities lists them highest first.
var Priorities = []Priority{PriorityCritical, PriorityHigh, PriorityMedium, PriorityLow}

// Valid tells whether p is one of Priorities.
func (p Priority) Valid() bool { return p.Rank() >= 0 }

// Rank is 0 for critical to 3 for low, -1 for anything else.
func (p Priority) Rank() int { return indexOf(Priorities, p) }

func indexOf[T comparable](all []T, one T) int {
	for i, v := range all {
		if v == one {
			return i
		}
	}
	return -1
}

// ErrorCode says what ended an attempt.
type ErrorCode string

// The codes of a task's error.
const (
	CodeHandler     ErrorCode = "handler"
	CodeTimeout     ErrorCode = "timeout"
	CodeDeadline    ErrorCode = "deadline"
	CodeCrashed     ErrorCode = "crashed"
	CodeUnknownType ErrorCode = "unknownType"
)

// EventName names what happened.
type EventName string

// The events. EventDispatched is internal: it tells lane sequences to the recorder and
// is not shown to people.
const (
	EventSubmitted   EventName = "task.submitted"
	EventRejected    EventName = "task.rejected"
	EventDuplicate   EventName = "task.duplicate"
	EventScheduled   EventName = "task.scheduled"
	EventDispatched  EventName = "task.dispatched"
	EventStarted     EventName = "task.started"
	EventProgress    EventName = "task.progress"
	EventCompleted   EventName = "task.completed"
	EventFailed      EventName = "task.failed"
	EventReassigned  EventName = "task.reassigned"
	EventRefused     EventName = "task.refused"
	EventCancelled   EventName = "task.cancelled"
	EventDeleted     EventName = "task.deleted"
	EventWorkerNew   EventName = "worker.created"
	EventWorkerReady EventName = "worker.ready"
	EventWorkerHung  EventName = "worker.hung"
	EventWorkerLost  EventName = "worker.lost"
	EventWorkerStop  EventName = "worker.stopped"
	EventPoolScaled  EventName = "pool.scaled"
	EventPoolChanged EventName = "pool.changed"
	EventQueuePaused EventName = "queue.paused"
	EventQueueResume EventName = "queue.resumed"
	EventQueueChange EventName = "queue.changed"
	EventSystem      EventName = "system.status"
	EventAudit       EventName = "audit"
)

// EventNames lists every event that people may see.
var EventNames = []EventName{
	EventSubmitted, EventRejected, EventDuplicate, EventScheduled, EventStarted, EventProgress,
	EventCompleted, EventFailed, EventReassigned, EventRefused, EventCancelled, EventDeleted,
	EventWorkerNew, EventWorkerReady, EventWorkerHung, EventWorkerLost, EventWorkerStop,
	EventPoolScaled, EventPoolChanged, EventQueuePaused, EventQueueResume, EventQueueChange,
	EventSystem, EventAudit,
}

// Public tells whether people see this event.
func (e EventName) Public() bool { return e != EventDispatched }

// Reasons why a task is handed out again (EventReassigned) or runs anew (EventScheduled).
const (
	// ReasonCrash: its worker died, hung or broke the protocol; counted as a crash.
	ReasonCrash = "crash"
	// ReasonDrain: its pool or worker stops in order.
	ReasonDrain = "drain"
	// ReasonLease: its pool could not keep the lease.
	ReasonLease = "lease"
	// ReasonDelay: submitted to run later.
	ReasonDelay = "delay"
	// ReasonManual: somebody asked for a retry.
	ReasonManual = "manual"
	// ReasonRepair: the audit found an open task without a message that would run it.
	ReasonRepair = "repair"
)

// WorkerStatus is a worker's state.
type WorkerStatus string

// The states of a worker.
const (
	WorkerStarting WorkerStatus = "starting"
	WorkerIdle     WorkerStatus = "idle"
	WorkerActive   WorkerStatus = "active"
	WorkerBusy     WorkerStatus = "busy"
	WorkerDraining WorkerStatus = "draining"
	WorkerHung     WorkerStatus = "hung"
)

// SystemStatus is the state of the whole system.
type SystemStatus string

// The states of the system.
const (
	SystemStable     SystemStatus = "Stable"
	SystemHighLoad   SystemStatus = "High Load"
	SystemRecovering SystemStatus = "Recovering"
)

// Limits of the contract and of the streams.
const (
	// MaxPayload is the largest payload in place; larger ones travel as objects.
	MaxPayload = 512 << 10
	// MaxPayloadHTTP is the largest payload over HTTP.
	MaxPayloadHTTP = 64 << 20
	// MaxInlineResult is the largest result kept in a task's record; larger ones are objects.
	MaxInlineResult = 16 << 10
	// MaxInlineLater is the largest payload inside a schedule: all schedules due at one
	// instant are copied into the server's memory.
	MaxInlineLater = 16 << 10
	// MaxGroup is the most tasks in one array published to SubjectSubmit, MaxGroupHTTP over HTTP.
	MaxGroup     = 1000
	MaxGroupHTTP = 10000
	// MaxEventsPerMessage and MaxEventBytes bound one message of events.
	MaxEventsPerMessage = 500
	MaxEventBytes       = 256 << 10
	// MaxIDsPerCommand bounds a bulk command.
	MaxIDsPerCommand = 1000
	// HistoryLength is how many of a task's events a record points to.
	HistoryLength = 16
	// FencePerLane is the room for hand-outs of one lane message: fence = sequence × FencePerLane + n.
	FencePerLane = 1024
)

// Times that services must agree on.
const (
	// MinKeep is how long an ended record is kept at least, so that late messages find it.
	MinKeep = 10 * time.Minute
	// YoungSubmission is the age up to which a start may create a record.
	YoungSubmission = 10 * time.Minute
	// ScheduleFloor is the resolution of the server's schedules: what is due sooner is
	// published to its target at once, with HeaderNotBefore.
	ScheduleFloor = 250 * time.Millisecond
	// TickInterval is the period of the tick that one scheduler replica gets.
	TickInterval = time.Second
	// SampleFine and SampleCoarse are the steps of the kept series.
	SampleFine   = 5 * time.Second
	SampleCoarse = time.Minute
)
