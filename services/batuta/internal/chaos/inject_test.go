package chaos

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proc"
	"github.com/batuta-tasks/batuta/shared/natstest"
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

// A pool that drains or has just started has no worker: another loses one.
func TestAFaultOfAWorkerFindsAPoolThatHasOne(t *testing.T) {
	pool := func(name string, script string) *service {
		p, err := proc.Start(proc.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, LogDir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() {
			left, err := proc.Children(context.Background(), p.PID())
			p.Close()
			require.NoError(t, err)
			for _, pid := range left {
				require.NoError(t, proc.Kill(pid))
			}
		})
		return &service{Process: p, target: plan.Pool, pool: name}
	}
	empty, full := pool("empty", "exec sleep 600"), pool("full", "sleep 600 & wait")
	i := newInjector(&system{services: []*service{empty, full}}, nil, 0, slog.New(slog.DiscardHandler))
	for _, pick := range []uint64{0, 1} { // the first asks the pool that has none
		natstest.Eventually(t, func() error {
			victim, pid, name := i.claimWorker(t.Context(), plan.Fault{Pick: pick})
			if victim == nil {
				return errors.New("no worker yet")
			}
			require.Same(t, full, victim)
			require.True(t, proc.Alive(pid))
			none, _, _ := i.claimWorker(t.Context(), plan.Fault{Pick: pick})
			require.Nil(t, none, "it is under a fault")
			i.release(name)
			return nil
		})
	}
}
