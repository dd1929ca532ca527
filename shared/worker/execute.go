package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// ExecuteHere is Execute for a goroutine that lives for this attempt alone, and is cheaper:
// then gets the outcome, also where the handler ends the goroutine by runtime.Goexit.
func ExecuteHere(ctx context.Context, h Handler, t *Task, then func(json.RawMessage, error)) {
	var value any
	err := errGoexit
	defer func() {
		result, err := finish(ctx, value, err)
		t.end()
		then(result, err)
	}()
	defer recovered(t, &err)
	value, err = h(ctx, t)
}

// recovered turns a panic into the error of its attempt. It must be deferred itself.
func recovered(t *Task, err *error) {
	if p := recover(); p != nil {
		stack := debug.Stack()
		*err = &PanicError{Value: p, Stack: stack}
		t.Log(wire.LevelError, fmt.Sprintf("panic: %v\n%s", p, stack))
	}
}

func finish(ctx context.Context, value any, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, withCause(ctx, err)
	}
	return encodeResult(value)
}

// Execute runs an attempt and gives its result as JSON (nil for null). A panic, and
// runtime.Goexit, become an error with the stack in the task's log. Afterwards the task
// reports nothing more. [FailureOf] reads the error.
func Execute(ctx context.Context, h Handler, t *Task) (json.RawMessage, error) {
	defer t.end()
	value, err := protect(ctx, h, t)
	return finish(ctx, value, err)
}

// protect runs the handler in a goroutine of its own: only so does a Goexit in it not end
// the caller's, without an outcome.
func protect(ctx context.Context, h Handler, t *Task) (value any, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = errGoexit
		defer recovered(t, &err)
		value, err = h(ctx, t)
	}()
	<-done
	return value, err
}

var errGoexit = errors.New("the handler ended its goroutine (runtime.Goexit)")

// withCause says why a context ended, which `context canceled` does not.
func withCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || !errors.Is(err, ctx.Err()) || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func encodeResult(value any) (json.RawMessage, error) {
	if value == nil {
		return nil, nil
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, Permanent(fmt.Errorf("encode result: %w", err))
	}
	if string(b) == "null" {
		return nil, nil
	}
	return b, nil
}
