package client

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
)

var (
	// ErrFull is returned when the stream, or the disk, has no room: nothing was stored.
	ErrFull = errors.New("the stream of submissions is full")
	// ErrUnknownOutcome is returned when no answer came in time: the task may have been
	// stored or not.
	ErrUnknownOutcome = errors.New("the outcome is unknown")
	// ErrNotStored is returned when the task was certainly not stored.
	ErrNotStored = errors.New("nothing was stored")
	// ErrStopped is returned after Close.
	ErrStopped = fmt.Errorf("%w: the service stops", ErrNotStored)
)

// certain tells whether a failed try has certainly stored nothing: the server refused it,
// or it never left this process.
func certain(err error) bool {
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused):
		// 10158: the same message is being stored at this moment; 10167: dropped unread.
		return refused.ErrorCode != 10158 && refused.Code != 408
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return true
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload):
		return true
	}
	return false
}

// outcome is the error of a publish that did not succeed: sure tells whether every try has
// certainly stored nothing.
func outcome(err error, sure bool) error {
	switch {
	case !sure:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case natsx.IsFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrNotStored, err)
}
