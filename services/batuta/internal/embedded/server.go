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
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/shirou/gopsutil/v3/disk"

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
	Log  *slog.Logger
}

// Server is the embedded server as a service.
type Server struct {
	cfg  Config
	ns   *server.Server
	lock *os.File
}

// Shares of the disk: what is left free, so that the store is refused cleanly before the
// disk is really full, which would freeze it.
const (
	reservePercent = 10
	smallestStore  = 256 << 20
	readyTimeout   = 60 * time.Second
)

// New makes a server that does not run yet.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

// String names the service.
func (s *Server) String() string { return "nats-server" }

// Start opens the store and listens. The errors name the setting at fault.
func (s *Server) Start(ctx context.Context) error {
	opts, err := s.options(ctx)
	if err != nil {
		return errors.Join(err, s.unlock())
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return errors.Join(fmt.Errorf("embedded NATS server: %w", err), s.unlock())
	}
	log := &logger{log: s.cfg.Log.With("service", "nats-server")}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(readyTimeout) || !ns.JetStreamEnabled() {
		ns.Shutdown()
		ns.WaitForShutdown()
		return errors.Join(fmt.Errorf("BATUTA_DATA_DIR: the embedded NATS server cannot use %s: %s", s.cfg.DataDir, log.lastError()), s.unlock())
	}
	s.ns = ns
	return nil
}

// Stop closes the store in order.
func (s *Server) Stop(context.Context) error {
	if s.ns != nil {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
	}
	return s.unlock()
}

func (s *Server) unlock() error {
	if s.lock == nil {
		return nil
	}
	f := s.lock
	s.lock = nil
	return f.Close()
}

// NATS is the running server; nil before Start.
func (s *Server) NATS() *server.Server { return s.ns }

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
	if s.lock, err = lock(store); err != nil {
		return nil, fmt.Errorf("BATUTA_DATA_DIR: %w", err)
	}
	room, err := room(ctx, store)
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

// room is how many bytes the store may take: what it holds and what is free, less a reserve.
func room(ctx context.Context, dir string) (int64, error) {
	usage, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	var held int64
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that vanishes meanwhile is not held
		}
		if info, err := d.Info(); err == nil {
			held += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	free := int64(usage.Free) / 100 * (100 - reservePercent)
	if held+free < smallestStore {
		return 0, fmt.Errorf("%s: %d MB are free, at least %d MB are needed", dir, usage.Free>>20, smallestStore>>20)
	}
	return held + free, nil
}

// logger passes the server's words on and keeps the last error for the message of Start.
type logger struct {
	log  *slog.Logger
	last atomic.Pointer[string]
}

func (l *logger) lastError() string {
	if s := l.last.Load(); s != nil {
		return *s
	}
	return "it did not become ready in time"
}

func (l *logger) keep(s string) string {
	l.last.Store(&s)
	return s
}

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("NATS server", "text", message(format, v))
}

func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("NATS server", "text", message(format, v))
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("NATS server", "text", l.keep(message(format, v)))
}

func (l *logger) Fatalf(format string, v ...any) {
	l.log.Error("NATS server", "text", l.keep(message(format, v)))
}
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

func message(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }

var errStopped = errors.New("the embedded NATS server stopped by itself")

// Ready is nil while the server serves.
func (s *Server) Ready() error {
	if s.ns == nil || !s.ns.Running() {
		return errStopped
	}
	return nil
}
