package wire

import (
	"encoding/json"
)

// Event is one thing that happened; a message of StreamEvents is an array of them.
type Event struct {
	// Seq is the event's Position, added when it is read.
	Seq         string    `json:"seq,omitempty"`
	Timestamp   Time      `json:"timestamp"`
	Event       EventName `json:"event"`
	Description string    `json:"description"`
	TaskID      string    `json:"taskId,omitempty"`
	WorkerID    string    `json:"workerId,omitempty"`
	Pool        string    `json:"pool,omitempty"`
	Attempt     int       `json:"attempt,omitempty"`
	Data        EventData `json:"data"`
}

// EventData holds every part of an event's description, and what the recorder folds.
// Which fields are set depends on the event.
type EventData struct {
	// Task is the definition: submitted, started.
	Task *Compact `json:"task,omitempty"`
	// SubmitSeq, Member, SubmittedAt, Hash, PayloadObject: submitted, started, duplicate, rejected.
	SubmitSeq     uint64 `json:"submitSeq,omitempty"`
	Member        int    `json:"member,omitempty"`
	SubmittedAt   Time   `json:"submittedAt,omitempty"`
	Hash          string `json:"hash,omitempty"`
	PayloadObject string `json:"payloadObject,omitempty"`
	// Round, Fence, LaneSeq, Retries: of the hand-out an event belongs to.
	Round   int    `json:"round,omitempty"`
	Fence   uint64 `json:"fence,omitempty"`
	LaneSeq uint64 `json:"laneSeq,omitempty"`
	Retries *int   `json:"retries,omitempty"`
	// ControlSeq is that of the command an event answers: cancelled, scheduled, deleted, started.
	ControlSeq uint64 `json:"controlSeq,omitempty"`
	// DueAt is when a started attempt could have run first.
	DueAt Time `json:"dueAt,omitempty"`
	// ScheduledFor is when a task is to run: submitted, scheduled.
	ScheduledFor Time `json:"scheduledFor,omitempty"`
	// Reason says why: scheduled, reassigned, refused, rejected, cancelled, worker and pool events.
	Reason string `json:"reason,omitempty"`
	// Result or ResultObject, ExecutionTimeMs, WaitTimeMs: completed, failed.
	Result          json.RawMessage `json:"result,omitempty"`
	ResultObject    string          `json:"resultObject,omitempty"`
	ExecutionTimeMs *int64          `json:"executionTimeMs,omitempty"`
	WaitTimeMs      *int64          `json:"waitTimeMs,omitempty"`
	// Final, MaxRetries, NextAttemptAt, Error: failed.
	Final         *bool      `json:"final,omitempty"`
	MaxRetries    *int       `json:"maxRetries,omitempty"`
	NextAttemptAt Time       `json:"nextAttemptAt,omitempty"`
	Error         *TaskError `json:"error,omitempty"`
	// Percent, Message: progress.
	Percent *float64 `json:"percent,omitempty"`
	Message string   `json:"message,omitempty"`
	// Lane, First, Sizes, IDs, Attempts, Rounds: dispatched. The first Sizes[0] of the IDs lie in
	// the lane message First, the next Sizes[1] in First+1, and so on; without Sizes each has a
	// message of its own. Attempts and Rounds are left out where all are 1 and 0.
	Lane     string   `json:"lane,omitempty"`
	First    uint64   `json:"first,omitempty"`
	Sizes    []int    `json:"sizes,omitempty"`
	IDs      []string `json:"ids,omitempty"`
	Attempts []int    `json:"attempts,omitempty"`
	Rounds   []int    `json:"rounds,omitempty"`
	// Outcome is the event that was refused; Status that of the record: refused.
	Outcome EventName `json:"outcome,omitempty"`
	Status  string    `json:"status,omitempty"`
	// Errors and RejectedSeq (in StreamRejected): rejected.
	Errors      Faults `json:"errors,omitempty"`
	RejectedSeq uint64 `json:"rejectedSeq,omitempty"`
	// Host, PID, ExitCode, Signal, Tasks: workers.
	Host     string   `json:"host,omitempty"`
	PID      int      `json:"pid,omitempty"`
	ExitCode *int     `json:"exitCode,omitempty"`
	Signal   string   `json:"signal,omitempty"`
	Tasks    []string `json:"tasks,omitempty"`
	// From, To: pool.scaled. Queue: queues.
	From  *int   `json:"from,omitempty"`
	To    *int   `json:"to,omitempty"`
	Queue string `json:"queue,omitempty"`
	// Action, Target, Actor, Role, Remote, Change: audit, and changes of pools and queues.
	Action string          `json:"action,omitempty"`
	Target string          `json:"target,omitempty"`
	Actor  string          `json:"actor,omitempty"`
	Role   string          `json:"role,omitempty"`
	Remote string          `json:"remote,omitempty"`
	Change json.RawMessage `json:"change,omitempty"`
	// Previous status: system.status.
	Previous string `json:"previous,omitempty"`
}

// EncodeEvents is a message of StreamEvents.
func EncodeEvents(events []Event) ([]byte, error) {
	b := append(make([]byte, 0, 2+256*len(events)), '[')
	for i := range events {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = events[i].AppendJSON(b); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// DecodeEvents reads a message of StreamEvents and fills in the positions.
func DecodeEvents(seq uint64, b []byte) ([]Event, error) {
	events := readEvents(b)
	if events == nil {
		if err := json.Unmarshal(b, &events); err != nil {
			return nil, decodeError("events", err)
		}
	}
	for i := range events {
		events[i].Seq = Position{seq, i}.String()
	}
	return events, nil
}
