package api

import (
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of an API service.
type Config struct {
	// JS is the connection to use. It should come from natsx.Connect.
	JS jetstream.JetStream
	// Addr is where it listens; port 0 is any free one.
	Addr string
	// TokensFile lists who may do what; empty: everybody may do everything, on loopback only.
	TokensFile string
	// Origins are the web origins besides the API's own that may change state.
	Origins []string
	// Insecure allows an address beyond loopback without a tokens file.
	Insecure bool
	// Defaults hold where a task does not say. The zero value is wire.StandardDefaults.
	Defaults wire.Defaults
	// Replicas and ClusterSize are those of topology.Options.
	Replicas, ClusterSize int
	// Dashboard is the built dashboard, its index file at the root; nil: the one in the binary.
	Dashboard fs.FS
	// Metrics gets what /metrics shows; nil: a registry of its own.
	Metrics *prometheus.Registry
	// Version is shown by the API's description and the service's heartbeat.
	Version string
	// Log may be nil.
	Log *slog.Logger
}

// ConfigOf is the configuration that settings and environment give.
func ConfigOf(e program.Env) Config {
	s := e.Settings
	return Config{
		JS: e.JS, Addr: s.HTTPAddr, TokensFile: s.TokensFile, Origins: s.Origins, Insecure: s.Insecure,
		Defaults: wire.Defaults{MaxRetries: s.MaxRetries, TimeoutMs: s.Timeout.Milliseconds(), RetentionMs: s.Retention.Milliseconds()},
		Replicas: s.Replicas, ClusterSize: e.ClusterSize, Metrics: e.Metrics, Version: e.Version, Log: e.Log,
	}
}

// withDefaults checks what has no default.
func (c Config) withDefaults() (Config, error) {
	if c.JS == nil {
		return c, errors.New("api: Config.JS is required")
	}
	if c.Addr == "" {
		return c, errors.New("api: Config.Addr is required")
	}
	if c.Defaults == (wire.Defaults{}) {
		c.Defaults = wire.StandardDefaults
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c, nil
}

// closeTimeout bounds what is written at the end of a failed start.
const closeTimeout = 5 * time.Second
