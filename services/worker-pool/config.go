package workerpool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// Config of a pool process.
type Config struct {
	// JS is the connection to use. It must come from natsx.Connect: one that buffers while
	// it is cut off would acknowledge tasks that others hold by then.
	JS jetstream.JetStream
	// Replicas and ClusterSize are those of topology.Options.
	Replicas, ClusterSize int

	// Pool is the pool's name; "" is default.
	Pool string
	// Queues that the pool serves; none is default.
	Queues []string
	// Min and Max bound the workers of this process. 0 workers are allowed at least; Max 0 is Min, at least 1.
	Min, Max int
	// Command is the worker process to run. Handlers, where not nil, run in this process
	// instead.
	Command  []string
	Handlers *worker.Mux
	// Env is the environment of the workers; nil is this process's. Secrets are taken out.
	Env []string
	// Concurrency is the slots of a worker that does not say; 0 is 4.
	Concurrency int

	// Lease is for how long a pool process may be silent, where the lanes do not exist
	// yet: the first process of a system decides. 0 is 5 s.
	Lease time.Duration
	// Heartbeat of the workers, 0 is 1 s. HungAfter is the silence after which one is
	// killed, 0 is 5 s. CancelGrace is how long one may take to yield a task; negative is none, 0 is 5 s.
	Heartbeat, HungAfter, CancelGrace time.Duration
	// Drain is how long running tasks may go on after Stop; 0 is not at all.
	Drain time.Duration
	// MaxCrashes is with how many deaths of its worker a task has failed; 0 is 3.
	MaxCrashes int
	// ScaleTarget and ScaleDownAfter are passed on to the autoscaler; 0 is 5 s and 10 s.
	ScaleTarget, ScaleDownAfter time.Duration

	// These are those of run.Config.
	cancelSettles, parcelTrust, parcelWait, apartWait time.Duration

	// TempDir is for payloads too long for a line; "" is the system's.
	TempDir string
	Version string
	Log     *slog.Logger
}

// ConfigOf is the configuration that settings and environment give.
func ConfigOf(e program.Env) Config {
	s := e.Settings
	grace := s.CancelGrace
	if grace == 0 {
		grace = -1
	}
	return Config{
		JS: e.JS, Replicas: s.Replicas, ClusterSize: e.ClusterSize, Pool: s.Pool, Queues: s.Queues, Min: s.PoolMin, Max: s.PoolMax,
		Command: s.WorkerCommand, Env: s.WorkerEnv(os.Environ()), Concurrency: s.WorkerConcurrency, Lease: s.Lease,
		Heartbeat: s.Heartbeat, HungAfter: s.HungAfter, CancelGrace: grace, Drain: s.Drain, MaxCrashes: s.MaxCrashes,
		ScaleTarget: s.ScaleTarget, ScaleDownAfter: s.ScaleDownAfter, Version: e.Version, Log: e.Log,
	}
}

// complete fills in defaults and checks the rest.
func (c Config) complete() (Config, error) {
	if c.JS == nil {
		return c, errors.New("worker-pool: Config.JS is required")
	}
	setDefault(&c.Log, slog.New(slog.DiscardHandler))
	setDefault(&c.Pool, "default")
	if len(c.Queues) == 0 {
		c.Queues = []string{"default"}
	}
	c.Min = max(c.Min, 0)
	setDefault(&c.Max, max(c.Min, 1))
	setDefault(&c.Concurrency, 4)
	setDefault(&c.Lease, 5*time.Second)
	setDefault(&c.Heartbeat, time.Second)
	setDefault(&c.HungAfter, 5*time.Second)
	setDefault(&c.CancelGrace, 5*time.Second)
	c.CancelGrace = max(c.CancelGrace, 0)
	setDefault(&c.MaxCrashes, 3)
	setDefault(&c.ScaleTarget, 5*time.Second)
	setDefault(&c.ScaleDownAfter, 10*time.Second)
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = withoutSecrets(c.Env)
	return c, c.check()
}

func (c *Config) check() error {
	switch {
	case !wire.ValidQueue(c.Pool):
		return fmt.Errorf("worker-pool: Config.Pool: %q: 1 to 32 of A-Z a-z 0-9 _ -", c.Pool)
	case slices.ContainsFunc(c.Queues, func(q string) bool { return !wire.ValidQueue(q) }):
		return fmt.Errorf("worker-pool: Config.Queues: %q: each 1 to 32 of A-Z a-z 0-9 _ -", c.Queues)
	case c.Max < c.Min:
		return fmt.Errorf("worker-pool: Config.Max: %d: not below Min, which is %d", c.Max, c.Min)
	case c.HungAfter < 2*c.Heartbeat:
		return fmt.Errorf("worker-pool: Config.HungAfter: %s: at least twice Heartbeat, which is %s", c.HungAfter, c.Heartbeat)
	case c.Handlers == nil && len(c.Command) == 0:
		return errors.New("worker-pool: Config.Command: a command, or Handlers, is required")
	}
	return nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// withoutSecrets takes out what workers must not see.
func withoutSecrets(env []string) []string {
	secrets := settings.Secrets()
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(secrets, name)
	})
}
