package recorder

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// An event that was overtaken on its way is not taken for one that is gone: the fold begins
// anew at the stored position, and nothing is lost.
func TestAnOvertakenEventIsNotPassedOver(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	r, err := New(Config{JS: js})
	require.NoError(t, err)
	events := natsx.NewEvents(natsx.NewPublisher(js))
	t.Cleanup(func() { events.Close(context.Background()) })
	var messages []message
	for i := range 4 {
		e := wire.NewEvent(wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1"})
		at, err := events.Publish(t.Context(), e)
		require.NoError(t, err)
		require.EqualValues(t, i+1, at[0].Seq)
		messages = append(messages, message{seq: at[0].Seq, events: []place{{&e, at[0]}}})
	}
	f := &folder{r: r, totals: &wire.Totals{}, cache: map[string]*entry{}}
	require.NoError(t, f.apply(t.Context(), messages[:1]))
	require.EqualValues(t, 1, f.at.position.Seq)
	require.ErrorIs(t, f.apply(t.Context(), messages[2:3]), errOvertaken)
	require.EqualValues(t, 1, f.at.position.Seq)

	s, err := js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	require.NoError(t, s.DeleteMsg(t.Context(), 2)) // as only an operator could
	require.NoError(t, f.apply(t.Context(), messages[2:3]))
	require.EqualValues(t, 3, f.at.position.Seq)

	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(5)))
	_, err = events.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1"}))
	require.NoError(t, err)
	require.NoError(t, f.apply(t.Context(), []message{{seq: 5}}))
	require.EqualValues(t, 5, f.at.position.Seq)
}

// A leader that is one no more tells of a stream that ends earlier. Believed, the stream would be
// lifted above the position, and what is behind would be gone.
func TestAStreamIsNotLiftedOnTheWordOfAFormerLeader(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	require.NoError(t, topology.Ensure(t.Context(), srv.JS(t), topology.Options{}))
	asked := &atomic.Int32{}
	js := natstest.Intercept(t, srv.Conn(t), func(request string, m *nats.Msg) bool {
		if request != "STREAM.INFO."+wire.StreamEvents || asked.Add(1) > 2 {
			return false
		}
		_ = m.Respond([]byte(`{"config":{"name":"` + wire.StreamEvents + `"},"state":{"last_seq":2,"first_seq":1,"messages":2},
			"cluster":{"leader":"a","replicas":[{"name":"b","active":9000000000},{"name":"c","active":9000000000}]}}`))
		return true
	})
	for range 4 {
		_, err := srv.JS(t).Publish(t.Context(), wire.EventsSubject(wire.Shard0), []byte("[]"))
		require.NoError(t, err)
	}
	r, err := New(Config{JS: js})
	require.NoError(t, err)
	require.NoError(t, r.lift(t.Context(), wire.Position{Seq: 4}))
	require.Greater(t, asked.Load(), int32(2))
	s, err := srv.JS(t).Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	require.EqualValues(t, 4, s.CachedInfo().State.Msgs)
	require.EqualValues(t, 4, s.CachedInfo().State.LastSeq)
}
