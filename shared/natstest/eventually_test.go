package natstest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollTriesUntilNil(t *testing.T) {
	t.Parallel()
	left := 3
	err := poll(func() error {
		if left--; left > 0 {
			return errors.New("not yet")
		}
		return nil
	}, time.Minute, time.Millisecond)
	require.NoError(t, err)
	require.Zero(t, left)
}

func TestPollReturnsTheLastError(t *testing.T) {
	t.Parallel()
	last := errors.New("still down")
	require.ErrorIs(t, poll(func() error { return last }, time.Millisecond, time.Hour), last)
}
