package chaos

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A fault meets a system at work, where there is one within some seconds.
func TestAFaultWaitsForASystemAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := time.Second
		i := newInjector(nil, func() int {
			if time.Since(began) >= after {
				return busy
			}
			return busy - 1
		}, 10*busy, slog.New(slog.DiscardHandler))
		require.InDelta(t, after, i.awaitWork(t.Context()), float64(50*time.Millisecond))
		require.Zero(t, i.awaitWork(t.Context()))
		after = time.Hour
		require.InDelta(t, workMost, i.awaitWork(t.Context()), float64(50*time.Millisecond), "none is waited for without end")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.Zero(t, i.awaitWork(over))
	})
	require.Equal(t, 20, newInjector(nil, nil, 80, nil).enough, "a small system has a quarter of its slots at work")
}
