package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Without a recorder the stream of events fills up: it drops nothing. Who publishes events is
// refused, keeps what it has and takes nothing new. With a recorder everything goes on, and
// nothing ran twice.
func TestRecorderIsAway(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL())
	procs := s.add("scheduler", "worker-pool")
	st, err := s.js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxBytes = int64(st.CachedInfo().State.Bytes) + 100_000
	_, err = s.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	const n = 400
	s.submit(n/2, nap)
	s.submit(n/2, nap)
	natstest.Eventually(t, func() error {
		if err := procs[1].ready(); err == nil || !strings.Contains(err.Error(), "the stream of batuta.events") {
			return fmt.Errorf("the pool says: %w", err)
		}
		return nil
	})
	began, _ := s.executions()
	require.Less(t, len(began), n)
	s.wait(3 * time.Second) // more than a lease
	later, _ := s.executions()
	require.LessOrEqual(t, len(later), len(began)+8, "no more than the slots that it had")
	require.Positive(t, s.waiting(t.Context()))

	s.add("state-recorder")
	s.awaitEnd()
	s.awaitLanesEmpty()
	records, err := s.records(s.ids())
	require.NoError(t, err)
	began, did := s.executions()
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, records[id].Status)
		require.Equal(t, 1, began[id], "%s ran so often", id)
		require.Equal(t, 1, did[id])
	}
	require.Len(t, s.ids(), n)
}

// One store after the other is removed while tasks wait, run, and are delayed: it is made
// anew, sequences go on above the old ones, and every task ends.
func TestStoresAreRemoved(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL())
	s.add("scheduler", "state-recorder", "worker-pool")
	s.submit(10, nap)
	s.awaitEnd()
	s.wait(11 * time.Second) // sequences are noted each ten seconds
	var highest uint64
	for _, stream := range []string{wire.StreamReady, wire.StreamLater, wire.StreamTasks, wire.StreamEvents, wire.StreamSubmit, wire.StreamControl} {
		s.submit(15, `{"type":"nap","payload":500}`)
		s.submit(5, `{"type":"nap","payload":5,"delayMs":3000}`)
		s.awaitSubmitted()
		require.NoError(t, s.js.DeleteStream(t.Context(), stream))
		t.Log("removed", stream)
		s.awaitEnd()
		records, err := s.records(s.ids())
		require.NoError(t, err)
		for _, id := range s.ids() {
			require.Equal(t, wire.StatusCompleted, records[id].Status)
		}
		s.submit(1, nap)
		s.awaitEnd()
		last := s.ids()[len(s.ids())-1]
		records, err = s.records([]string{last})
		require.NoError(t, err)
		require.Greater(t, records[last].Fence, highest, "fences grow")
		highest = records[last].Fence
	}
}

// awaitSubmitted waits until every submission is processed and known.
func (s *system) awaitSubmitted() {
	s.t.Helper()
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
		defer cancel()
		c, err := s.js.Consumer(ctx, wire.StreamSubmit, wire.ConsumerSubmit)
		if err != nil {
			return err
		}
		if i := c.CachedInfo(); i.NumPending+uint64(i.NumAckPending) > 0 {
			return errors.New("submissions wait")
		}
		records, err := s.records(s.ids())
		if err == nil && len(records) != len(s.ids()) {
			err = fmt.Errorf("%d of %d are known", len(records), len(s.ids()))
		}
		return err
	})
}

// The whole store is gone: what was in it is lost, but the services are not. They make
// everything anew and go on.
func TestTheWholeStoreIsGone(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL())
	s.add("scheduler", "state-recorder", "worker-pool", "api")
	s.submit(10, nap)
	s.awaitEnd()
	srv.Kill(t)
	entries, err := filepath.Glob(filepath.Join(srv.Dir(), "*"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		require.NoError(t, os.RemoveAll(e))
	}
	srv.StartAgain(t)
	for _, p := range s.procs {
		p.awaitReady()
	}
	s.accepted = nil
	s.submit(20, nap)
	s.submit(5, `{"type":"nap","payload":5,"delayMs":500}`)
	s.requireCompleted()
}
