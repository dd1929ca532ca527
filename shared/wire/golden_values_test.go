package wire_test

import (
	"encoding/json"
	"slices"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const goldenFence = 3118*wire.FencePerLane + 1

// goldenTask is what somebody asked for.
func goldenTask() wire.Definition {
	return wire.Definition{
		Type: "image.resize", Queue: "default", Priority: wire.PriorityHigh, MaxRetries: 3, Backoff: wire.DefaultBackoff,
		TimeoutMs: 60_000, DelayMs: 60_000, Deadline: dawn + 3_600_000, RetentionMs: 86_400_000,
		Tags: map[string]string{"customer": "a1", "region": "sur"},
	}
}

// goldenRecord is a task that completed at its second attempt.
func goldenRecord() wire.Record {
	return wire.Record{
		ID: "task-104", Definition: goldenTask(), Status: wire.StatusCompleted, Attempt: 2, Retries: 1, Fence: goldenFence,
		Result: json.RawMessage(`{"width":800,"height":600,"format":"png","bytes":48213}`), Progress: &wire.Progress{Percent: new(100.0), Message: "resizing"},
		Worker: "worker-3", Pool: "default", SubmittedAt: dawn, ScheduledFor: dawn + 60_000, StartedAt: dawn + 62_010, FinishedAt: dawn + 63_185,
		WaitTimeMs: new(int64(10)), ExecutionTimeMs: new(int64(1175)),
		Meta: wire.Meta{
			SubmitSeq: 104, LaneSeq: 3118, ControlSeq: 12, Round: 1, DueAt: dawn + 62_000, UpdatedAt: dawn + 63_185, HistoryTruncated: true,
			History: []wire.Position{{Seq: 1001, Index: 3}, {Seq: 1042, Index: 0}, {Seq: 1042, Index: 7}},
		},
	}
}

func goldenFailure() *wire.TaskError {
	return &wire.TaskError{Message: "connection refused", Code: wire.CodeHandler, Attempt: 2, At: dawn + 61_500}
}

// goldenTasks has a task in every status.
func goldenTasks() []wire.TaskResource {
	done := goldenRecord()
	failed := wire.Record{
		ID: "order-17", Definition: done.Definition, Status: wire.StatusFailed, Attempt: 4, Retries: 3, Fence: goldenFence, Error: goldenFailure(),
		Worker: "worker-1", Pool: "default", SubmittedAt: dawn, StartedAt: dawn + 5, FinishedAt: dawn + 900,
		WaitTimeMs: new(int64(5)), ExecutionTimeMs: new(int64(895)),
	}
	large := failed
	large.ID, large.Status, large.Error, large.Meta.ResultObject = "task-105-7", wire.StatusCompleted, nil, wire.ResultObject("task-105-7", goldenFence)
	running := wire.Record{
		ID: "task-106", Definition: done.Definition, Status: wire.StatusInProgress, Attempt: 1, Fence: goldenFence, Progress: &wire.Progress{Percent: new(40.5), Message: "resizing"},
		Worker: "worker-3", Pool: "default", SubmittedAt: dawn, StartedAt: dawn + 2, WaitTimeMs: new(int64(2)),
	}
	plain := wire.Definition{
		Type: "hash", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3, Backoff: wire.DefaultBackoff,
		TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{},
	}
	out := []wire.TaskResource{wire.NewTaskResource(&done), wire.NewTaskResource(&failed), wire.NewTaskResource(&large), wire.NewTaskResource(&running)}
	for i, status := range []wire.Status{wire.StatusScheduled, wire.StatusPending, wire.StatusRetrying, wire.StatusCancelled} {
		r := wire.Record{ID: wire.MakeID(107+uint64(i), 0), Definition: plain, Status: status, Attempt: 1, SubmittedAt: dawn}
		switch status {
		case wire.StatusScheduled:
			r.RunAt, r.ScheduledFor = dawn+86_400_000, dawn+86_400_000
		case wire.StatusRetrying:
			r.Retries, r.Error, r.ScheduledFor, r.Fence = 1, goldenFailure(), dawn+63_000, goldenFence
		case wire.StatusCancelled:
			r.FinishedAt = dawn + 12_000
		}
		out = append(out, wire.NewTaskResource(&r))
	}
	return out
}

func goldenDetail() wire.TaskDetail {
	return wire.TaskDetail{
		TaskResource: goldenTasks()[0], Payload: json.RawMessage(`{"path":"in/cat.png","width":800,"scale":1.50,"serial":12345678901234567890}`),
		History: slices.DeleteFunc(goldenViews(), func(v wire.EventView) bool { return v.TaskID != "task-104" }), HistoryTruncated: true,
	}
}

func goldenPage() wire.TaskPage {
	return wire.TaskPage{
		Tasks: goldenTasks(), Total: 96, NextCursor: "MTc2NzI2Mjg2MjAwMHx0YXNrLTEwNA",
		Facets: &wire.Facets{
			Status: map[string]int{"completed": 73, "pending": 12, "inProgress": 8, "failed": 3}, Type: map[string]int{"image.resize": 60, "hash": 36},
			Queue: map[string]int{"default": 96}, Priority: map[string]int{"critical": 1, "high": 40, "medium": 50, "low": 5},
		},
	}
}

func goldenLogs() wire.LogPage {
	return wire.LogPage{NextCursor: "17.2", Logs: []wire.LogLine{
		{At: dawn + 61_100, Level: wire.LevelInfo, Message: "read in/cat.png", Attempt: 1},
		{At: dawn + 61_490, Level: wire.LevelError, Message: "connection refused", Attempt: 1},
		{At: dawn + 62_020, Level: wire.LevelDebug, Message: "escala <800×600>", Attempt: 2},
	}}
}

func goldenStats() wire.Stats {
	return wire.Stats{
		SystemStatus: wire.SystemStable, Reason: "the backlog drains in 1 s", Workers: wire.WorkerCounts{Active: 5, Idle: 1},
		Tasks:                  wire.TaskCounts{Pending: 12, InProgress: 8, Completed: 73, Failed: 3, Total: 96},
		AverageExecutionTimeMs: new(int64(1175)), ThroughputPerMinute: 240,
		QueueLatencyMs: wire.LatencyStats{P50: new(int64(2)), P99: new(int64(11))}, Uptime: "02:34:55", UpdatedAt: dawn,
	}
}

func goldenSeries() wire.Series {
	n := func(values ...int64) (out []*int64) {
		for _, v := range values {
			out = append(out, new(v))
		}
		return append(out, nil)
	}
	f := func(values ...float64) (out []*float64) {
		for _, v := range values {
			out = append(out, new(v))
		}
		return append(out, nil)
	}
	return wire.Series{
		From: dawn - 10_000, StepMs: 5000, Tasks: map[string][]int64{"completed": {18, 22, 0}, "failed": {0, 1, 0}, "cancelled": {0, 0, 0}},
		Types:          map[string]int64{"image.resize": 31, "hash": 10},
		Waiting:        map[string][]*int64{"critical": n(0, 0), "high": n(3, 7), "medium": n(12, 5), "low": n(1, 1)},
		Counts:         map[string][]*int64{"pending": n(16, 13), "inProgress": n(8, 8), "total": n(92, 96)},
		QueueLatencyMs: wire.LatencySeries{P50: n(2, 3), P99: n(11, 14)}, AverageExecutionTimeMs: n(1204, 1175),
		Workers: map[string]wire.WorkerSeries{"worker-3": {CPUPercent: f(41.5, 62), MemoryMb: f(48.25, 51)}},
		Marks:   slices.DeleteFunc(goldenViews(), func(v wire.EventView) bool { return v.Event != wire.EventPoolScaled }),
	}
}

func goldenWorkerValue() wire.Worker {
	return wire.Worker{
		ID: "worker-3", Pool: "default", Host: "node-1", PID: 4217, Status: wire.WorkerActive, CPUPercent: new(41.5), MemoryMb: new(48.25),
		AssignedTasks: 1, Concurrency: 4, Completed: 1204, Failed: 3, StartedAt: dawn - 9_295_000, LastHeartbeat: dawn - 120,
		Tasks: []string{"task-106"}, Instance: "node-1-4100",
	}
}

func goldenWorkers() wire.WorkersAnswer {
	one := goldenWorkerValue()
	idle := one
	idle.ID, idle.PID, idle.Status, idle.AssignedTasks, idle.Tasks = "worker-4", 4230, wire.WorkerIdle, 0, []string{}
	lost := idle
	lost.ID, lost.PID, lost.Status = "worker-2", 4209, wire.WorkerHung
	return wire.WorkersAnswer{
		Workers: []wire.WorkerView{wire.NewWorkerView(&one, dawn), wire.NewWorkerView(&idle, dawn)},
		Ended:   []wire.EndedWorker{{WorkerView: wire.NewWorkerView(&lost, dawn), EndedAt: dawn - 5000, Reason: "silent for 5 s"}}, UpdatedAt: dawn,
	}
}

func goldenInstance() wire.Instance {
	return wire.Instance{
		Pool: "default", Instance: "node-1-4100", Host: "node-1", PID: 4100, Queues: []string{"default", "images"}, Min: 1, Max: 4, Running: 2, Active: 1,
		Slots: 8, BusySlots: 1, Concurrency: 4, Finished: 1207, BusyMs: 1_418_225, ScaleTargetMs: 5000, ScaleDownAfterMs: 10_000,
		StartedAt: dawn - 9_295_000, LastHeartbeat: dawn - 120,
	}
}

func goldenPool() wire.PoolView {
	i := goldenInstance()
	return wire.PoolView{
		Name: "default", Min: 1, Max: 4, Desired: new(2), Running: 2, Queues: i.Queues, Reason: "12 tasks wait", ScaledAt: dawn - 60_000,
		Instances: []wire.InstanceView{{
			ID: i.Instance, Host: i.Host, PID: i.PID, Min: i.Min, Max: i.Max, Desired: new(2), Running: i.Running, Active: i.Active,
			Slots: i.Slots, BusySlots: i.BusySlots, StartedAt: i.StartedAt, LastHeartbeat: i.LastHeartbeat,
		}},
	}
}

func goldenQueues() []wire.QueueView {
	return []wire.QueueView{
		{
			Name: "default", Depth: wire.Depth{High: 7, Medium: 5}, OldestWaitMs: new(int64(840)), RateIn: new(4.2), RateOut: new(4.0),
			ServedBy: []string{"default"}, QueueLimits: wire.QueueLimits{MaxConcurrent: new(16), RatePerSecond: new(50.0)},
			Types: map[string]wire.QueueLimits{"http": {MaxConcurrent: new(2)}},
		},
		{Name: "images", ServedBy: []string{}, Paused: true, Types: map[string]wire.QueueLimits{}},
	}
}

// goldenEvents has one event of every name, the internal one last.
func goldenEvents() []wire.Event {
	task := wire.Compact(goldenTask())
	data := wire.EventData{Fence: goldenFence}
	with := func(f func(*wire.EventData)) wire.EventData {
		d := data
		f(&d)
		return d
	}
	ofTask := func(name wire.EventName, attempt int, d wire.EventData) wire.Event {
		return wire.Event{Event: name, TaskID: "task-104", Attempt: attempt, Data: d}
	}
	byWorker := func(e wire.Event) wire.Event {
		e.WorkerID, e.Pool = "worker-3", "default"
		return e
	}
	ofWorker := func(name wire.EventName, d wire.EventData) wire.Event {
		d.Host, d.PID = "node-1", 4217
		return byWorker(wire.Event{Event: name, Data: d})
	}
	submission := wire.EventData{Task: &task, SubmitSeq: 104, SubmittedAt: dawn, ScheduledFor: dawn + 60_000}
	events := []wire.Event{
		ofTask(wire.EventSubmitted, 0, submission),
		{Event: wire.EventRejected, Data: wire.EventData{SubmitSeq: 105, RejectedSeq: 7, Errors: wire.Faults{
			{Field: "tpye", Value: json.RawMessage(`"image.resize"`), Rule: "is not a field of a task"},
		}}},
		{Event: wire.EventDuplicate, TaskID: "order-17", Data: wire.EventData{SubmitSeq: 106}},
		ofTask(wire.EventScheduled, 0, wire.EventData{Reason: wire.ReasonDelay, SubmitSeq: 104, ScheduledFor: dawn + 60_000}),
		byWorker(ofTask(wire.EventStarted, 1, with(func(d *wire.EventData) {
			d.Task, d.SubmitSeq, d.SubmittedAt, d.DueAt, d.LaneSeq = &task, 104, dawn, dawn+60_000, 3118
		}))),
		byWorker(ofTask(wire.EventProgress, 1, with(func(d *wire.EventData) { d.Percent, d.Message = new(40.0), "resizing" }))),
		byWorker(ofTask(wire.EventCompleted, 3, with(func(d *wire.EventData) {
			d.Result, d.ExecutionTimeMs, d.WaitTimeMs = json.RawMessage(`{"width":800,"height":600}`), new(int64(1175)), new(int64(10))
		}))),
		byWorker(ofTask(wire.EventFailed, 2, with(func(d *wire.EventData) {
			d.Final, d.Retries, d.MaxRetries, d.NextAttemptAt, d.Error = new(false), new(2), new(3), dawn+63_500, goldenFailure()
			d.ExecutionTimeMs, d.WaitTimeMs = new(int64(490)), new(int64(10))
		}))),
		byWorker(ofTask(wire.EventReassigned, 1, with(func(d *wire.EventData) { d.Reason = wire.ReasonLease }))),
		byWorker(ofTask(wire.EventRefused, 1, with(func(d *wire.EventData) {
			d.Outcome, d.Status, d.Reason = wire.EventCompleted, string(wire.StatusInProgress), "the task was handed out again since"
		}))),
		ofTask(wire.EventCancelled, 0, wire.EventData{ControlSeq: 12, Reason: "asked for"}),
		ofTask(wire.EventDeleted, 0, wire.EventData{ControlSeq: 13}),
		ofWorker(wire.EventWorkerNew, wire.EventData{}),
		ofWorker(wire.EventWorkerReady, wire.EventData{}),
		ofWorker(wire.EventWorkerHung, wire.EventData{Reason: "silent for 5 s", Tasks: []string{"task-104"}}),
		ofWorker(wire.EventWorkerLost, wire.EventData{Reason: "killed by SIGKILL", Signal: "SIGKILL", Tasks: []string{"task-104"}}),
		ofWorker(wire.EventWorkerStop, wire.EventData{Reason: "scaled down", ExitCode: new(0)}),
		{Event: wire.EventPoolScaled, Pool: "default", Data: wire.EventData{From: new(2), To: new(5), Reason: "1200 tasks wait"}},
		{Event: wire.EventPoolChanged, Pool: "default", Data: wire.EventData{Change: json.RawMessage(`{"max":8}`), Actor: "ana"}},
		{Event: wire.EventQueuePaused, Data: wire.EventData{Queue: "images", Actor: "ana"}},
		{Event: wire.EventQueueResume, Data: wire.EventData{Queue: "images", Actor: "ana"}},
		{Event: wire.EventQueueChange, Data: wire.EventData{Queue: "images", Change: json.RawMessage(`{"maxConcurrent":4}`), Actor: "ana"}},
		{Event: wire.EventSystem, Data: wire.EventData{Status: string(wire.SystemHighLoad), Previous: string(wire.SystemStable), Reason: "the backlog needs 42 s"}},
		{Event: wire.EventAudit, Data: wire.EventData{Action: "task.cancel", Target: "order-17", Actor: "ana", Role: "operator", Remote: "192.0.2.7:50114"}},
		{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default_high", First: 3118, IDs: []string{"task-104", "order-17"}, Attempts: []int{2, 1}, Rounds: []int{0, 1}}},
	}
	for i := range events {
		events[i].Timestamp = dawn + wire.Time(i)*250
		events[i].Seq = wire.Position{Seq: 1042, Index: i}.String()
		events[i] = wire.NewEvent(events[i])
	}
	return events
}

// goldenViews are the events that people see.
func goldenViews() []wire.EventView {
	var out []wire.EventView
	for _, e := range goldenEvents() {
		if e.Event.Public() {
			out = append(out, wire.NewEventView(&e))
		}
	}
	return out
}

func goldenEventsAnswer() wire.EventsAnswer {
	newest := goldenViews()
	slices.Reverse(newest)
	return wire.EventsAnswer{Events: newest, NextCursor: "1042.0"}
}

func goldenBulk() wire.BulkAnswer {
	return wire.BulkAnswer{Accepted: 1, Rejected: 1, Duplicates: 1, Results: []wire.SubmitResult{
		{ID: "task-104-1", Status: wire.StatusPending},
		{ID: "order-17", Status: wire.StatusCompleted, Duplicate: true},
		{Errors: wire.Faults{{Field: "[2].type", Rule: "is required"}}},
	}}
}

func goldenProblem() wire.Problem {
	return wire.Problem{
		Type: "about:blank", Title: "Bad Request", Status: 400, Detail: "2 fields of the task are not valid",
		Errors: wire.Faults{
			{Field: "backoff.policy", Value: json.RawMessage(`"none"`), Rule: "one of fixed, linear, exponential"},
			{Field: "maxRetries", Value: json.RawMessage(`101`), Rule: "must be an integer from 0 to 100"},
		},
	}
}

func goldenSnapshot() wire.Snapshot {
	return wire.Snapshot{
		Type: wire.LiveSnapshot, Seq: 311, At: dawn, Stats: goldenStats(), Workers: goldenWorkers().Workers, Pools: []wire.PoolView{goldenPool()},
		Queues: goldenQueues(), Tasks: goldenTasks(), Events: goldenEventsAnswer().Events,
	}
}

func goldenDelta() wire.Delta {
	stats := goldenStats()
	stats.UpdatedAt = dawn + 250
	return wire.Delta{
		Type: wire.LiveDelta, Seq: 312, At: dawn + 250, Stats: &stats,
		Workers: &wire.Change[wire.WorkerView]{Upserted: goldenWorkers().Workers[:1], Removed: []string{"worker-2"}},
		Tasks:   &wire.Change[wire.TaskResource]{Upserted: goldenTasks()[3:4], Removed: []string{"task-099"}},
		Events:  goldenViews()[4:5],
	}
}

func goldenEnvelope() wire.Envelope {
	return wire.Envelope{
		ID: "task-104", Task: wire.Compact(goldenTask()), Attempt: 2, Retries: 1, Round: 1, After: goldenFence - wire.FencePerLane,
		SubmitSeq: 104, SubmittedAt: dawn, DueAt: dawn + 62_000, ControlSeq: 12,
		Payload: json.RawMessage(`{"path":"in/cat.png","width":800,"caption":"<cat>","serial":12345678901234567890}`),
	}
}

func goldenLinesFromWorker() []wire.LineFromWorker {
	return []wire.LineFromWorker{
		{Op: wire.OpReady, Protocol: 1, Types: []string{"image.resize", "hash"}, Concurrency: 4},
		{Op: wire.OpReady, Protocol: 1},
		{Op: wire.OpHeartbeat},
		{Op: wire.OpProgress, ID: "task-104", Percent: new(40.0), Message: "resizing"},
		{Op: wire.OpLog, ID: "task-104", Level: wire.LevelInfo, Message: "read in/cat.png"},
		{Op: wire.OpResult, ID: "task-104", Result: json.RawMessage(`{"width":800,"serial":12345678901234567890}`)},
		{Op: wire.OpResult, ID: "task-104", ResultFile: "/tmp/batuta/result-104.json"},
		{Op: wire.OpError, ID: "task-104", Message: "connection refused", Retryable: true},
		{Op: wire.OpError, ID: "task-104", Message: "too many requests", Retryable: true, RetryAfterMs: new(int64(30_000))},
		{Op: wire.OpError, ID: "task-104", Message: "not an image", Retryable: false},
	}
}

func goldenLinesToWorker() []wire.LineToWorker {
	task := wire.LineToWorker{
		Op: wire.OpTask, ID: "task-104", Type: "image.resize", Attempt: 2, Fence: goldenFence, TimeoutMs: 60_000,
		Payload: json.RawMessage(`{"path":"in/cat.png","width":800,"serial":12345678901234567890}`), Tags: map[string]string{"customer": "a1", "region": "sur"},
	}
	large := task
	large.Payload, large.PayloadFile = nil, "/tmp/batuta/payload-104.json"
	return []wire.LineToWorker{
		task, large,
		{Op: wire.OpCancel, ID: "task-104", Reason: wire.CancelCancelled},
		{Op: wire.OpCancel, ID: "task-104", Reason: wire.CancelTimeout},
		{Op: wire.OpCancel, ID: "task-104", Reason: wire.CancelDeadline},
		{Op: wire.OpDrain},
	}
}
