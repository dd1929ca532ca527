package recorder

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// forgetful gives a JetStream on which the question for the first event since a time finds a
// later one: as on a replica whose stream was reset, and that has not caught up.
func forgetful(t *testing.T, nc *nats.Conn, seq string) jetstream.JetStream {
	t.Helper()
	return natstest.Intercept(t, nc, func(request string, m *nats.Msg) bool {
		if request != "DIRECT.GET."+wire.StreamEvents || !strings.Contains(string(m.Data), "start_time") {
			return false
		}
		one := nats.NewMsg(m.Reply)
		for k, v := range map[string]string{
			jetstream.StreamHeader: wire.StreamEvents, jetstream.SequenceHeader: seq, jetstream.SubjectHeader: wire.EventsSubject(wire.Shard0),
			jetstream.TimeStampHeaer: time.Now().UTC().Format(time.RFC3339Nano), "Nats-Num-Pending": "0",
		} {
			one.Header.Set(k, v)
		}
		_ = m.RespondMsg(one)
		end := nats.NewMsg(m.Reply)
		end.Header.Set("Status", "204")
		_ = m.RespondMsg(end)
		return true
	})
}

func TestAReplicaThatHasForgottenEventsTrimsNone(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js := srv.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	events := natsx.NewEvents(natsx.NewPublisher(js))
	t.Cleanup(func() { events.Close(context.Background()) })
	for range 4 {
		_, err := events.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventWorkerNew, WorkerID: "worker-1"}))
		require.NoError(t, err)
	}
	_, err := js.Publish(t.Context(), wire.KVSubject(wire.BucketTasks, wire.KeyPosition), []byte("4.0"))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	second, err := s.GetMsg(t.Context(), 2)
	require.NoError(t, err)

	r, err := New(Config{JS: forgetful(t, srv.Conn(t), "4")})
	require.NoError(t, err)
	require.NoError(t, r.trimEvents(t.Context()))
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, info.State.Msgs)
	first, err := r.firstSince(t.Context(), info.State, second.Time)
	require.NoError(t, err)
	require.Zero(t, first, "the third is as young")

	r, err = New(Config{JS: js})
	require.NoError(t, err)
	first, err = r.firstSince(t.Context(), info.State, second.Time)
	require.NoError(t, err)
	require.EqualValues(t, 2, first)
}
