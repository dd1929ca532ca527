package readmodel_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// One change among 100,000 tasks is a message under 4 kB.
func TestOneChangeAmongManyIsASmallDelta(t *testing.T) {
	t.Parallel()
	const tasks = 100_000
	s := newSystem(t)
	pub := natsx.NewPublisher(s.js)
	for from := 0; from < tasks; from += natsx.MaxBatch {
		msgs := make([]*nats.Msg, natsx.MaxBatch)
		for i := range msgs {
			r := record(uint64(1001 + from + i))
			msgs[i] = nats.NewMsg(wire.KVSubject(wire.BucketTasks, r.ID))
			msgs[i].Data = encode(t, r)
		}
		_, err := pub.Commit(t.Context(), msgs)
		require.NoError(t, err)
	}
	m := s.ready()
	eventually(t, func() bool { return m.Counts().Total == tasks }, "the tasks are not seen")
	sub := m.Subscribe(0)
	defer sub.Close()
	require.Equal(t, tasks, snapshot(t, sub).Stats.Tasks.Total)
	changed := record(5000, done(wire.StatusCompleted))
	s.put(changed)
	for {
		d := next(t, sub)
		require.Less(t, len(d.raw), 4096, "%s", d.raw)
		if d.Tasks != nil {
			require.Len(t, d.Tasks.Upserted, 1)
			require.Equal(t, changed.ID, d.Tasks.Upserted[0].ID)
			return
		}
	}
}
