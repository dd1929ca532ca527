// Package settings is the one table of everything that can be set from outside. Each
// setting is a command line flag and an environment variable of the same name
// (--http-addr, BATUTA_HTTP_ADDR); the flag outranks the variable, and an empty
// variable counts as absent.
//
//	fs := pflag.NewFlagSet("scheduler", pflag.ContinueOnError)
//	settings.RegisterProgram(fs, settings.Scheduler)
//	if err := fs.Parse(os.Args[1:]); err != nil { … }
//	s, err := settings.Load(fs, os.Environ())
//
// Load reads the variables of all settings, registered or not, so that one environment
// file serves every program. A bad value is one line that names setting, value and rule.
package settings

import (
	"slices"
	"time"
)

// Settings are the values in force. Durations are never negative; zero means what the
// field says.
type Settings struct {
	NATS NATS

	// HTTPAddr is where the API and the dashboard listen.
	HTTPAddr string
	// OpsAddr is where /healthz, /readyz, /metrics and /debug/pprof listen; empty: nowhere.
	OpsAddr string

	// NATSAddr is where the embedded server listens.
	NATSAddr string
	// DataDir is the embedded server's storage.
	DataDir string
	// Sync says when the embedded server makes its writes durable.
	Sync Sync
	// Replicas is the number of copies of each stream and bucket; 0 means automatic: 3
	// where the cluster has three or more servers, else 1.
	Replicas int

	// Pool is the name of the pool that this process belongs to.
	Pool string
	// Queues are the queues that this pool serves, without repeats.
	Queues []string
	// PoolMin and PoolMax bound the number of worker processes of this pool process.
	PoolMin, PoolMax int
	// ScaleTarget is the time within which the autoscaler wants a backlog drained.
	ScaleTarget time.Duration
	// ScaleDownAfter is the time over which the need is looked at before shrinking.
	ScaleDownAfter time.Duration
	// WorkerCommand is the worker process to run: program and arguments.
	WorkerCommand []string
	// WorkerConcurrency is the number of tasks at once in one worker process, where the
	// worker does not say.
	WorkerConcurrency int

	// Lease is how long a pool may be silent before its tasks move elsewhere.
	Lease time.Duration
	// Heartbeat is the interval of the workers' heartbeats.
	Heartbeat time.Duration
	// HungAfter is the silence after which a worker is killed; at least twice Heartbeat.
	HungAfter time.Duration
	// CancelGrace is how long a worker may take to yield a task before it is killed.
	CancelGrace time.Duration
	// Drain is how long running tasks may go on after SIGTERM.
	Drain time.Duration
	// MaxCrashes is the number of worker deaths after which a task has failed.
	MaxCrashes int

	// MaxRetries, Timeout and Retention hold where a task does not say.
	MaxRetries int
	Timeout    time.Duration
	Retention  time.Duration
	// MaxFinished is the number of finished tasks kept.
	MaxFinished int

	// FilesDir is the one folder built-in types may read and write; empty: none.
	FilesDir string
	// ExecAllow are the commands that the type exec may run.
	ExecAllow []string

	// TokensFile lists who may use the API; empty: no tokens, loopback only.
	TokensFile string
	// Origins are the web origins besides the API's own that may use it.
	Origins []string
	// Insecure allows an API without tokens on an address that is not loopback.
	Insecure bool

	// LogLevel is debug, info, warn or error.
	LogLevel string
	// LogFormat is text or json; empty: text on a terminal, else json.
	LogFormat string

	// Warnings has a line for each BATUTA_ variable that is no setting.
	Warnings []string
}

// NATS says which servers to use, and as whom.
type NATS struct {
	// URL lists servers, comma separated. Empty means the embedded server.
	URL string
	// Creds is the path of a credentials file.
	Creds string
	// NKey is the path of a file with an nkey seed.
	NKey string
	// CA, Cert and Key are paths of PEM files.
	CA, Cert, Key string
}

// Sync says when a write is made durable.
type Sync struct {
	// Always: before it is acknowledged.
	Always bool
	// Interval is the longest time in between, where Always is false.
	Interval time.Duration
}

// Value is the setting as text: "always" or a duration.
func (s Sync) Value() string {
	if s.Always {
		return syncAlways
	}
	return s.Interval.String()
}

const syncAlways = "always"

// secrets are variables that hold, point to, or may contain a credential. A NATS URL
// may have a password in it.
var secrets = []string{
	"BATUTA_NATS_CREDS", "BATUTA_NATS_NKEY", "BATUTA_NATS_TLS_KEY", "BATUTA_NATS_URL",
	"BATUTA_TOKEN", "BATUTA_TOKENS_FILE",
}

// Secrets names the environment variables that must not reach worker processes.
func Secrets() []string { return slices.Clone(secrets) }

// WorkerEnv is the environment of a worker process: environ less the secrets, and with
// the values in force of what the built-in worker reads, which may have come by flag.
func (s *Settings) WorkerEnv(environ []string) []string {
	set := map[string]string{
		"BATUTA_FILES_DIR":  s.FilesDir,
		"BATUTA_EXEC_ALLOW": joinList(s.ExecAllow),
		"BATUTA_LOG_LEVEL":  s.LogLevel,
		"BATUTA_LOG_FORMAT": s.LogFormat,
	}
	env := slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name := envName(pair)
		_, replaced := set[name]
		return replaced || slices.Contains(secrets, name)
	})
	for _, name := range sortedKeys(set) {
		if set[name] != "" {
			env = append(env, name+"="+set[name])
		}
	}
	return env
}
