package scheduler

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a Scheduler.
type Config struct {
	// Conn is a connection to use; the scheduler does not close it. It should reconnect for
	// ever and buffer nothing meanwhile, as one made by natsx.Connect does. Nil: one is made
	// by Connect.
	Conn *nats.Conn
	// Connect says how to reach NATS where Conn is nil.
	Connect natsx.ConnectOptions
	// Replicas of each stream and bucket; 0 is 3 where the cluster has 3 or more servers, else 1.
	Replicas int
	// Lease is how long a pool may be silent; the one that the system has wins. 0 is 5 s.
	Lease time.Duration
	// Defaults are used where a task does not say; the zero value means wire.StandardDefaults.
	Defaults wire.Defaults
	// ScaleTarget and ScaleDownAfter are used for pools that do not say; 0 is 5 s and 10 s.
	ScaleTarget, ScaleDownAfter time.Duration
	// AuditAfter is how long an open task must have been untouched before the audit looks
	// for the message that runs it; 0 is two leases.
	AuditAfter time.Duration
	// Host is shown as where the service runs; empty is the machine's name.
	Host string
	// Metrics takes the scheduler's own; may be nil.
	Metrics prometheus.Registerer
	// Log may be nil.
	Log *slog.Logger
}

// ConfigOf is the configuration that settings and environment give.
func ConfigOf(e program.Env) Config {
	s := e.Settings
	return Config{
		Conn: e.Conn, Replicas: s.Replicas, Lease: s.Lease, ScaleTarget: s.ScaleTarget, ScaleDownAfter: s.ScaleDownAfter,
		Defaults: wire.Defaults{MaxRetries: s.MaxRetries, TimeoutMs: s.Timeout.Milliseconds(), RetentionMs: s.Retention.Milliseconds()},
		Metrics:  e.Metrics, Log: e.Log,
	}
}

func (c *Config) fill() error {
	if c.Conn == nil && c.Connect.URL == "" && c.Connect.InProcess == nil {
		return errors.New("scheduler: neither a connection nor the address of a NATS server is given")
	}
	if c.Lease == 0 {
		c.Lease = 5 * time.Second
	}
	if c.Lease < 0 || c.ScaleTarget < 0 || c.ScaleDownAfter < 0 || c.AuditAfter < 0 {
		return errors.New("scheduler: a duration is negative")
	}
	if c.Defaults == (wire.Defaults{}) {
		c.Defaults = wire.StandardDefaults
	}
	if c.ScaleTarget == 0 {
		c.ScaleTarget = 5 * time.Second
	}
	if c.ScaleDownAfter == 0 {
		c.ScaleDownAfter = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
