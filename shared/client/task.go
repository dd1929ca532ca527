package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Task is a task to submit. Only Type is required; what is zero has its default, as the
// services are set up.
type Task struct {
	// ID is made by Batuta where it is empty. A second task under one ID runs nothing.
	ID   string
	Type string
	// Queue is "default" where empty, Priority medium.
	Queue    string
	Priority wire.Priority
	// Payload is any value that encodes as JSON; a json.RawMessage keeps its bytes. One
	// above 512 KiB travels through the object store, up to 64 MiB.
	Payload any
	// MaxRetries after the first attempt; nil is the services' default.
	MaxRetries *int
	Backoff    *wire.Backoff
	// Timeout of one attempt.
	Timeout time.Duration
	// Delay and RunAt say when it may run first; not both.
	Delay time.Duration
	RunAt time.Time
	// Deadline is when the task fails unless it has finished.
	Deadline time.Time
	// Retention is how long it is kept after its end.
	Retention time.Duration
	// Tags, up to 16.
	Tags map[string]string
}

// InvalidError is returned for a task that no service would accept. Nothing was sent.
type InvalidError struct {
	// Faults are all that is wrong with it.
	Faults wire.Faults
}

// Error lists the faults.
func (e *InvalidError) Error() string { return "invalid task: " + e.Faults.Error() }

// options are the parts of a task that most have at their defaults.
type options struct {
	MaxRetries  *int              `json:"maxRetries,omitempty"`
	Backoff     *wire.Backoff     `json:"backoff,omitempty"`
	TimeoutMs   *int64            `json:"timeoutMs,omitempty"`
	DelayMs     *int64            `json:"delayMs,omitempty"`
	RunAt       wire.Time         `json:"runAt,omitempty"`
	Deadline    wire.Time         `json:"deadline,omitempty"`
	RetentionMs *int64            `json:"retentionMs,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// plain tells that nothing is set but what is checked at once.
func (t *Task) plain() bool {
	return t.MaxRetries == nil && t.Backoff == nil && t.Timeout == 0 && t.Delay == 0 && t.RunAt.IsZero() && t.Deadline.IsZero() &&
		t.Retention == 0 && len(t.Tags) == 0
}

func millis(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return new(d.Milliseconds())
}

func wireTime(t time.Time) wire.Time {
	if t.IsZero() {
		return 0
	}
	return wire.At(t)
}

// payload encodes what the handler will see.
func (t *Task) payload() (json.RawMessage, error) {
	switch p := t.Payload.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		if !json.Valid(p) {
			return nil, &InvalidError{Faults: wire.Faults{{Field: "payload", Rule: "must be JSON"}}}
		}
		return p, nil
	default:
		b, err := wire.EncodeHTTP(p) // escapes for HTML would only lengthen it
		if err != nil {
			return nil, &InvalidError{Faults: wire.Faults{{Field: "payload", Rule: "must encode as JSON: " + err.Error()}}}
		}
		return bytes.TrimRight(b, "\n"), nil
	}
}

// encode is the task as clients write it: only what is set, its payload last.
func (t *Task) encode(payload json.RawMessage) []byte {
	b := make([]byte, 0, len(payload)+len(t.Type)+len(t.ID)+96)
	b = append(b, `{"type":`...)
	b = appendString(b, t.Type)
	for _, f := range []struct{ name, value string }{{"id", t.ID}, {"queue", t.Queue}, {"priority", string(t.Priority)}} {
		if f.value != "" {
			b = append(b, ',', '"')
			b = append(b, f.name...)
			b = append(b, '"', ':')
			b = appendString(b, f.value)
		}
	}
	if !t.plain() {
		b = t.appendOptions(b)
	}
	if payload != nil {
		b = append(b, `,"payload":`...)
		b = append(b, payload...)
	}
	return append(b, '}')
}

func (t *Task) appendOptions(b []byte) []byte {
	o, err := json.Marshal(options{
		MaxRetries: t.MaxRetries, Backoff: t.Backoff, TimeoutMs: millis(t.Timeout), DelayMs: millis(t.Delay), RunAt: wireTime(t.RunAt),
		Deadline: wireTime(t.Deadline), RetentionMs: millis(t.Retention), Tags: t.Tags,
	})
	if err != nil {
		panic(fmt.Sprintf("client: the options of a task do not encode: %v", err)) // they are numbers, times and strings
	}
	if len(o) > 2 {
		b = append(b, ',')
		b = append(b, o[1:len(o)-1]...)
	}
	return b
}

// appendString appends a JSON string; names that a service would accept need no escapes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, err := json.Marshal(s)
			if err != nil {
				return strconv.AppendQuoteToASCII(b, s)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// check is what a service would say of the task. The common one is checked without reading
// its encoding again.
func (t *Task) check(body, payload []byte) error {
	if t.plain() && wire.ValidType(t.Type) && (t.ID == "" || wire.ValidID(t.ID) && !wire.IsMadeID(t.ID)) &&
		(t.Queue == "" || wire.ValidQueue(t.Queue)) && (t.Priority == "" || t.Priority.Valid()) && len(payload) <= wire.MaxPayload {
		return nil
	}
	_, err := t.submission(body)
	return err
}

// submission reads an encoded task as a service does.
func (t *Task) submission(body []byte) (*wire.Submission, error) {
	members, _, err := wire.Decoder{Defaults: wire.StandardDefaults, Now: time.Now(), MaxPayload: wire.MaxPayloadHTTP}.Decode(body)
	if err != nil {
		faults, _ := wire.AsFaults(err)
		return nil, &InvalidError{Faults: faults}
	}
	return &members[0].Submission, nil
}
