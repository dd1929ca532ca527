package natstest

import (
	"strings"
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
