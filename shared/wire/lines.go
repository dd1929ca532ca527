package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
)

// The line protocol between a pool and its worker processes: one JSON object a line over
// stdin and stdout.
const (
	// LineProtocol is the protocol's version, said in the line `ready`.
	LineProtocol = 1
	// MaxLine is the longest line in bytes, without its newline. Longer payloads and
	// results travel by payloadFile and resultFile.
	MaxLine = 1 << 20

	// EnvWorkerID and EnvHeartbeatMs are what a pool adds to the environment of a worker.
	EnvWorkerID    = "BATUTA_WORKER_ID"
	EnvHeartbeatMs = "BATUTA_HEARTBEAT_MS"
)

// What lines from a worker are.
const (
	OpReady     = "ready"
	OpProgress  = "progress"
	OpLog       = "log"
	OpResult    = "result"
	OpError     = "error"
	OpHeartbeat = "heartbeat"
)

// What lines to a worker are.
const (
	OpTask   = "task"
	OpCancel = "cancel"
	OpDrain  = "drain"
)

// Why a pool tells a worker to give up a task.
const (
	CancelCancelled = "cancelled"
	CancelTimeout   = "timeout"
	CancelDeadline  = "deadline"
)

// Levels of a task's log lines.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

const (
	maxLineConcurrency = 1000
	maxRetryAfterMs    = int64(maxDelay / 1e6)
)

// ErrLineTooLong is returned when a line would be, or is, longer than MaxLine.
var ErrLineTooLong = errors.New("the line is longer than 1 MiB")

// ProtocolError says how a line broke the protocol.
type ProtocolError struct {
	Fault Fault
	// Cause is ErrLineTooLong where that is what is wrong; may be nil.
	Cause error
}

// Error names field, value and rule.
func (e *ProtocolError) Error() string { return "worker protocol: " + e.Fault.String() }

// Unwrap is the cause.
func (e *ProtocolError) Unwrap() error { return e.Cause }

func protocolError(field string, value []byte, rule string) error {
	return &ProtocolError{Fault: faultOf(field, value, rule)}
}

// LineFromWorker is a line that a worker writes. Which fields count is said by Op.
type LineFromWorker struct {
	Op string
	// Protocol, Types, Concurrency: ready. No types: every type. Concurrency 0: the
	// worker does not say.
	Protocol    int
	Types       []string
	Concurrency int
	// ID of the task: progress, log, result, error.
	ID string
	// Percent, from 0 to 100: progress; nil where it is not known.
	Percent *float64
	// Message: progress, log, error.
	Message string
	// Level: log.
	Level string
	// Result or ResultFile, the path of a file that holds it: result. Neither: null.
	Result     json.RawMessage
	ResultFile string
	// Retryable and RetryAfterMs (nil: as the task's backoff has it): error.
	Retryable    bool
	RetryAfterMs *int64
}

// LineToWorker is a line that a pool writes. Which fields count is said by Op.
type LineToWorker struct {
	Op string
	// ID of the task: task, cancel.
	ID string
	// The rest but Reason: task. Payload or PayloadFile, the path of a file that holds it.
	Type        string
	Attempt     int
	Fence       uint64
	Payload     json.RawMessage
	PayloadFile string
	TimeoutMs   int64
	Tags        map[string]string
	// Reason: cancel; one of CancelCancelled, CancelTimeout, CancelDeadline.
	Reason string
}

// Append adds the line and its newline to dst. ErrLineTooLong means that the payload must
// go by PayloadFile; dst is then returned as it was.
// The payload must be valid JSON.
func (l *LineToWorker) Append(dst []byte) ([]byte, error) {
	w := startLine(dst, l.Op)
	switch l.Op {
	case OpTask:
		w.text("id", l.ID)
		w.text("type", l.Type)
		w.number("attempt", int64(l.Attempt))
		w.key("fence")
		w.b = strconv.AppendUint(w.b, l.Fence, 10)
		w.document("payload", l.Payload, l.PayloadFile)
		w.number("timeoutMs", l.TimeoutMs)
		w.tags(l.Tags)
	case OpCancel:
		w.text("id", l.ID)
		w.text("reason", l.Reason)
	}
	return w.end(dst)
}

// Append adds the line and its newline to dst. ErrLineTooLong means that the result must
// go by ResultFile; dst is then returned as it was.
// The result must be valid JSON.
func (l *LineFromWorker) Append(dst []byte) ([]byte, error) {
	w := startLine(dst, l.Op)
	switch l.Op {
	case OpReady:
		w.number("protocol", int64(l.Protocol))
		if len(l.Types) > 0 {
			w.texts("types", l.Types)
		}
		if l.Concurrency > 0 {
			w.number("concurrency", int64(l.Concurrency))
		}
	case OpProgress:
		w.text("id", l.ID)
		w.percent(l.Percent)
		w.text("message", l.Message)
	case OpLog:
		w.text("id", l.ID)
		w.text("level", l.Level)
		w.text("message", l.Message)
	case OpResult:
		w.text("id", l.ID)
		w.document("result", l.Result, l.ResultFile)
	case OpError:
		w.text("id", l.ID)
		w.text("message", l.Message)
		w.key("retryable")
		w.b = strconv.AppendBool(w.b, l.Retryable)
		w.optional("retryAfterMs", l.RetryAfterMs)
	}
	return w.end(dst)
}

// lineWriter builds a line by hand: payloads pass as they are, without being parsed again.
type lineWriter struct {
	b   []byte
	err error
}

func startLine(dst []byte, op string) lineWriter {
	return lineWriter{b: appendText(append(dst, `{"op":`...), op)}
}

func (w *lineWriter) key(name string) {
	w.b = append(append(append(w.b, `,"`...), name...), `":`...)
}

func (w *lineWriter) text(name, value string) {
	w.key(name)
	w.b = appendText(w.b, value)
}

func (w *lineWriter) texts(name string, values []string) {
	w.key(name)
	for i, v := range values {
		w.b = appendText(append(w.b, "[,"[min(i, 1)]), v)
	}
	w.b = append(w.b, ']')
}

func (w *lineWriter) number(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *lineWriter) optional(name string, n *int64) {
	if n == nil {
		w.key(name)
		w.b = append(w.b, "null"...)
		return
	}
	w.number(name, *n)
}

func (w *lineWriter) percent(p *float64) {
	w.key("percent")
	if p == nil || math.IsNaN(*p) {
		w.b = append(w.b, "null"...)
		return
	}
	w.b = strconv.AppendFloat(w.b, min(max(*p, 0), 100), 'f', -1, 64)
}

func (w *lineWriter) tags(tags map[string]string) {
	w.key("tags")
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	w.b = append(w.b, '{')
	for i, k := range keys {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendText(w.b, k), ':')
		w.b = appendText(w.b, tags[k])
	}
	w.b = append(w.b, '}')
}

// document adds JSON in place or the path of the file that holds it.
func (w *lineWriter) document(name string, value json.RawMessage, file string) {
	switch {
	case file != "":
		w.text(name+"File", file)
	case len(value) == 0:
		w.key(name)
		w.b = append(w.b, "null"...)
	default:
		w.key(name)
		w.oneLine(name, value)
	}
}

func (w *lineWriter) end(dst []byte) ([]byte, error) {
	switch {
	case w.err != nil:
		return dst, w.err
	case len(w.b)+1-len(dst) > MaxLine:
		return dst, ErrLineTooLong
	}
	return append(w.b, '}', '\n'), nil
}

// oneLine adds JSON without the line breaks that may stand between its tokens.
func (w *lineWriter) oneLine(name string, value json.RawMessage) {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		w.b = append(w.b, value...)
		return
	}
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		w.err = fmt.Errorf("encode line: %s: %w", name, err)
	}
	w.b = append(w.b, b.Bytes()...)
}

func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
