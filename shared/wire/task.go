package wire

import "encoding/json"

// TaskError is why the last failed attempt failed.
type TaskError struct {
	Message string    `json:"message"`
	Code    ErrorCode `json:"code"`
	Attempt int       `json:"attempt"`
	At      Time      `json:"at"`
}

// Progress is what a handler last said of how far it is; Percent is nil while it has not said.
type Progress struct {
	Percent *float64 `json:"percent,omitempty"`
	Message string   `json:"message,omitempty"`
}

// Record is the state of a task as it lies in BucketTasks: the resource without its
// payload, and Meta for the services.
type Record struct {
	ID string `json:"id"`
	Definition
	Status Status `json:"status"`
	// Attempt is the attempt that waits, runs, or ended last; 1 for the first. It and
	// Retries count failures only, not reassignments.
	Attempt int `json:"attempt"`
	Retries int `json:"retries"`
	// Fence of the latest hand-out; 0 before the first.
	Fence           uint64          `json:"fence"`
	Result          json.RawMessage `json:"result,omitempty"`
	Error           *TaskError      `json:"error,omitempty"`
	Progress        *Progress       `json:"progress,omitempty"`
	Worker          string          `json:"worker,omitempty"`
	Pool            string          `json:"pool,omitempty"`
	SubmittedAt     Time            `json:"submittedAt"`
	ScheduledFor    Time            `json:"scheduledFor,omitempty"`
	StartedAt       Time            `json:"startedAt,omitempty"`
	FinishedAt      Time            `json:"finishedAt,omitempty"`
	WaitTimeMs      *int64          `json:"waitTimeMs,omitempty"`
	ExecutionTimeMs *int64          `json:"executionTimeMs,omitempty"`
	Meta            Meta            `json:"meta"`
}

// Meta is what services need to know of a task beside its resource.
type Meta struct {
	// SubmitSeq is the submission's sequence in StreamSubmit, Member its number in a
	// group from 1, 0 where it was submitted alone.
	SubmitSeq uint64 `json:"submitSeq"`
	Member    int    `json:"member,omitempty"`
	// Hash of the submission's content; only for ids chosen by clients.
	Hash string `json:"hash,omitempty"`
	// Round begins with 0 and grows with every manual retry and repair; a cancel ends
	// its round only.
	Round int `json:"round,omitempty"`
	// LaneSeq is the sequence in StreamReady of the message that runs the task, 0 while unknown.
	LaneSeq uint64 `json:"laneSeq,omitempty"`
	// ControlSeq is the sequence in StreamControl of the last command applied.
	ControlSeq uint64 `json:"controlSeq,omitempty"`
	// Crashes counts hand-outs during which worker, pool or host died.
	Crashes int `json:"crashes,omitempty"`
	// PayloadObject and ResultObject name objects in BucketObjects.
	PayloadObject string `json:"payloadObject,omitempty"`
	ResultObject  string `json:"resultObject,omitempty"`
	// DueAt is when the latest attempt could have run; waits are measured from it.
	DueAt Time `json:"dueAt,omitempty"`
	// Early: a start stood before the submission, which has not been seen yet.
	Early bool `json:"early,omitempty"`
	// UpdatedAt is the time of the last event applied.
	UpdatedAt Time `json:"updatedAt,omitempty"`
	// History is where the task's events stand: the first and the latest ones.
	History          []Position `json:"history,omitempty"`
	HistoryTruncated bool       `json:"historyTruncated,omitempty"`
}

// ExpiresAt is when an ended task's retention is over; 0 while it has not ended.
func (r *Record) ExpiresAt() Time {
	if !r.Status.Ended() {
		return 0
	}
	return r.FinishedAt + Time(r.RetentionMs)
}

// Clone copies a record so that the copy can be changed.
func (r *Record) Clone() *Record {
	c := *r
	c.Meta.History = append([]Position(nil), r.Meta.History...)
	return &c
}

// compactDefinition is a Definition that leaves out what stands in every default.
type compactDefinition struct {
	Type        string            `json:"type"`
	Queue       string            `json:"queue,omitempty"`
	Priority    Priority          `json:"priority,omitempty"`
	MaxRetries  *int              `json:"maxRetries,omitempty"`
	Backoff     *Backoff          `json:"backoff,omitempty"`
	TimeoutMs   int64             `json:"timeoutMs,omitempty"`
	DelayMs     int64             `json:"delayMs,omitempty"`
	RunAt       Time              `json:"runAt,omitempty"`
	Deadline    Time              `json:"deadline,omitempty"`
	RetentionMs int64             `json:"retentionMs,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Compact is a Definition in events and lane messages: fields at StandardDefaults are left out.
type Compact Definition

// UnmarshalJSON implements json.Unmarshaler.
func (c *Compact) UnmarshalJSON(b []byte) error {
	d := StandardDefaults
	in := compactDefinition{Queue: "default", Priority: PriorityMedium, TimeoutMs: d.TimeoutMs, RetentionMs: d.RetentionMs}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*c = Compact{
		Type: in.Type, Queue: in.Queue, Priority: in.Priority, MaxRetries: d.MaxRetries, Backoff: DefaultBackoff,
		TimeoutMs: in.TimeoutMs, DelayMs: in.DelayMs, RunAt: in.RunAt, Deadline: in.Deadline, RetentionMs: in.RetentionMs, Tags: in.Tags,
	}
	if in.MaxRetries != nil {
		c.MaxRetries = *in.MaxRetries
	}
	if in.Backoff != nil {
		c.Backoff = *in.Backoff
	}
	if c.Tags == nil {
		c.Tags = map[string]string{}
	}
	return nil
}

// Envelope is a message of a lane, of a schedule, or of what fell due: all that is needed
// to run a task once, without a look at its record.
type Envelope struct {
	ID   string  `json:"id"`
	Task Compact `json:"task"`
	// Attempt to run, Retries so far, Round it belongs to.
	Attempt int `json:"attempt"`
	Retries int `json:"retries,omitempty"`
	Round   int `json:"round,omitempty"`
	// After is the fence of the hand-out that asked for this attempt; 0 for a first one.
	After uint64 `json:"after,omitempty"`
	// SubmitSeq and Member say which submission this is, SubmittedAt when.
	SubmitSeq   uint64 `json:"submitSeq"`
	Member      int    `json:"member,omitempty"`
	SubmittedAt Time   `json:"submittedAt"`
	// DueAt is when this attempt could run first.
	DueAt Time `json:"dueAt"`
	// ControlSeq is that of the command that began the round; older cancels do not concern it.
	ControlSeq uint64 `json:"controlSeq,omitempty"`
	// Hash is Meta.Hash.
	Hash    string          `json:"hash,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// PayloadObject names the object that holds the payload instead.
	PayloadObject string `json:"payloadObject,omitempty"`
}

// MsgID is the message id that keeps a lane from taking the same run twice.
func (e *Envelope) MsgID() string { return e.ID + "." + itoa(e.Attempt) + "." + itoa(e.Round) }

// Definition of the task.
func (e *Envelope) Definition() *Definition { return (*Definition)(&e.Task) }

// Encode is the message's body.
func (e *Envelope) Encode() []byte {
	b, err := e.append(make([]byte, 0, 256+len(e.Payload)))
	if err != nil {
		panic("wire: an envelope does not encode: " + err.Error()) // only an invalid payload could
	}
	return b
}

// DecodeEnvelope reads a lane, schedule or due message.
func DecodeEnvelope(b []byte) (*Envelope, error) {
	var e Envelope
	if !readEnvelope(b, &e) {
		e = Envelope{}
		if err := json.Unmarshal(b, &e); err != nil {
			return nil, decodeError("envelope", err)
		}
	}
	if !e.complete() {
		return nil, decodeError("envelope", errIncomplete)
	}
	return &e, nil
}

func (e *Envelope) complete() bool {
	return ValidID(e.ID) && ValidType(e.Task.Type) && ValidQueue(e.Task.Queue) && e.Task.Priority.Valid() && e.Attempt >= 1
}

// DecodeRecord reads a value of BucketTasks.
func DecodeRecord(b []byte) (*Record, error) {
	var r Record
	if !readRecord(b, &r) {
		r = Record{}
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, decodeError("record", err)
		}
	}
	if r.ID == "" || !r.Status.Valid() {
		return nil, decodeError("record", errIncomplete)
	}
	return &r, nil
}

// Command is the body of a bulk command on SubjectRequestCancel, -Retry or -Delete.
type Command struct {
	IDs []string `json:"ids"`
}

// DecodeCommand reads a bulk command.
func DecodeCommand(b []byte) (*Command, error) {
	var c Command
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, decodeError("command", err)
	}
	if len(c.IDs) == 0 || len(c.IDs) > MaxIDsPerCommand {
		return nil, decodeError("command", errIncomplete)
	}
	return &c, nil
}

// LogLine is one line of a task's log; a message of StreamLogs is an array of them.
type LogLine struct {
	At      Time   `json:"at"`
	Level   string `json:"level"`
	Message string `json:"message"`
	Attempt int    `json:"attempt"`
}
