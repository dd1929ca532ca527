package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// progressEvery is the most often that a task's progress is passed on.
const progressEvery = 250 * time.Millisecond

// Reporter takes what a task says while it runs. It is called from any goroutine, never
// twice at once for one task and never after the attempt ended.
type Reporter interface {
	// Progress gets nil where the percentage is not known.
	Progress(percent *float64, message string)
	Log(level, message string)
}

// Task is one attempt of a task.
type Task struct {
	ID   string
	Type string
	// Attempt is 1 for the first.
	Attempt int
	// Fence grows with every hand-out of the task: an outside system that remembers the
	// highest one seen can refuse a late writer.
	Fence uint64
	// Timeout of this attempt, enforced by the pool: it ends the context.
	Timeout time.Duration
	Tags    map[string]string

	payload     json.RawMessage
	payloadFile string

	mu       sync.Mutex
	reporter Reporter // nil once the attempt ended
	sent     time.Time
	pending  *progress
	timer    *time.Timer
}

type progress struct {
	percent *float64
	message string
}

// NewTask makes a task of a pool's line, for running handlers without the protocol.
func NewTask(l *wire.LineToWorker, r Reporter) *Task {
	return &Task{
		ID: l.ID, Type: l.Type, Attempt: l.Attempt, Fence: l.Fence,
		Timeout: time.Duration(l.TimeoutMs) * time.Millisecond, Tags: l.Tags,
		payload: l.Payload, payloadFile: l.PayloadFile, reporter: r,
	}
}

// Payload is the task's payload, read from its file where the pool sent one; `null` where
// the task has none. Numbers have all their digits.
func (t *Task) Payload() (json.RawMessage, error) {
	if t.payloadFile != "" {
		b, err := os.ReadFile(t.payloadFile)
		if err != nil {
			return nil, fmt.Errorf("read payload: %w", err)
		}
		return b, nil
	}
	if t.payload == nil {
		return json.RawMessage("null"), nil
	}
	return t.payload, nil
}

// PayloadReader streams the payload: a large one (up to 64 MiB) lies in a file.
func (t *Task) PayloadReader() (io.ReadCloser, error) {
	if t.payloadFile == "" {
		b, err := t.Payload()
		return io.NopCloser(bytes.NewReader(b)), err
	}
	f, err := os.Open(t.payloadFile)
	if err != nil {
		return nil, fmt.Errorf("read payload: %w", err)
	}
	return f, nil
}

// Bind decodes the payload into the struct (or other value) that v points to. A payload
// that does not fit, or has a key that v has no field for, is a [Permanent] error: a retry
// would find the same. To pass over unknown keys, decode Payload.
func (t *Task) Bind(v any) error {
	r, err := t.PayloadReader()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return Permanent(fmt.Errorf("payload: %s", bindReason(err)))
	}
	return nil
}

func bindReason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := wrong.Field
		if field == "" {
			field = "it"
		}
		return fmt.Sprintf("%s must be %s, not %s", field, jsonName(wrong.Type), wrong.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// jsonName calls a Go type what people who write JSON call it.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return jsonName(t.Elem())
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "an integer"
	}
	return t.String()
}

// Progress tells how far the attempt is, percent from 0 to 100. It may be called as often
// as one likes: at most four a second are passed on, the last one always.
func (t *Task) Progress(percent float64, message string) {
	t.progress(&progress{&percent, clip(message)})
}

// Step is Progress where the percentage is not known.
func (t *Task) Step(message string) { t.progress(&progress{nil, clip(message)}) }

func (t *Task) progress(p *progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reporter == nil {
		return
	}
	t.pending = p
	if wait := progressEvery - time.Since(t.sent); wait <= 0 {
		t.flush()
	} else if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.flushLater)
	}
}

// flush needs the lock.
func (t *Task) flush() {
	if t.pending != nil && t.reporter != nil {
		t.reporter.Progress(t.pending.percent, t.pending.message)
		t.pending, t.sent = nil, time.Now()
	}
}

func (t *Task) flushLater() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	t.flush()
}

// Log adds a line to the task's log, at wire.LevelDebug, LevelInfo, LevelWarn or
// LevelError; another level counts as info. It is cut at 64 KiB.
func (t *Task) Log(level, message string) {
	switch level {
	case wire.LevelDebug, wire.LevelInfo, wire.LevelWarn, wire.LevelError:
	default:
		level = wire.LevelInfo
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reporter != nil {
		t.reporter.Log(level, clip(message))
	}
}

// end passes on the last progress and silences the task: what a forgotten goroutine says
// later must not be taken for words of the next attempt.
func (t *Task) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.flush()
	t.reporter = nil
}
