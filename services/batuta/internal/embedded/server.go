// Package embedded runs a NATS server with JetStream inside this process.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// Config of the server.
type Config struct {
	// Addr is where it listens, so that other programs can publish: host:port.
	Addr string
	// DataDir is the folder of its storage; it is made where it is missing.
	DataDir string
	// Sync says when writes are made durable.
	Sync settings.Sync
	// CheckEvery is how often the stores are looked at, for one that is frozen; 0 is 1 s.
	CheckEvery time.Duration
	Log        *slog.Logger
}

// Server is the embedded server as a service.
type Server struct {
	cfg   Config
	group lifecycle.Group
	lock  *os.File
	// ns is the server that runs: another one after a restart.
	ns atomic.Pointer[server.Server]
	// trouble is why the store takes nothing at present; nil where it does.
	trouble atomic.Pointer[error]
}

const readyTimeout = 60 * time.Second

// New makes a server that does not run yet.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

// String names the service.
func (s *Server) String() string { return "nats-server" }

// Start opens the store and listens. The errors name the setting at fault.
func (s *Server) Start(ctx context.Context) error {
	opts, err := s.options(ctx)
	if err == nil {
		err = s.open(opts)
	}
	if err == nil {
		err = s.group.Start(ctx)
	}
	if err != nil {
		s.close()
		return errors.Join(err, s.unlock())
	}
	s.keepPort()
	s.group.Go("look at the stores", s.watch)
	return nil
}

// keepPort makes a restart use the same port, also where the server has found it by itself.
func (s *Server) keepPort() {
	host, _, _ := net.SplitHostPort(s.cfg.Addr)
	if at, ok := s.NATS().Addr().(*net.TCPAddr); ok {
		s.cfg.Addr = net.JoinHostPort(host, strconv.Itoa(at.Port))
	}
}

// open runs a server on the store.
func (s *Server) open(opts *server.Options) error {
	ns, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("embedded NATS server: %w", err)
	}
	log := &logger{log: s.cfg.Log.With("service", "nats-server")}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(readyTimeout) || !ns.JetStreamEnabled() {
		ns.Shutdown()
		ns.WaitForShutdown()
		return fmt.Errorf("BATUTA_DATA_DIR: the embedded NATS server cannot use %s: %s", s.cfg.DataDir, log.lastError())
	}
	s.ns.Store(ns)
	s.cfg.Log.Info("the embedded NATS server serves", "url", ns.ClientURL(), "store", s.cfg.DataDir, "sync", durability(ns.JetStreamConfig()))
	return nil
}

// durability is what the running store says of when it writes to the disk.
func durability(c *server.JetStreamConfig) string {
	if c.SyncAlways {
		return "always"
	}
	return c.SyncInterval.String()
}

// Stop closes the store in order.
func (s *Server) Stop(ctx context.Context) error {
	err := s.group.Stop(ctx)
	s.close()
	return errors.Join(err, s.unlock())
}

func (s *Server) close() {
	if ns := s.NATS(); ns != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
	}
}

func (s *Server) unlock() error {
	if s.lock == nil {
		return nil
	}
	f := s.lock
	s.lock = nil
	return f.Close()
}

// NATS is the running server; nil before Start, another one after a restart.
func (s *Server) NATS() *server.Server { return s.ns.Load() }

// InProcessConn connects to the server that runs at present: clients find it again after a
// restart.
func (s *Server) InProcessConn() (net.Conn, error) {
	ns := s.NATS()
	if ns == nil || !ns.Running() {
		return nil, errStopped
	}
	conn, err := ns.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect within the process: %w", err)
	}
	return conn, nil
}

func (s *Server) options(ctx context.Context) (*server.Options, error) {
	host, port, err := net.SplitHostPort(s.cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("BATUTA_NATS_ADDR: %q is not host:port", s.cfg.Addr)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("BATUTA_NATS_ADDR: %q is not host:port", s.cfg.Addr)
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	l, err := obs.Listen(ctx, "BATUTA_NATS_ADDR", s.cfg.Addr) // the server's own message names no setting
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("BATUTA_NATS_ADDR: %w", err)
	}
	store := filepath.Join(s.cfg.DataDir, "nats")
	if err := os.MkdirAll(store, 0o750); err != nil {
		return nil, fmt.Errorf("BATUTA_DATA_DIR: %w", err)
	}
	if s.lock == nil {
		if s.lock, err = lock(store); err != nil {
			return nil, fmt.Errorf("BATUTA_DATA_DIR: %w", err)
		}
	}
	room, err := s.room(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("BATUTA_DATA_DIR: %w", err)
	}
	opts := &server.Options{
		ServerName: "batuta", Host: host, Port: number, JetStream: true, StoreDir: store, NoSigs: true,
		JetStreamMaxStore: room, JetStreamMaxMemory: 512 << 20, SyncAlways: s.cfg.Sync.Always,
	}
	if !s.cfg.Sync.Always {
		opts.SyncInterval = s.cfg.Sync.Interval
	}
	return opts, nil
}

var errStopped = errors.New("the embedded NATS server does not run")

// Ready is nil while the server serves and its stores take what is given to them.
func (s *Server) Ready() error {
	if ns := s.NATS(); ns == nil || !ns.Running() {
		return errStopped
	}
	if err := s.trouble.Load(); err != nil {
		return *err
	}
	return nil
}
