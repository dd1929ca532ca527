package program

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
)

const (
	// startTime is how long a start is tried again that NATS was not ready for, startPause the
	// wait between two tries.
	startTime  = time.Minute
	startPause = 200 * time.Millisecond
)

// Start starts a service, and again while NATS is not ready for it: a cluster that has just
// made a stream, or elects a leader, does not know it everywhere, or does not answer.
func Start(ctx context.Context, svc lifecycle.Service, log *slog.Logger) error {
	began := time.Now()
	for {
		err := svc.Start(ctx)
		if err == nil || !natsx.Passing(err) || time.Since(began) > startTime {
			return err
		}
		log.Warn("the start is tried again", "service", fmt.Sprint(svc), "err", err)
		select {
		case <-ctx.Done():
			// Called off while it waited for NATS: what went wrong meanwhile is not why.
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(startPause):
		}
	}
}

// patient is a service whose start is tried again.
type patient struct {
	Service
	log *slog.Logger
}

func (p patient) Start(ctx context.Context) error { return Start(ctx, p.Service, p.log) }

// String is the service's own name.
func (p patient) String() string { return fmt.Sprint(p.Service) }

// Failed is the service's own; nil, which never yields, where it has none.
func (p patient) Failed() <-chan error {
	if f, ok := p.Service.(lifecycle.Failer); ok {
		return f.Failed()
	}
	return nil
}
