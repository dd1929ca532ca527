package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// ErrPoolGone is returned by Run when its stdin was closed or its stdout broke, where
// Options.Exit came back.
var ErrPoolGone = errors.New("the pool is gone")

// CancelError is the cause (context.Cause) of a task's context that the pool ended.
type CancelError struct {
	// Reason is wire.CancelCancelled, wire.CancelTimeout or wire.CancelDeadline.
	Reason string
}

// Error says why in words.
func (e *CancelError) Error() string {
	switch e.Reason {
	case wire.CancelTimeout:
		return "the attempt is over its timeout"
	case wire.CancelDeadline:
		return "the task is past its deadline"
	}
	return "the task was cancelled"
}

// Reason says why a task's context is done: "cancelled", "timeout" or "deadline"; empty
// while it is not, or where it is done for another reason.
func Reason(ctx context.Context) string {
	if c, ok := errors.AsType[*CancelError](context.Cause(ctx)); ok {
		return c.Reason
	}
	return ""
}

// permanentError and retryError wrap what a handler returned.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

type retryError struct {
	error
	after time.Duration
}

func (e retryError) Unwrap() error { return e.error }

// Permanent makes an error that is not retried: the task ends as failed. Nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// RetryAfter makes an error whose retry waits for d (at most a year, to the millisecond)
// instead of the task's backoff. Nil stays nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return retryError{err, min(max(d, 0), 365*24*time.Hour)}
}

// PanicError is what Execute makes of a panic in a handler.
type PanicError struct {
	Value any
	// Stack is that of the handler's goroutine.
	Stack []byte
}

// Error leaves out the stack, which goes to the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap is the value where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Failure is what a pool needs to know of an error.
type Failure struct {
	// Message is cut at 64 KiB.
	Message   string
	Retryable bool
	// RetryAfterMs is nil where the task's backoff decides.
	RetryAfterMs *int64
}

// FailureOf reads an error that a handler returned.
func FailureOf(err error) Failure {
	f := Failure{Message: clip(err.Error()), Retryable: true}
	if _, ok := errors.AsType[permanentError](err); ok {
		f.Retryable = false
		return f
	}
	if r, ok := errors.AsType[retryError](err); ok {
		f.RetryAfterMs = new(r.after.Milliseconds())
	}
	return f
}

const maxMessage = 64 << 10

// clip makes text fit a line.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxMessage {
		return s
	}
	n := maxMessage
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
