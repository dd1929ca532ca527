// Package natstest runs real NATS servers with JetStream inside the test process. It is
// for tests only: a linter rule keeps it, and the NATS server with it, out of services.
package natstest

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// startTimeout is generous: race-enabled test binaries on a busy machine start slowly,
// and a server that does come up costs nothing of it.
const startTimeout = 30 * time.Second

// maxStoreDefault is stated because the server's own default is a share of the free
// disk, which differs from machine to machine and shrinks while tests run.
const maxStoreDefault = 4 << 30

var serverCount atomic.Int64

// Option changes the configuration of a test server.
type Option func(*server.Options)

// SyncAlways makes the server fsync before it acknowledges, as in production.
func SyncAlways(o *server.Options) { o.SyncAlways = true }

// MaxStore limits the server's file storage to n bytes (default 4 GiB); beyond it
// publishes are refused with error code 10023.
func MaxStore(n int64) Option {
	return func(o *server.Options) { o.JetStreamMaxStore = n }
}

// MaxPayload sets the largest message in bytes (default 1 MiB).
func MaxPayload(n int32) Option {
	return func(o *server.Options) { o.MaxPayload = n }
}

// Server is one embedded NATS server with JetStream on disk.
type Server struct {
	mu   sync.Mutex
	opts *server.Options
	srv  *server.Server
}

// Start runs a server on a free port of 127.0.0.1 that stores under t.TempDir(). It
// stops when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	o := options(t, opts)
	o.Port = server.RANDOM_PORT
	s := &Server{opts: o}
	s.start(t)
	// Keep the port: a restarted server must be found by clients that reconnect.
	s.opts.Port = s.srv.Addr().(*net.TCPAddr).Port
	t.Cleanup(s.Stop)
	return s
}

func options(t testing.TB, opts []Option) *server.Options {
	t.Helper()
	o := &server.Options{
		ServerName:         fmt.Sprintf("test-%d", serverCount.Add(1)),
		Host:               "127.0.0.1",
		JetStream:          true,
		StoreDir:           t.TempDir(),
		JetStreamMaxStore:  maxStoreDefault,
		JetStreamMaxMemory: 1 << 30,
		NoSigs:             true, // else the server traps the test binary's signals
		NoLog:              true,
	}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	srv, err := launch(s.opts)
	require.NoError(t, err, "start the NATS server")
	require.True(t, srv.ReadyForConnections(startTimeout), "the NATS server did not come up")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv = srv
}

// launch starts a server from a copy of opts: the server changes what it is given.
func launch(opts *server.Options) (*server.Server, error) {
	srv, err := server.NewServer(opts.Clone())
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	srv.Start()
	return srv, nil
}

// URL is where clients connect.
func (s *Server) URL() string {
	return fmt.Sprintf("nats://%s:%d", s.opts.Host, s.opts.Port)
}

// NATS gives the server itself, for faults that only it can show. It is another value
// after Restart.
func (s *Server) NATS() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.srv
}

// Conn connects a client, which is closed when the test ends. It reconnects quickly and
// without end, so that it survives Restart; options given later win.
func (s *Server) Conn(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return connect(t, s.URL(), opts)
}

func connect(t testing.TB, url string, opts []nats.Option) *nats.Conn {
	t.Helper()
	base := []nats.Option{
		nats.Name(t.Name()),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(20 * time.Millisecond),
		nats.Timeout(10 * time.Second),
	}
	nc, err := nats.Connect(url, append(base, opts...)...)
	require.NoError(t, err, "connect to the NATS server")
	t.Cleanup(nc.Close)
	return nc
}

// JS is JetStream on a connection of its own.
func (s *Server) JS(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(s.Conn(t))
	require.NoError(t, err)
	return js
}

// Stop shuts the server down and waits; its store stays. A second call does nothing.
func (s *Server) Stop() {
	srv := s.NATS()
	srv.Shutdown()
	srv.WaitForShutdown()
}

// Restart stops the server and starts it again on the same port and store.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.start(t)
}

// StartAgain starts a server that was stopped, on the same port and store.
func (s *Server) StartAgain(t testing.TB) {
	t.Helper()
	require.False(t, s.NATS().Running(), "the NATS server is running")
	s.start(t)
}
