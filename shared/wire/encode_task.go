package wire

import (
	"encoding/json"
	"strconv"
)

// defaultBackoffJSON is DefaultBackoff, which almost every task has.
var defaultBackoffJSON = func() string {
	b, err := json.Marshal(DefaultBackoff)
	if err != nil {
		panic(err) // it is a constant
	}
	return string(b)
}()

// compactTask appends a definition in which fields at StandardDefaults are left out.
func (w *jsonWriter) compactTask(c *Compact) {
	d := StandardDefaults
	html := w.html
	w.html = true // wherever it stands
	defer func() { w.html = html }()
	w.b = append(w.b, '{')
	w.str("type", c.Type)
	if c.Queue != "default" {
		w.optStr("queue", c.Queue)
	}
	if c.Priority != PriorityMedium {
		w.optStr("priority", string(c.Priority))
	}
	if c.MaxRetries != d.MaxRetries {
		w.int("maxRetries", int64(c.MaxRetries))
	}
	if c.Backoff != DefaultBackoff {
		w.any("backoff", c.Backoff)
	}
	if c.TimeoutMs != d.TimeoutMs {
		w.optInt("timeoutMs", c.TimeoutMs)
	}
	w.optInt("delayMs", c.DelayMs)
	w.optTime("runAt", c.RunAt)
	w.optTime("deadline", c.Deadline)
	if c.RetentionMs != d.RetentionMs {
		w.optInt("retentionMs", c.RetentionMs)
	}
	if len(c.Tags) > 0 {
		w.any("tags", c.Tags)
	}
	w.b = append(w.b, '}')
}

// MarshalJSON implements json.Marshaler.
func (c Compact) MarshalJSON() ([]byte, error) {
	w := jsonWriter{html: true}
	w.compactTask(&c)
	return w.b, w.err
}

// append appends an envelope.
func (e *Envelope) append(b []byte) ([]byte, error) {
	w := jsonWriter{b: append(b, '{')} // escapes for HTML would lengthen a payload up to six times
	w.str("id", e.ID)
	w.key("task")
	w.compactTask(&e.Task)
	w.int("attempt", int64(e.Attempt))
	w.optInt("retries", int64(e.Retries))
	w.optInt("round", int64(e.Round))
	w.optUint("after", e.After)
	w.key("submitSeq")
	w.b = strconv.AppendUint(w.b, e.SubmitSeq, 10)
	w.optInt("member", int64(e.Member))
	w.time("submittedAt", e.SubmittedAt)
	w.time("dueAt", e.DueAt)
	w.optUint("controlSeq", e.ControlSeq)
	w.optStr("hash", e.Hash)
	if len(e.Payload) > 0 {
		w.raw("payload", e.Payload)
	}
	w.optStr("payloadObject", e.PayloadObject)
	w.b = append(w.b, '}')
	return w.b, w.err
}

// Encode is the value of BucketTasks, as json.Marshal would write it.
func (r *Record) Encode() ([]byte, error) {
	w := jsonWriter{b: append(make([]byte, 0, 512+len(r.Result)), '{'), html: true}
	w.str("id", r.ID)
	w.definition(&r.Definition)
	w.str("status", string(r.Status))
	w.int("attempt", int64(r.Attempt))
	w.int("retries", int64(r.Retries))
	w.key("fence")
	w.b = strconv.AppendUint(w.b, r.Fence, 10)
	if len(r.Result) > 0 {
		w.raw("result", r.Result)
	}
	if r.Error != nil {
		w.any("error", r.Error)
	}
	if r.Progress != nil {
		w.any("progress", r.Progress)
	}
	w.optStr("worker", r.Worker)
	w.optStr("pool", r.Pool)
	w.time("submittedAt", r.SubmittedAt)
	w.optTime("scheduledFor", r.ScheduledFor)
	w.optTime("startedAt", r.StartedAt)
	w.optTime("finishedAt", r.FinishedAt)
	if r.WaitTimeMs != nil {
		w.int("waitTimeMs", *r.WaitTimeMs)
	}
	if r.ExecutionTimeMs != nil {
		w.int("executionTimeMs", *r.ExecutionTimeMs)
	}
	w.meta(&r.Meta)
	w.b = append(w.b, '}')
	return w.b, w.err
}

// definition appends the members of a definition.
func (w *jsonWriter) definition(d *Definition) {
	w.str("type", d.Type)
	w.str("queue", d.Queue)
	w.str("priority", string(d.Priority))
	w.int("maxRetries", int64(d.MaxRetries))
	if d.Backoff == DefaultBackoff {
		w.key("backoff")
		w.b = append(w.b, defaultBackoffJSON...)
	} else {
		w.any("backoff", d.Backoff)
	}
	w.int("timeoutMs", d.TimeoutMs)
	w.optInt("delayMs", d.DelayMs)
	w.optTime("runAt", d.RunAt)
	w.optTime("deadline", d.Deadline)
	w.int("retentionMs", d.RetentionMs)
	if d.Tags != nil && len(d.Tags) == 0 {
		w.key("tags")
		w.b = append(w.b, '{', '}')
	} else {
		w.any("tags", d.Tags)
	}
}

func (w *jsonWriter) meta(m *Meta) {
	w.key("meta")
	w.b = append(w.b, '{')
	w.key("submitSeq")
	w.b = strconv.AppendUint(w.b, m.SubmitSeq, 10)
	w.optInt("member", int64(m.Member))
	w.optStr("hash", m.Hash)
	w.optInt("round", int64(m.Round))
	w.optUint("laneSeq", m.LaneSeq)
	w.optUint("controlSeq", m.ControlSeq)
	w.optInt("crashes", int64(m.Crashes))
	w.optStr("payloadObject", m.PayloadObject)
	w.optStr("resultObject", m.ResultObject)
	w.optTime("dueAt", m.DueAt)
	if m.Early {
		w.any("early", true)
	}
	w.optTime("updatedAt", m.UpdatedAt)
	if len(m.History) > 0 {
		w.key("history")
		w.b = append(w.b, '[')
		for i, p := range m.History {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = append(w.b, '"')
			w.b = p.append(w.b)
			w.b = append(w.b, '"')
		}
		w.b = append(w.b, ']')
	}
	if m.HistoryTruncated {
		w.any("historyTruncated", true)
	}
	w.b = append(w.b, '}')
}
