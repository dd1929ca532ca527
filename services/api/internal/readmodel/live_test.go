package readmodel_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// received is a message of the feed, of either type.
type received struct {
	wire.Delta
	raw []byte
}

func next(t *testing.T, s httpapi.Subscription) received {
	t.Helper()
	select {
	case raw, more := <-s.Messages():
		require.True(t, more, s.Reason())
		out := received{raw: raw}
		var head struct{ Type string }
		require.NoError(t, json.Unmarshal(raw, &head))
		if out.Type = head.Type; out.Type == wire.LiveDelta {
			require.NoError(t, json.Unmarshal(raw, &out.Delta))
		}
		return out
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the feed is silent")
		return received{}
	}
}

func snapshot(t *testing.T, s httpapi.Subscription) (out wire.Snapshot) {
	t.Helper()
	first := next(t, s)
	require.Equal(t, wire.LiveSnapshot, first.Type)
	require.NoError(t, json.Unmarshal(first.raw, &out))
	return out
}

func TestTheFeedTellsWhatChanges(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for seq := uint64(101); seq <= 130; seq++ {
		s.put(record(seq))
	}
	s.key(wire.BucketWorkers, "worker-1", worker(1))
	s.tell(wire.Event{Event: wire.EventCancelled, TaskID: "early"})
	m := s.ready()
	sub := m.Subscribe(0)
	defer sub.Close()
	snap := snapshot(t, sub)
	require.Len(t, snap.Tasks, 30)
	require.Len(t, snap.Events, 1)
	require.Len(t, snap.Workers, 1)
	require.Equal(t, 30, snap.Stats.Tasks.Total)

	s.put(record(101, done(wire.StatusCompleted), func(r *wire.Record) { r.Result = json.RawMessage(`"large"`) }))
	s.drop(wire.BucketTasks, "task-102")
	s.tell(wire.Event{Event: wire.EventCompleted, TaskID: "task-101"})
	s.drop(wire.BucketWorkers, "worker-1")
	sub.Close()

	again := m.Subscribe(snap.Seq)
	defer again.Close()
	var upserted, removed, events, gone []string
	seq := snap.Seq
	for len(upserted) < 1 || len(removed) < 1 || len(events) < 1 || len(gone) < 1 {
		d := next(t, again)
		require.Equal(t, wire.LiveDelta, d.Type)
		require.Equal(t, seq+1, d.Seq, "no message is missing")
		seq = d.Seq
		if d.Tasks != nil {
			for _, r := range d.Tasks.Upserted {
				upserted = append(upserted, fmt.Sprint(r.ID, " ", r.Status, " ", len(r.Result), " ", r.ResultOmitted))
			}
			removed = append(removed, d.Tasks.Removed...)
		}
		if d.Workers != nil {
			gone = append(gone, d.Workers.Removed...)
		}
		for _, e := range d.Events {
			events = append(events, string(e.TaskID))
		}
	}
	require.Equal(t, []string{"task-101 completed 4 true"}, upserted)
	require.Equal(t, []string{"task-102"}, removed)
	require.Equal(t, []string{"task-101"}, events)
	require.Equal(t, []string{"worker-1"}, gone)
}

func TestOneChangeAmongManyIsASmallMessage(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for seq := uint64(1000); seq < 1500; seq++ {
		s.put(record(seq, done(wire.StatusCompleted)))
	}
	m := s.ready()
	sub := m.Subscribe(0)
	defer sub.Close()
	snapshot(t, sub)
	s.put(record(1234, running("worker-1")))
	for {
		if d := next(t, sub); d.Tasks != nil {
			require.Len(t, d.Tasks.Upserted, 1)
			require.Less(t, len(d.raw), 4000)
			return
		}
	}
}
