package natstest

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Intercept gives a JetStream whose requests are shown to take first, without the prefix of the
// API: where it returns true it has answered, as a replica that lags might; all others reach the
// server.
func Intercept(t testing.TB, nc *nats.Conn, take func(request string, m *nats.Msg) bool) jetstream.JetStream {
	t.Helper()
	prefix := nats.NewInbox()
	sub, err := nc.Subscribe(prefix+".>", func(m *nats.Msg) {
		request := strings.TrimPrefix(m.Subject, prefix+".")
		if take(request, m) {
			return
		}
		out := nats.NewMsg("$JS.API." + request)
		out.Reply, out.Data, out.Header = m.Reply, m.Data, m.Header
		_ = nc.PublishMsg(out) // or the test's connection is gone
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	js, err := jetstream.NewWithAPIPrefix(nc, prefix)
	require.NoError(t, err)
	return js
}

// Lagging gives a JetStream on which the first questions to any copy of a stream find nothing, as
// on a replica that lags; the leader's answers are untouched. What remains of times is counted
// down in the result.
func Lagging(t testing.TB, nc *nats.Conn, stream string, times int32) (jetstream.JetStream, *atomic.Int32) {
	t.Helper()
	left := &atomic.Int32{}
	left.Store(times)
	ask := "DIRECT.GET." + stream
	return Intercept(t, nc, func(request string, m *nats.Msg) bool {
		if request != ask && !strings.HasPrefix(request, ask+".") || left.Add(-1) < 0 {
			return false
		}
		none := nats.NewMsg(m.Reply)
		none.Header.Set("Status", "404")
		none.Header.Set("Description", "Message Not Found")
		if strings.Contains(string(m.Data), "multi_last") {
			none.Header.Set("Description", "No Results")
		}
		_ = m.RespondMsg(none) // or the test's connection is gone
		return true
	}), left
}
