// Package program is what the mains of all services have in common: settings from flags and
// environment, logging, the connection to NATS, the ops server, signals and exit codes.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// Service is a service that can say whether it can do its work now.
type Service interface {
	lifecycle.Service
	// Ready is nil, or the reason why not.
	Ready() error
}

// Env is what a service is made from.
type Env struct {
	Settings *settings.Settings
	Conn     *nats.Conn
	JS       jetstream.JetStream
	Log      *slog.Logger
	// Metrics is shown at /metrics of the ops server.
	Metrics *prometheus.Registry
	// ClusterSize is the number of NATS servers known at the start.
	ClusterSize int
	Version     string
}

// Spec says which program this is.
type Spec struct {
	Name     string
	Settings settings.Program
	// Long is shown by --help.
	Long string
	New  func(Env) (Service, error)
}

// Exit codes beside those of package lifecycle.
const exitUsage = 2

// Main runs the program with the process's arguments and environment and returns its exit code.
func Main(spec Spec) int {
	return Run(context.Background(), spec, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
}

// Run is Main with everything given.
func Run(ctx context.Context, spec Spec, args, environ []string, stdout, stderr io.Writer) int {
	fs := pflag.NewFlagSet(spec.Name, pflag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.SortFlags = false
	settings.RegisterProgram(fs, spec.Settings)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "%s\n\nUsage: %s [flags]\n       %s healthcheck | version\n\nFlags (each also as an environment variable, BATUTA_…):\n%s",
			spec.Long, spec.Name, spec.Name, fs.FlagUsages())
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return lifecycle.ExitOK
		}
		fmt.Fprintf(stderr, "%s: %v\n", spec.Name, err)
		return exitUsage
	}
	if fs.Arg(0) == "version" {
		fmt.Fprintln(stdout, obs.VersionLine(spec.Name))
		return lifecycle.ExitOK
	}
	s, err := settings.Load(fs, environ)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	switch command := fs.Arg(0); command {
	case "":
		return serve(ctx, spec, s, stderr)
	case "healthcheck":
		return healthcheck(ctx, s, stderr)
	default:
		fmt.Fprintf(stderr, "%s: unknown command %q: there are healthcheck and version\n", spec.Name, command)
		return exitUsage
	}
}

func healthcheck(ctx context.Context, s *settings.Settings, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := obs.Healthcheck(ctx, s.OpsAddr); err != nil {
		fmt.Fprintln(stderr, err)
		return lifecycle.ExitFailed
	}
	return lifecycle.ExitOK
}

func serve(ctx context.Context, spec Spec, s *settings.Settings, stderr io.Writer) int {
	log, err := obs.Setup(spec.Name, s.LogLevel, s.LogFormat)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	for _, w := range s.Warnings {
		log.Warn("unknown setting", "warning", w)
	}
	ctx, release := untilSignal(ctx)
	defer release()
	nc, err := connect(ctx, ConnectOptions(s, spec.Name, log))
	if lifecycle.Stopped(ctx) {
		return lifecycle.ExitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: BATUTA_NATS_URL: %v\n", spec.Name, err)
		return lifecycle.ExitFailed
	}
	defer nc.Close()
	env, err := NewEnv(nc, s, spec.Name, log)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", spec.Name, err)
		return lifecycle.ExitFailed
	}
	svc, err := spec.New(env)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", spec.Name, err)
		return lifecycle.ExitFailed
	}
	ops := obs.NewServer(obs.Config{
		Addr: s.OpsAddr, Metrics: env.Metrics, Log: log,
		Ready: func(context.Context) error { return errors.Join(Connected(nc), svc.Ready()) },
	})
	defer GiveBack(ctx)()
	r := &lifecycle.Runner{Log: log, StopTimeout: s.Drain + 10*time.Second, Ready: func() { log.Info("ready") }}
	return r.Run(ctx, ops, patient{svc, log})
}

// untilSignal is a context that ends with the first SIGINT or SIGTERM: a program can be
// stopped before its services are started, too.
func untilSignal(ctx context.Context) (stopped context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(lifecycle.ErrStop)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// connect is natsx.Connect, which knows no context: where ctx ends first it is left alone.
func connect(ctx context.Context, o natsx.ConnectOptions) (*nats.Conn, error) {
	type connected struct {
		nc  *nats.Conn
		err error
	}
	c := make(chan connected, 1)
	go func() {
		nc, err := natsx.Connect(o)
		c <- connected{nc, err}
	}()
	select {
	case got := <-c:
		return got.nc, got.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Connected is nil while nc has a server.
func Connected(nc *nats.Conn) error {
	if !nc.IsConnected() {
		return fmt.Errorf("no connection to NATS (%s)", strings.ToLower(nc.Status().String()))
	}
	return nil
}

// ConnectOptions are those of the settings.
func ConnectOptions(s *settings.Settings, name string, log *slog.Logger) natsx.ConnectOptions {
	return natsx.ConnectOptions{
		URL: s.NATS.URL, Name: "batuta " + name, Creds: s.NATS.Creds, NKey: s.NATS.NKey,
		TLSCA: s.NATS.CA, TLSCert: s.NATS.Cert, TLSKey: s.NATS.Key, Log: log,
	}
}

// NewEnv is the environment of a service on a connection.
func NewEnv(nc *nats.Conn, s *settings.Settings, name string, log *slog.Logger) (Env, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncTimeout(5*time.Second))
	if err != nil {
		return Env{}, fmt.Errorf("use JetStream: %w", err)
	}
	return Env{
		Settings: s, Conn: nc, JS: js, Log: log, ClusterSize: natsx.ClusterSize(nc),
		Metrics: obs.NewRegistry(name, obs.Version), Version: obs.Version,
	}, nil
}
