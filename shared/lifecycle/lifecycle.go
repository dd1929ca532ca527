package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Service is a thing with a life of its own.
type Service interface {
	// Start brings the service up and returns when it works. The context bounds the
	// start only. A failed Start leaves nothing running.
	Start(ctx context.Context) error
	// Stop ends the service and waits for everything it started. It may be called
	// more than once, also at the same time and also on a service that was never
	// started. When ctx ends first it returns an error naming what still runs.
	Stop(ctx context.Context) error
}

// Failer is a Service that can fail after its start. Runner stops the process when
// the channel of any of its services yields an error. A service that embeds Group is one.
type Failer interface {
	// Failed yields the first fatal error; it is never closed.
	Failed() <-chan error
}

// ErrStop is the cause (context.Cause) of a group's context after Stop: it tells an
// orderly stop from a failure.
var ErrStop = errors.New("stopped")

// ErrStarted is returned by Group.Start when the group is running already.
var ErrStarted = errors.New("already started")

// Stopped reports whether ctx ended by an orderly Stop.
func Stopped(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrStop)
}

// StopAll stops services in the reverse of their order, all of them even when some
// fail, and joins their errors.
func StopAll(ctx context.Context, services ...Service) error {
	var errs []error
	for _, s := range slices.Backward(services) {
		if err := s.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", nameOf(s), err))
		}
	}
	return errors.Join(errs...)
}

// StartAll starts services in order. When one fails, those before it are stopped in
// reverse order, within unwind's context, and the failure is returned.
func StartAll(ctx, unwind context.Context, services ...Service) error {
	for i, s := range services {
		if err := s.Start(ctx); err != nil {
			err = fmt.Errorf("start %s: %w", nameOf(s), err)
			return errors.Join(err, StopAll(unwind, services[:i]...))
		}
	}
	return nil
}

// nameOf is what logs and errors call a service: its String method, else its type.
func nameOf(s Service) string {
	if n, ok := s.(fmt.Stringer); ok {
		return n.String()
	}
	return fmt.Sprintf("%T", s)
}
