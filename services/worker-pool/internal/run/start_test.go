package run

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A server that goes away answers nothing of what was asked before.
func TestWhatIsNeverAnsweredIsAskedAgainWithMoreTime(t *testing.T) {
	t.Parallel()
	var given []time.Duration
	err := tryAgain(t.Context(), time.Millisecond, func(ctx context.Context) error {
		end, _ := ctx.Deadline()
		given = append(given, time.Until(end))
		switch len(given) {
		case 1:
			<-ctx.Done()
			return ctx.Err()
		case 2:
			return nats.ErrTimeout
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, given, 3)
	require.LessOrEqual(t, given[0], time.Millisecond)
	require.LessOrEqual(t, given[2], 4*time.Millisecond)
}

func TestARefusalIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	refused := errors.New("no such object")
	asked := 0
	require.ErrorIs(t, tryAgain(t.Context(), time.Second, func(context.Context) error { asked++; return refused }), refused)
	require.Equal(t, 1, asked)
}

func TestNothingIsAskedAgainOnceTheTimeIsOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, tryAgain(ctx, time.Hour, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }), context.DeadlineExceeded)
}
