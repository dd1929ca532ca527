package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// The shapes that the API speaks over HTTP and WebSocket. Every field is always there, null
// where it is unknown, unless it says otherwise.

// Text is a string that is null in JSON where it is empty.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// TaskResource is a task as lists show it: without its payload.
type TaskResource struct {
	ID          string            `json:"id"`
	Type        string            `json:"type"`
	Queue       string            `json:"queue"`
	Priority    Priority          `json:"priority"`
	MaxRetries  int               `json:"maxRetries"`
	Backoff     Backoff           `json:"backoff"`
	TimeoutMs   int64             `json:"timeoutMs"`
	DelayMs     *int64            `json:"delayMs"`
	RunAt       Time              `json:"runAt"`
	Deadline    Time              `json:"deadline"`
	RetentionMs int64             `json:"retentionMs"`
	Tags        map[string]string `json:"tags"`
	Status      Status            `json:"status"`
	Attempt     int               `json:"attempt"`
	Retries     int               `json:"retries"`
	Fence       uint64            `json:"fence"`
	// Result is null where there is none, and in lists where ResultOmitted is true.
	Result json.RawMessage `json:"result"`
	// ResultOmitted: the result is too large for a list; GET /tasks/:id has it.
	ResultOmitted   bool          `json:"resultOmitted"`
	Error           *TaskError    `json:"error"`
	Progress        *ProgressView `json:"progress"`
	Worker          Text          `json:"worker"`
	Pool            Text          `json:"pool"`
	SubmittedAt     Time          `json:"submittedAt"`
	ScheduledFor    Time          `json:"scheduledFor"`
	StartedAt       Time          `json:"startedAt"`
	FinishedAt      Time          `json:"finishedAt"`
	WaitTimeMs      *int64        `json:"waitTimeMs"`
	ExecutionTimeMs *int64        `json:"executionTimeMs"`
}

// ProgressView is Progress as clients see it.
type ProgressView struct {
	Percent *float64 `json:"percent"`
	Message Text     `json:"message"`
}

// String is the progress in a few words; empty where nothing is known.
func (p *ProgressView) String() string {
	if p.Percent == nil {
		return string(p.Message)
	}
	return strings.TrimSpace(fmt.Sprintf("%.0f%% %s", *p.Percent, p.Message))
}

// NewTaskResource shows a record. The record's parts are shared, not copied.
func NewTaskResource(r *Record) TaskResource {
	t := TaskResource{
		ID: r.ID, Type: r.Type, Queue: r.Queue, Priority: r.Priority, MaxRetries: r.MaxRetries, Backoff: r.Backoff,
		TimeoutMs: r.TimeoutMs, RunAt: r.RunAt, Deadline: r.Deadline, RetentionMs: r.RetentionMs, Tags: r.Tags,
		Status: r.Status, Attempt: r.Attempt, Retries: r.Retries, Fence: r.Fence, Result: r.Result,
		ResultOmitted: r.Meta.ResultObject != "", Error: r.Error, Worker: Text(r.Worker), Pool: Text(r.Pool),
		SubmittedAt: r.SubmittedAt, ScheduledFor: r.ScheduledFor, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		WaitTimeMs: r.WaitTimeMs, ExecutionTimeMs: r.ExecutionTimeMs,
	}
	if r.DelayMs > 0 {
		t.DelayMs = new(r.DelayMs)
	}
	if p := r.Progress; p != nil {
		t.Progress = &ProgressView{Percent: p.Percent, Message: Text(p.Message)}
	}
	if t.Tags == nil {
		t.Tags = map[string]string{}
	}
	return t
}

// TaskDetail is the answer to GET /tasks/:id.
type TaskDetail struct {
	TaskResource
	// Payload is null where it is, or where PayloadExpired says that it is gone.
	Payload        json.RawMessage `json:"payload"`
	PayloadExpired bool            `json:"payloadExpired"`
	// History is the task's events, oldest first; those in the middle may have been dropped.
	History          []EventView `json:"history"`
	HistoryTruncated bool        `json:"historyTruncated"`
}

// TaskPage is the answer to GET /tasks.
type TaskPage struct {
	Tasks []TaskResource `json:"tasks"`
	// Total of all matches, not of this page.
	Total      int     `json:"total"`
	NextCursor Text    `json:"nextCursor"`
	Facets     *Facets `json:"facets"`
}

// Facets are counts of the matches of a list; null unless asked for.
type Facets struct {
	Status   map[string]int `json:"status"`
	Type     map[string]int `json:"type"`
	Queue    map[string]int `json:"queue"`
	Priority map[string]int `json:"priority"`
}

// LogPage is the answer to GET /tasks/:id/logs.
type LogPage struct {
	Logs       []LogLine `json:"logs"`
	NextCursor Text      `json:"nextCursor"`
}

// SubmitAnswer is the answer to a POST of one task.
type SubmitAnswer struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
}

// DuplicateAnswer is the answer where the very task exists already.
type DuplicateAnswer struct {
	ID        string `json:"id"`
	Status    Status `json:"status"`
	Duplicate bool   `json:"duplicate"`
}

// BulkAnswer is the answer to a POST of several tasks; Results are in their order. The three
// counts add up to their number.
type BulkAnswer struct {
	Accepted   int            `json:"accepted"`
	Rejected   int            `json:"rejected"`
	Duplicates int            `json:"duplicates"`
	Results    []SubmitResult `json:"results"`
}

// SubmitResult is what became of one of several tasks: in JSON {"id", "status"}, with
// "duplicate" where it is one, or {"errors"}.
type SubmitResult struct {
	ID        string
	Status    Status
	Duplicate bool
	Errors    Faults
}

type submitResult struct {
	ID        string `json:"id,omitempty"`
	Status    Status `json:"status,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Errors    Faults `json:"errors,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r SubmitResult) MarshalJSON() ([]byte, error) { return json.Marshal(submitResult(r)) }

// UnmarshalJSON implements json.Unmarshaler.
func (r *SubmitResult) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*submitResult)(r)) }

// ActionAnswer is the answer to what was asked of one task or worker; Status is the one it
// had when the request was accepted.
type ActionAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// MatchedAnswer is the answer to a bulk action.
type MatchedAnswer struct {
	Matched int `json:"matched"`
}

// SessionAnswer says who is signed in.
type SessionAnswer struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

// WorkerView is a worker as clients see it.
type WorkerView struct {
	ID                 string       `json:"id"`
	Pool               string       `json:"pool"`
	Host               string       `json:"host"`
	PID                int          `json:"pid"`
	Status             WorkerStatus `json:"status"`
	CPUPercent         *float64     `json:"cpuPercent"`
	MemoryMb           *float64     `json:"memoryMb"`
	AssignedTasks      int          `json:"assignedTasks"`
	Concurrency        int          `json:"concurrency"`
	Completed          int64        `json:"completed"`
	Failed             int64        `json:"failed"`
	StartedAt          Time         `json:"startedAt"`
	LastHeartbeat      Time         `json:"lastHeartbeat"`
	LastHeartbeatAgoMs *int64       `json:"lastHeartbeatAgoMs"`
	Tasks              []string     `json:"tasks"`
}

// NewWorkerView shows a worker as of now.
func NewWorkerView(w *Worker, now Time) WorkerView {
	v := WorkerView{
		ID: w.ID, Pool: w.Pool, Host: w.Host, PID: w.PID, Status: w.Status, CPUPercent: w.CPUPercent, MemoryMb: w.MemoryMb,
		AssignedTasks: w.AssignedTasks, Concurrency: w.Concurrency, Completed: w.Completed, Failed: w.Failed,
		StartedAt: w.StartedAt, LastHeartbeat: w.LastHeartbeat, Tasks: w.Tasks,
	}
	if w.LastHeartbeat > 0 {
		v.LastHeartbeatAgoMs = new(max(int64(now-w.LastHeartbeat), 0))
	}
	if v.Tasks == nil {
		v.Tasks = []string{}
	}
	return v
}

// EndedWorker is a worker that ended in the last 60 s.
type EndedWorker struct {
	WorkerView
	EndedAt Time `json:"endedAt"`
	Reason  Text `json:"reason"`
}

// WorkersAnswer is the answer to GET /workers/status.
type WorkersAnswer struct {
	Workers   []WorkerView  `json:"workers"`
	Ended     []EndedWorker `json:"ended"`
	UpdatedAt Time          `json:"updatedAt"`
}

// PoolView is a pool as clients see it: Min, Max, Desired and Running are totals over its
// processes, in workers.
type PoolView struct {
	Name    string `json:"name"`
	Min     int    `json:"min"`
	Max     int    `json:"max"`
	Desired *int   `json:"desired"`
	Running int    `json:"running"`
	// Queues that its processes serve, in the order of their settings.
	Queues []string `json:"queues"`
	Paused bool     `json:"paused"`
	// Reason of the last scaling, ScaledAt its time.
	Reason    Text           `json:"reason"`
	ScaledAt  Time           `json:"scaledAt"`
	Instances []InstanceView `json:"instances"`
}

// InstanceView is one process of a pool.
type InstanceView struct {
	ID            string `json:"id"`
	Host          string `json:"host"`
	PID           int    `json:"pid"`
	Min           int    `json:"min"`
	Max           int    `json:"max"`
	Desired       *int   `json:"desired"`
	Running       int    `json:"running"`
	Active        int    `json:"active"`
	Slots         int    `json:"slots"`
	BusySlots     int    `json:"busySlots"`
	Draining      bool   `json:"draining"`
	StartedAt     Time   `json:"startedAt"`
	LastHeartbeat Time   `json:"lastHeartbeat"`
}

// PoolsAnswer is the answer to GET /pools.
type PoolsAnswer struct {
	Pools []PoolView `json:"pools"`
}

// Depth is the number of waiting tasks by priority.
type Depth struct {
	Critical int64 `json:"critical"`
	High     int64 `json:"high"`
	Medium   int64 `json:"medium"`
	Low      int64 `json:"low"`
}

// QueueLimits bound what runs; null where there is no limit.
type QueueLimits struct {
	MaxConcurrent *int     `json:"maxConcurrent"`
	RatePerSecond *float64 `json:"ratePerSecond"`
}

// QueueView is a queue as clients see it.
type QueueView struct {
	Name  string `json:"name"`
	Depth Depth  `json:"depth"`
	// OldestWaitMs is how long the oldest waiting task waits.
	OldestWaitMs *int64 `json:"oldestWaitMs"`
	// RateIn and RateOut are tasks a second that come to wait and that are started.
	RateIn  *float64 `json:"rateIn"`
	RateOut *float64 `json:"rateOut"`
	// ServedBy names the pools that take from the queue; none means that nothing will run.
	ServedBy []string `json:"servedBy"`
	Paused   bool     `json:"paused"`
	QueueLimits
	Types map[string]QueueLimits `json:"types"`
}

// SetLimits shows the limits that are set for the queue.
func (q *QueueView) SetLimits(s *QueueSettings) {
	q.QueueLimits = QueueLimits(s.Limits)
	q.Types = make(map[string]QueueLimits, len(s.Types))
	for name, l := range s.Types {
		q.Types[name] = QueueLimits(l)
	}
}

// QueuesAnswer is the answer to GET /queues.
type QueuesAnswer struct {
	Queues []QueueView `json:"queues"`
}

// Stats is the answer to GET /stats.
type Stats struct {
	SystemStatus SystemStatus `json:"systemStatus"`
	Reason       Text         `json:"reason"`
	Workers      WorkerCounts `json:"workers"`
	Tasks        TaskCounts   `json:"tasks"`
	// Averages and percentiles are over the last 15 minutes; null where nothing ran.
	AverageExecutionTimeMs *int64       `json:"averageExecutionTimeMs"`
	ThroughputPerMinute    int64        `json:"throughputPerMinute"`
	QueueLatencyMs         LatencyStats `json:"queueLatencyMs"`
	// Uptime is hh:mm:ss, hours unbounded.
	Uptime    string `json:"uptime"`
	UpdatedAt Time   `json:"updatedAt"`
}

// WorkerCounts counts living workers; active ones include busy ones.
type WorkerCounts struct {
	Active int `json:"active"`
	Idle   int `json:"idle"`
}

// TaskCounts counts the tasks kept now.
type TaskCounts struct {
	Pending    int `json:"pending"`
	InProgress int `json:"inProgress"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
	Scheduled  int `json:"scheduled"`
	Retrying   int `json:"retrying"`
	Cancelled  int `json:"cancelled"`
	Total      int `json:"total"`
}

// LatencyStats are quantiles of the time from due to started.
type LatencyStats struct {
	P50 *int64 `json:"p50"`
	P99 *int64 `json:"p99"`
}

// Series is the answer to GET /stats/series: each slice has one value per step, null where
// nobody measured.
type Series struct {
	From   Time  `json:"from"`
	StepMs int64 `json:"stepMs"`
	// Tasks finished by outcome.
	Tasks map[string][]int64 `json:"tasks"`
	// Types counts what finished in the whole window.
	Types map[string]int64 `json:"types"`
	// Waiting tasks by priority.
	Waiting map[string][]*int64 `json:"waiting"`
	// Counts of the tasks kept, by status and in total, as GET /stats has them; null before
	// this API started.
	Counts         map[string][]*int64 `json:"counts"`
	QueueLatencyMs LatencySeries       `json:"queueLatencyMs"`
	// AverageExecutionTimeMs of the attempts that ended in each step.
	AverageExecutionTimeMs []*int64                `json:"averageExecutionTimeMs"`
	Workers                map[string]WorkerSeries `json:"workers"`
	Marks                  []EventView             `json:"marks"`
}

// LatencySeries are the quantiles of each step.
type LatencySeries struct {
	P50 []*int64 `json:"p50"`
	P99 []*int64 `json:"p99"`
}

// WorkerSeries is what one worker used.
type WorkerSeries struct {
	CPUPercent []*float64 `json:"cpuPercent"`
	MemoryMb   []*float64 `json:"memoryMb"`
}

// EventView is an event as clients see it.
type EventView struct {
	Seq         string    `json:"seq"`
	Timestamp   Time      `json:"timestamp"`
	Event       EventName `json:"event"`
	Description string    `json:"description"`
	TaskID      Text      `json:"taskId"`
	WorkerID    Text      `json:"workerId"`
	Pool        Text      `json:"pool"`
	Attempt     *int      `json:"attempt"`
	// Data has the parts of the description; which ones depends on Event.
	Data EventData `json:"data"`
}

// NewEventView shows an event.
func NewEventView(e *Event) EventView {
	v := EventView{
		Seq: e.Seq, Timestamp: e.Timestamp, Event: e.Event, Description: e.Description, TaskID: Text(e.TaskID),
		WorkerID: Text(e.WorkerID), Pool: Text(e.Pool), Data: e.Data,
	}
	if e.Attempt > 0 {
		v.Attempt = new(e.Attempt)
	}
	return v
}

// viewedData is EventData with the whole definition instead of the compact one.
type viewedData struct {
	EventData
	Task *Definition `json:"task,omitempty"`
}

// failedData is the data of a failed attempt: what says how it goes on is always there.
type failedData struct {
	viewedData
	Final         *bool      `json:"final"`
	Retries       *int       `json:"retries"`
	MaxRetries    *int       `json:"maxRetries"`
	NextAttemptAt Time       `json:"nextAttemptAt"`
	Error         *TaskError `json:"error"`
}

// MarshalJSON implements json.Marshaler.
func (v EventView) MarshalJSON() ([]byte, error) {
	type plain EventView
	d := v.Data
	seen := viewedData{EventData: d, Task: (*Definition)(d.Task)}
	var data any = seen
	if v.Event == EventFailed {
		data = failedData{seen, d.Final, d.Retries, d.MaxRetries, d.NextAttemptAt, d.Error}
	}
	return json.Marshal(struct {
		plain
		Data any `json:"data"`
	}{plain(v), data})
}

// EventsAnswer is the answer to GET /events, newest first.
type EventsAnswer struct {
	Events     []EventView `json:"events"`
	NextCursor Text        `json:"nextCursor"`
}

// Problem is an error as RFC 9457 has it.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code tells apart problems that a client may want to treat in its own way; null for most.
	Code Text `json:"code"`
	// Errors says all that is wrong with the input; null where the problem is another.
	Errors Faults `json:"errors"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Codes of problems.
const (
	// ProblemPayloadExpired: a task cannot be run again, since its payload is gone.
	ProblemPayloadExpired = "payloadExpired"
	// ProblemUnknownOutcome: a request may or may not have had its effect.
	ProblemUnknownOutcome = "unknownOutcome"
)

// The types of WebSocket messages.
const (
	LiveSnapshot = "snapshot"
	LiveDelta    = "delta"
)

// Snapshot is the first WebSocket message.
type Snapshot struct {
	Type    string         `json:"type"`
	Seq     uint64         `json:"seq"`
	At      Time           `json:"at"`
	Stats   Stats          `json:"stats"`
	Workers []WorkerView   `json:"workers"`
	Pools   []PoolView     `json:"pools"`
	Queues  []QueueView    `json:"queues"`
	Tasks   []TaskResource `json:"tasks"`
	Events  []EventView    `json:"events"`
}

// Delta is every later WebSocket message: what did not change is left out.
type Delta struct {
	Type    string                `json:"type"`
	Seq     uint64                `json:"seq"`
	At      Time                  `json:"at"`
	Stats   *Stats                `json:"stats,omitempty"`
	Workers *Change[WorkerView]   `json:"workers,omitempty"`
	Pools   *Change[PoolView]     `json:"pools,omitempty"`
	Queues  *Change[QueueView]    `json:"queues,omitempty"`
	Tasks   *Change[TaskResource] `json:"tasks,omitempty"`
	Events  []EventView           `json:"events,omitempty"`
}

// Change is what became of a list; Removed names ids, or names of pools and queues.
type Change[T any] struct {
	Upserted []T
	Removed  []string
}

// MarshalJSON implements json.Marshaler: nil slices are empty ones.
func (c Change[T]) MarshalJSON() ([]byte, error) {
	out := change[T](c)
	if out.Upserted == nil {
		out.Upserted = []T{}
	}
	if out.Removed == nil {
		out.Removed = []string{}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Change[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*change[T])(c)) }

type change[T any] struct {
	Upserted []T      `json:"upserted"`
	Removed  []string `json:"removed"`
}

// EncodeHTTP is v in JSON as the API sends it: without the escapes for HTML, so that what
// somebody wrote reads as they wrote it.
func EncodeHTTP(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
