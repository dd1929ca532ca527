package embedded_test

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/embedded"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
)

func server(t *testing.T, addr, dir string) *embedded.Server {
	t.Helper()
	s := embedded.New(embedded.Config{Addr: addr, DataDir: dir, Sync: settings.Sync{Always: true}, Log: obs.NewTestLogger(t.Output())})
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	return s
}

func use(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s.NATS()))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func TestKeepsItsStoreOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := server(t, "127.0.0.1:0", dir)
	require.NoError(t, s.Start(t.Context()))
	require.NoError(t, s.Ready())
	js := use(t, s)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "kept", []byte("1"))
	require.NoError(t, err)
	require.NoError(t, s.Stop(t.Context()))
	require.Error(t, s.Ready())

	again := server(t, "127.0.0.1:0", dir)
	require.NoError(t, again.Start(t.Context()))
	st, err := use(t, again).Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	require.EqualValues(t, 1, st.CachedInfo().State.Msgs)
}

func TestTwoServersCannotShareAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, server(t, "127.0.0.1:0", dir).Start(t.Context()))
	err := server(t, "127.0.0.1:0", dir).Start(t.Context())
	require.ErrorContains(t, err, "BATUTA_DATA_DIR: ")
	require.ErrorContains(t, err, "another process uses this folder")
}

func TestErrorsNameTheSetting(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.ErrorContains(t, server(t, l.Addr().String(), t.TempDir()).Start(t.Context()), "BATUTA_NATS_ADDR: ")
	require.ErrorContains(t, server(t, "nowhere", t.TempDir()).Start(t.Context()), `BATUTA_NATS_ADDR: "nowhere" is not host:port`)
	require.ErrorContains(t, server(t, "127.0.0.1:0", "/dev/null/x").Start(t.Context()), "BATUTA_DATA_DIR: ")
}

// What BATUTA_SYNC says reaches the server: with always nothing is acknowledged before it is
// on disk, for power may fail.
func TestSyncReachesTheServer(t *testing.T) {
	t.Parallel()
	for _, sync := range []settings.Sync{{Always: true}, {Interval: 3 * time.Second}} {
		s := embedded.New(embedded.Config{Addr: "127.0.0.1:0", DataDir: t.TempDir(), Sync: sync, Log: obs.NewTestLogger(t.Output())})
		require.NoError(t, s.Start(t.Context()))
		cfg := s.NATS().JetStreamConfig()
		require.Equal(t, sync.Always, cfg.SyncAlways)
		if !sync.Always {
			require.Equal(t, sync.Interval, cfg.SyncInterval)
		}
		require.NoError(t, s.Stop(t.Context()))
	}
}
