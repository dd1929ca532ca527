package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
)

// soon bounds waits for what should happen at once; a pass costs nothing of it.
const soon = 30 * time.Second

func untilEnd(ctx context.Context) { <-ctx.Done() }

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(soon):
		require.Fail(t, "nothing came")
		panic("unreachable")
	}
}

func TestGroupStopsItsLoopsWithCause(t *testing.T) {
	t.Parallel()
	var g lifecycle.Group
	require.NoError(t, g.Start(t.Context()))
	stopped := make(chan bool, 2)
	for _, name := range []string{"a", "b"} {
		require.True(t, g.Go(name, func(ctx context.Context) {
			<-ctx.Done()
			stopped <- lifecycle.Stopped(ctx)
		}))
	}
	require.NoError(t, g.Stop(t.Context()))
	require.Len(t, stopped, 2, "Stop returned before the loops did")
	require.True(t, <-stopped)
	require.True(t, <-stopped)
	require.ErrorIs(t, context.Cause(g.Context()), lifecycle.ErrStop)
}

func TestGroupOutlivesTheContextOfItsStart(t *testing.T) {
	t.Parallel()
	var g lifecycle.Group
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, g.Start(ctx))
	cancel()
	require.NoError(t, g.Context().Err())
	require.True(t, g.Running())
	require.NoError(t, g.Stop(t.Context()))
	require.False(t, g.Running())
}

func TestGroupRefusesWorkUnlessRunning(t *testing.T) {
	t.Parallel()
	var g lifecycle.Group
	never := func(context.Context) { t.Error("ran in a group that is not running") }
	require.False(t, g.Go("early", never))
	require.Error(t, g.Context().Err())
	require.NoError(t, g.Stop(t.Context()), "Stop before Start")
	require.NoError(t, g.Start(t.Context()))
	require.ErrorIs(t, g.Start(t.Context()), lifecycle.ErrStarted)
	require.NoError(t, g.Stop(t.Context()))
	require.False(t, g.Go("late", never))
}

func TestGroupNamesTheLoopsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	var g lifecycle.Group
	release := make(chan struct{})
	require.NoError(t, g.Start(t.Context()))
	g.Go("good", untilEnd)
	g.Go("stubborn", func(context.Context) { <-release })
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("patience is over"))
	require.Eventually(t, func() bool {
		err := g.Stop(ended)
		return err != nil && err.Error() == "still running: stubborn: patience is over"
	}, soon, time.Millisecond)
	require.ErrorIs(t, g.Start(t.Context()), lifecycle.ErrStarted, "one loop of the old life is left")
	close(release)
	require.NoError(t, g.Stop(t.Context()))
	require.NoError(t, g.Start(t.Context()))
	require.NoError(t, g.Stop(t.Context()))
}

func TestGroupKeepsTheFirstFailure(t *testing.T) {
	t.Parallel()
	var g lifecycle.Group
	first := errors.New("first")
	g.Fail(first)
	g.Fail(errors.New("second"))
	require.Equal(t, first, receive(t, g.Failed()))
}

// TestGroupStress starts, stops and feeds one group from many goroutines at once: what
// was accepted must have ended when the last Stop returns.
func TestGroupStress(t *testing.T) {
	t.Parallel()
	var (
		g       lifecycle.Group
		wg      sync.WaitGroup
		running atomic.Int64
	)
	loop := func(ctx context.Context) {
		running.Add(1)
		defer running.Add(-1)
		<-ctx.Done()
	}
	for range 10 {
		wg.Go(func() {
			for range 200 {
				if err := g.Start(t.Context()); err != nil {
					require.ErrorIs(t, err, lifecycle.ErrStarted)
				}
				g.Go("loop", loop)
				require.NoError(t, g.Stop(t.Context()))
			}
		})
	}
	wg.Wait()
	require.NoError(t, g.Stop(t.Context()))
	require.Zero(t, running.Load())
}
