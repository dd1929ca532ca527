package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
)

// readHeaderTimeout keeps a client that never finishes its request from holding a
// connection for good.
const readHeaderTimeout = 10 * time.Second

// Config says what an ops server shows.
type Config struct {
	// Addr is where it listens. Empty: nowhere; the server then does nothing.
	Addr string
	// Healthy is asked by /healthz: is the process of any use, or to be replaced? May be nil.
	Healthy Check
	// Ready is asked by /readyz: can it do its work now? May be nil.
	Ready Check
	// Metrics is shown by /metrics; nil: 404.
	Metrics prometheus.Gatherer
	// Log may be nil.
	Log *slog.Logger
}

// Server is the ops server of a service. It is a lifecycle.Service and a
// lifecycle.Failer. Start it before the service whose readiness it shows, so that a
// probe during the start gets an answer.
type Server struct {
	lifecycle.Group
	cfg  Config
	srv  *http.Server
	addr net.Addr
}

// NewServer makes a server that is not yet listening.
func NewServer(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Server{cfg: cfg}
}

// String is the server's name in logs.
func (s *Server) String() string { return "ops server" }

// Start listens and serves. A taken port is one line that names setting and address.
func (s *Server) Start(ctx context.Context) error {
	if s.cfg.Addr == "" {
		return nil
	}
	listener, err := Listen(ctx, "BATUTA_OPS_ADDR", s.cfg.Addr)
	if err != nil {
		return err
	}
	if err := s.Group.Start(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.addr = listener.Addr()
	s.srv = &http.Server{Handler: s.handler(), ReadHeaderTimeout: readHeaderTimeout}
	s.Go("serve", func(context.Context) {
		if err := s.srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.Fail(fmt.Errorf("ops server: %w", err))
		}
	})
	s.cfg.Log.InfoContext(ctx, "ops server listens", "addr", s.addr.String())
	return nil
}

// Addr is where the server listens, with the port that port 0 became; empty when it
// does not.
func (s *Server) Addr() string {
	if s.addr == nil {
		return ""
	}
	return s.addr.String()
}

// Stop closes the server at once: probes have nothing to finish, and a profile that is
// being taken must not hold up the exit.
func (s *Server) Stop(ctx context.Context) error {
	if s.srv != nil {
		_ = s.srv.Close()
	}
	return s.Group.Stop(ctx)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", HealthHandler(s.cfg.Healthy))
	mux.Handle("GET /readyz", HealthHandler(s.cfg.Ready))
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", MetricsHandler(s.cfg.Metrics))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Listen opens a TCP listener; its error is one line naming setting and address.
func Listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %q: %w (rule: a free address of this machine)",
			setting, addr, rootCause(err))
	}
	return listener, nil
}

// rootCause drops what the error's own text would repeat: operation, network, address.
func rootCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
