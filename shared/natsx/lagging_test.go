package natsx_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// lagging gives a JetStream of which some reads of records are answered by answer instead:
// as a replica that lags, or one that goes in the middle of its answer.
func lagging(t *testing.T, nc *nats.Conn, times int32, answer func(m *nats.Msg)) jetstream.JetStream {
	t.Helper()
	left := &atomic.Int32{}
	left.Store(times)
	return natstest.Intercept(t, nc, func(request string, m *nats.Msg) bool {
		taken := request == "DIRECT.GET."+wire.StreamTasks && strings.Contains(string(m.Data), wire.KeyPosition) && left.Add(-1) >= 0
		if taken {
			answer(m)
		}
		return taken
	})
}

// say answers a read with messages, the last of which says how many more there are.
func say(m *nats.Msg, key, value string, pending int) {
	one := nats.NewMsg(m.Reply)
	one.Header.Set(jetstream.SubjectHeader, wire.KVSubject(wire.BucketTasks, key))
	one.Header.Set(jetstream.SequenceHeader, "1")
	one.Header.Set("Nats-Num-Pending", strconv.Itoa(pending))
	one.Data = []byte(value)
	_ = m.RespondMsg(one)
	end := nats.NewMsg(m.Reply)
	end.Header.Set("Status", "204")
	_ = m.RespondMsg(end)
}

// On several replicas any of them may answer a read, also one that lags: it shows in its
// position, and the read is repeated. An answer that breaks off is no word of what is missing.
func TestAReadBehindTheBarrierIsNeverStale(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(m *nats.Msg){
		"a replica that lags":    func(m *nats.Msg) { say(m, wire.KeyPosition, "0.3", 0) },
		"an incomplete answer":   func(m *nats.Msg) { say(m, wire.KeyPosition, "1.0", 1) },
		"a replica with no more": func(m *nats.Msg) { say(m, "b", `{"id":"b","type":"x","status":"scheduled","meta":{}}`, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, js := setup(t)
			ev := natsx.NewEvents(natsx.NewPublisher(js))
			defer ev.Close(t.Context())
			_, err := ev.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: "a"}))
			require.NoError(t, err)
			kv, err := js.KeyValue(t.Context(), wire.BucketTasks)
			require.NoError(t, err)
			_, err = kv.Put(t.Context(), "b", []byte(`{"id":"b","type":"x","status":"pending","meta":{"submitSeq":1}}`))
			require.NoError(t, err)
			_, err = kv.Put(t.Context(), wire.KeyPosition, []byte("1.0"))
			require.NoError(t, err)
			r, err := natsx.NewRecords(t.Context(), lagging(t, s.Conn(t), 3, answer))
			require.NoError(t, err)
			defer r.Close()
			records, err := r.Behind(t.Context(), "b")
			require.NoError(t, err)
			require.Contains(t, records, "b")
			require.Equal(t, wire.StatusPending, records["b"].Status)
		})
	}
}
