// Package up runs the whole system in one process: the four services and, unless a NATS
// server is named, that too. The services are wired over in-process connections and are
// otherwise the same as those of their own programs.
package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/services/batuta/internal/embedded"
	"github.com/batuta-tasks/batuta/services/scheduler"
	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// Name of the program in messages.
const name = "batuta up"

// readyTimeout bounds how long the start waits for the API's read model.
const readyTimeout = 60 * time.Second

// Run starts the system from flags and environment, and returns its exit code once it has
// been told to stop.
func Run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(stderr)
	settings.RegisterProgram(fs, settings.Up)
	if err := fs.Parse(args); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 2
	}
	s, err := settings.Load(fs, environ)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	log, err := obs.NewLogger(stderr, s.LogLevel, s.LogFormat)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	for _, w := range s.Warnings {
		log.Warn("unknown setting", "warning", w)
	}
	sys := New(s, log)
	ops := obs.NewServer(obs.Config{
		Addr: s.OpsAddr, Log: log, Metrics: obs.NewRegistry("batuta", obs.Version),
		Ready: func(context.Context) error { return sys.Ready() },
	})
	defer program.GiveBack(ctx)()
	r := &lifecycle.Runner{Log: log, StopTimeout: s.Drain + 15*time.Second, Ready: func() {
		fmt.Fprintf(stdout, "Batuta is ready: http://%s\n", sys.Addr())
		debug.FreeOSMemory() // what the start needed would stay for a minute otherwise
	}}
	return r.Run(ctx, ops, sys)
}

// System is the running services.
type System struct {
	settings *settings.Settings
	log      *slog.Logger

	server   *embedded.Server
	conns    []*nats.Conn
	services []program.Service
	api      *api.Service
}

// New prepares a system.
func New(s *settings.Settings, log *slog.Logger) *System {
	own := *s
	if slices.Equal(own.WorkerCommand, []string{"batuta", "worker"}) {
		if exe, err := os.Executable(); err == nil {
			own.WorkerCommand = []string{exe, "worker"} // the program need not be on the PATH
		}
	}
	return &System{settings: &own, log: log}
}

// String names the system.
func (y *System) String() string { return "batuta" }

// Addr is where the API listens.
func (y *System) Addr() string { return y.api.Addr() }

// NATSURL is where the embedded server listens; empty where another is used.
func (y *System) NATSURL() string {
	if y.server == nil || y.server.NATS() == nil {
		return ""
	}
	return y.server.NATS().ClientURL()
}

// Ready is nil when every service can do its work.
func (y *System) Ready() error {
	if len(y.services) == 0 {
		return errors.New("starting")
	}
	var errs []error
	if y.server != nil {
		if err := y.server.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", y.server, err))
		}
	}
	for _, s := range y.services {
		if err := s.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", s, err))
		}
	}
	return errors.Join(errs...)
}

// Start starts NATS where none is named, then the services, and waits until they are ready.
func (y *System) Start(ctx context.Context) error {
	if y.settings.NATS.URL == "" {
		y.server = embedded.New(embedded.Config{
			Addr: y.settings.NATSAddr, DataDir: y.settings.DataDir, Sync: y.settings.Sync, Log: y.log,
		})
		if err := y.server.Start(ctx); err != nil {
			return err
		}
	}
	if err := y.startServices(ctx); err != nil {
		return errors.Join(err, y.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (y *System) startServices(ctx context.Context) error {
	for _, make := range []struct {
		name string
		new  func(program.Env) (program.Service, error)
	}{
		{"state-recorder", func(e program.Env) (program.Service, error) { return recorder.New(recorder.ConfigOf(e)) }},
		{"scheduler", func(e program.Env) (program.Service, error) { return scheduler.New(scheduler.ConfigOf(e)) }},
		{"api", func(e program.Env) (program.Service, error) {
			a, err := api.New(api.ConfigOf(e))
			y.api = a
			return a, err
		}},
		{"worker-pool", func(e program.Env) (program.Service, error) { return workerpool.New(workerpool.ConfigOf(e)) }},
	} {
		env, err := y.env(make.name)
		if err != nil {
			return err
		}
		svc, err := make.new(env)
		if err != nil {
			return err
		}
		if err := program.Start(ctx, svc, y.log); err != nil {
			return err
		}
		y.services = append(y.services, svc)
	}
	return y.awaitReady(ctx)
}

func (y *System) env(service string) (program.Env, error) {
	o := program.ConnectOptions(y.settings, service, y.log)
	if y.server != nil {
		o.InProcess = y.server
	}
	nc, err := natsx.Connect(o)
	if err != nil {
		return program.Env{}, fmt.Errorf("%s: BATUTA_NATS_URL: %w", name, err)
	}
	y.conns = append(y.conns, nc)
	return program.NewEnv(nc, y.settings, service, y.log.With("service", service))
}

func (y *System) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		err := y.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready: %w", name, err)
		case <-t.C:
		}
	}
}

// Stop stops the services in reverse order, so that the pool hands its work back while the
// others still listen, then NATS.
func (y *System) Stop(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(y.services) {
		errs = append(errs, s.Stop(ctx))
	}
	y.services = nil
	for _, nc := range y.conns {
		nc.Close()
	}
	y.conns = nil
	if y.server != nil {
		errs = append(errs, y.server.Stop(ctx))
	}
	return errors.Join(errs...)
}
