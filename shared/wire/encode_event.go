package wire

import "fmt"

// AppendJSON appends the event as JSON, as json.Marshal would write it.
func (e *Event) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: append(b, '{'), html: true}
	// A key after '{' begins without a comma, wherever the object stands.
	w.optStr("seq", e.Seq)
	w.time("timestamp", e.Timestamp)
	w.str("event", string(e.Event))
	w.str("description", e.Description)
	w.optStr("taskId", e.TaskID)
	w.optStr("workerId", e.WorkerID)
	w.optStr("pool", e.Pool)
	w.optInt("attempt", int64(e.Attempt))
	w.key("data")
	w.b = append(w.b, '{')
	w.taskData(&e.Data)
	w.outcomeData(&e.Data)
	w.laneData(&e.Data)
	w.otherData(&e.Data)
	w.b = append(w.b, '}', '}')
	if w.err != nil {
		return b, fmt.Errorf("encode event %s: %w", e.Event, w.err)
	}
	return w.b, nil
}

// taskData are what submitted and started say of a task and its hand-out.
func (w *jsonWriter) taskData(d *EventData) {
	if d.Task != nil {
		w.key("task")
		w.compactTask(d.Task)
	}
	w.optUint("submitSeq", d.SubmitSeq)
	w.optInt("member", int64(d.Member))
	w.optTime("submittedAt", d.SubmittedAt)
	w.optStr("hash", d.Hash)
	w.optStr("payloadObject", d.PayloadObject)
	w.optInt("round", int64(d.Round))
	w.optUint("fence", d.Fence)
	w.optUint("laneSeq", d.LaneSeq)
	if d.Retries != nil {
		w.int("retries", int64(*d.Retries))
	}
	w.optUint("controlSeq", d.ControlSeq)
	w.optTime("dueAt", d.DueAt)
	w.optTime("scheduledFor", d.ScheduledFor)
	w.optStr("reason", d.Reason)
}

func (w *jsonWriter) outcomeData(d *EventData) {
	if len(d.Result) > 0 {
		w.raw("result", d.Result)
	}
	w.optStr("resultObject", d.ResultObject)
	if d.ExecutionTimeMs != nil {
		w.int("executionTimeMs", *d.ExecutionTimeMs)
	}
	if d.WaitTimeMs != nil {
		w.int("waitTimeMs", *d.WaitTimeMs)
	}
	if d.Final != nil {
		w.any("final", *d.Final)
	}
	if d.MaxRetries != nil {
		w.int("maxRetries", int64(*d.MaxRetries))
	}
	w.optTime("nextAttemptAt", d.NextAttemptAt)
	if d.Error != nil {
		w.any("error", d.Error)
	}
	if d.Percent != nil {
		w.any("percent", *d.Percent)
	}
	w.optStr("message", d.Message)
}

func (w *jsonWriter) laneData(d *EventData) {
	w.optStr("lane", d.Lane)
	w.optUint("first", d.First)
	if len(d.Sizes) > 0 {
		w.any("sizes", d.Sizes)
	}
	if len(d.IDs) > 0 {
		w.key("ids")
		w.b = append(w.b, '[')
		for i, id := range d.IDs {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.text(id)
		}
		w.b = append(w.b, ']')
	}
	if len(d.Attempts) > 0 {
		w.any("attempts", d.Attempts)
	}
	if len(d.Rounds) > 0 {
		w.any("rounds", d.Rounds)
	}
	w.optStr("outcome", string(d.Outcome))
	w.optStr("status", d.Status)
	if len(d.Errors) > 0 {
		w.any("errors", d.Errors)
	}
	w.optUint("rejectedSeq", d.RejectedSeq)
}

// otherData are what events of workers, pools, queues and operators say.
func (w *jsonWriter) otherData(d *EventData) {
	w.optStr("host", d.Host)
	w.optInt("pid", int64(d.PID))
	if d.ExitCode != nil {
		w.int("exitCode", int64(*d.ExitCode))
	}
	w.optStr("signal", d.Signal)
	if len(d.Tasks) > 0 {
		w.any("tasks", d.Tasks)
	}
	if d.From != nil {
		w.int("from", int64(*d.From))
	}
	if d.To != nil {
		w.int("to", int64(*d.To))
	}
	w.optStr("queue", d.Queue)
	w.optStr("action", d.Action)
	w.optStr("target", d.Target)
	w.optStr("actor", d.Actor)
	w.optStr("role", d.Role)
	w.optStr("remote", d.Remote)
	if len(d.Change) > 0 {
		w.raw("change", d.Change)
	}
	w.optStr("previous", d.Previous)
}
