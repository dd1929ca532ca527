package recorder

import "github.com/batuta-tasks/batuta/shared/program"

// ConfigOf is the configuration that settings and environment give.
func ConfigOf(e program.Env) Config {
	return Config{
		JS: e.JS, Replicas: e.Settings.Replicas, ClusterSize: e.ClusterSize, MaxFinished: int64(e.Settings.MaxFinished),
		Version: e.Version, Metrics: e.Metrics, Log: e.Log,
	}
}
