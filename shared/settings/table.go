package settings

import (
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Setting is one row of the table.
type Setting struct {
	// Name is the flag without its dashes.
	Name string
	// Type is what the flag's help shows for the value.
	Type string
	// Default is the value in force when nothing is said; may be empty.
	Default string
	// DefaultText says what Default does not show, for people; empty: Default itself.
	DefaultText string
	// Help is one sentence without a full stop.
	Help string
	// Form is what a value looks like: "… is not <Form>"; empty where Rule says it all.
	Form string
	// Rule says which values are allowed.
	Rule string

	parse func(s *Settings, value string) error
	check func(value string) error // of the file system; only where a program uses it
	hide  bool                     // the value may hold a password, before an @: not to be shown
}

const (
	day = 24 * time.Hour

	addrForm    = "an address such as 127.0.0.1:8080"
	nameRule    = "1 to 32 of A-Z a-z 0-9 _ -"
	addrRule    = "host:port, with the port as a number"
	fileRule    = "a file that can be read"
	minPoolsMax = 10_000
)

var table = []Setting{
	{
		Name: "http-addr", Type: "addr", Default: "127.0.0.1:8080",
		Help: "API and dashboard",
		Form: addrForm, Rule: addrRule, parse: addr(func(s *Settings) *string { return &s.HTTPAddr }),
	},
	{
		Name: "ops-addr", Type: "addr", DefaultText: "none for `up`; `127.0.0.1:8081` and up for services",
		Help: "`/healthz`, `/readyz`, `/metrics`, `/debug/pprof` of any service",
		Form: addrForm, Rule: addrRule, parse: optional(addr(func(s *Settings) *string { return &s.OpsAddr })),
	},
	{
		Name: "nats-url", Type: "urls", DefaultText: "none for `up` (embedded); `nats://127.0.0.1:4222` for a service",
		Help: "NATS servers, comma separated; where set, `up` uses them instead of the embedded server",
		Rule: "a list of URLs such as nats://127.0.0.1:4222 (nats, tls, ws or wss)",
		hide: true, parse: optional(natsURLs),
	},
	{
		Name: "nats-creds", Type: "file", Help: "NATS credentials file",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.NATS.Creds }),
	},
	{
		Name: "nats-nkey", Type: "file", Help: "file with the seed of a NATS nkey",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.NATS.NKey }),
	},
	{
		Name: "nats-tls-ca", Type: "file", Help: "certificates (PEM) that NATS servers must be signed by",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.NATS.CA }),
	},
	{
		Name: "nats-tls-cert", Type: "file", Help: "client certificate (PEM) for NATS; goes with the key",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.NATS.Cert }),
	},
	{
		Name: "nats-tls-key", Type: "file", Help: "client key (PEM) for NATS; goes with the certificate",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.NATS.Key }),
	},
	{
		Name: "nats-addr", Type: "addr", Default: "127.0.0.1:4222",
		Help: "where the embedded server listens",
		Form: addrForm, Rule: addrRule, parse: addr(func(s *Settings) *string { return &s.NATSAddr }),
	},
	{
		Name: "data-dir", Type: "folder", Default: "./data", Help: "the embedded server's storage",
		Rule: "a folder", parse: nonEmpty(text(func(s *Settings) *string { return &s.DataDir })),
	},
	{
		Name: "replicas", Type: "n", DefaultText: "1 (3 where the NATS cluster has 3 or more servers)",
		Help: "copies of each stream and bucket",
		Form: "a number", Rule: "1 to 5", parse: optional(integer(1, 5, func(s *Settings) *int { return &s.Replicas })),
	},
	{
		Name: "sync", Type: "always|duration", Default: syncAlways,
		Help: "for the embedded server. `always`: an acknowledged task survives power loss; a duration: faster, " +
			"survives the death of any process, and a power loss but for that long",
		Form: "always or a duration such as 1s", Rule: "1ms or more", parse: parseSync,
	},
	{
		Name: "pool", Type: "name", Default: "default",
		Help: "processes with one pool name form one pool, over any number of hosts",
		Rule: nameRule, parse: name(func(s *Settings) *string { return &s.Pool }),
	},
	{
		Name: "queues", Type: "names", Default: "default",
		Help: "queues this pool serves, comma separated: by priority first, then in turn",
		Rule: "1 to 16 different queue names, comma separated, each " + nameRule, parse: queues,
	},
	{
		Name: "pool-min", Type: "n", Default: "1",
		Help: "worker processes of this pool process, at least",
		Form: "a number", Rule: "0 to 10000", parse: integer(0, minPoolsMax, func(s *Settings) *int { return &s.PoolMin }),
	},
	{
		Name: "pool-max", Type: "n", DefaultText: "number of CPUs × 2, or `BATUTA_POOL_MIN` where that is more",
		Help: "worker processes of this pool process, at most",
		Form: "a number", Rule: "1 to 10000 and not below pool-min",
		parse: optional(integer(1, minPoolsMax, func(s *Settings) *int { return &s.PoolMax })),
	},
	{
		Name: "scale-target", Type: "duration", Default: "5s",
		Help: "the pool grows so that its backlog drains within this time",
		Form: "a duration such as 5s", Rule: "100ms to 24h",
		parse: duration(100*time.Millisecond, day, func(s *Settings) *time.Duration { return &s.ScaleTarget }),
	},
	{
		Name: "scale-down-after", Type: "duration", Default: "10s",
		Help: "the pool shrinks to the most that was needed in this time",
		Form: "a duration such as 10s", Rule: "1s to 24h",
		parse: duration(time.Second, day, func(s *Settings) *time.Duration { return &s.ScaleDownAfter }),
	},
	{
		Name: "worker-command", Type: "words", Default: "batuta worker",
		Help: "the worker process to run: shell words, no shell",
		Rule: "a command and its arguments, quoted as in a shell", parse: workerCommand,
	},
	{
		Name: "worker-concurrency", Type: "n", Default: "4",
		Help: "tasks at once in one worker process, where the worker does not say (the built-in one does not)",
		Form: "a number", Rule: "1 to 1000",
		parse: integer(1, 1000, func(s *Settings) *int { return &s.WorkerConcurrency }),
	},
	{
		Name: "lease", Type: "duration", Default: "5s",
		Help: "how long a pool may be silent before its tasks move elsewhere",
		Form: "a duration such as 5s", Rule: "1s to 1h",
		parse: duration(time.Second, time.Hour, func(s *Settings) *time.Duration { return &s.Lease }),
	},
	{
		Name: "heartbeat", Type: "duration", Default: "1s", Help: "heartbeat interval of workers",
		Form: "a duration such as 1s", Rule: "50ms to 1h",
		parse: duration(50*time.Millisecond, time.Hour, func(s *Settings) *time.Duration { return &s.Heartbeat }),
	},
	{
		Name: "hung-after", Type: "duration", Default: "5s",
		Help: "a worker process silent for this long is killed and replaced",
		Form: "a duration such as 5s", Rule: "at least twice the heartbeat",
		parse: duration(100*time.Millisecond, day, func(s *Settings) *time.Duration { return &s.HungAfter }),
	},
	{
		Name: "cancel-grace", Type: "duration", Default: "5s",
		Help: "how long a worker may take to yield a cancelled or timed-out task before it is killed",
		Form: "a duration such as 5s", Rule: "0s to 24h",
		parse: duration(0, day, func(s *Settings) *time.Duration { return &s.CancelGrace }),
	},
	{
		Name: "drain", Type: "duration", Default: "30s",
		Help: "how long running tasks may go on after SIGTERM",
		Form: "a duration such as 30s", Rule: "0s to 24h",
		parse: duration(0, day, func(s *Settings) *time.Duration { return &s.Drain }),
	},
	{
		Name: "max-crashes", Type: "n", Default: "3",
		Help: "a task whose worker died this many times while it ran ends as `failed`",
		Form: "a number", Rule: "1 to 100",
		parse: integer(1, 100, func(s *Settings) *int { return &s.MaxCrashes }),
	},
	{
		Name: "max-retries", Type: "n", Default: "3", Help: "retries, where a task does not say",
		Form: "a number", Rule: "0 to 100", parse: integer(0, 100, func(s *Settings) *int { return &s.MaxRetries }),
	},
	{
		Name: "timeout", Type: "duration", Default: "1h", Help: "for one attempt, where a task does not say",
		Form: "a duration such as 1h", Rule: "1ms to 168h",
		parse: duration(time.Millisecond, 7*day, func(s *Settings) *time.Duration { return &s.Timeout }),
	},
	{
		Name: "retention", Type: "duration", Default: "24h",
		Help: "how long a task is kept after its end, where it does not say",
		Form: "a duration such as 24h", Rule: "1m to 720h",
		parse: duration(time.Minute, 30*day, func(s *Settings) *time.Duration { return &s.Retention }),
	},
	{
		Name: "max-finished", Type: "n", Default: "1000000",
		Help: "finished tasks kept; more shortens retention, oldest first",
		Form: "a number", Rule: "1 to 1000000000",
		parse: integer(1, 1_000_000_000, func(s *Settings) *int { return &s.MaxFinished }),
	},
	{
		Name: "files-dir", Type: "folder", Help: "the one folder built-in types may read and write",
		Rule: "a folder that exists", check: isDir, parse: text(func(s *Settings) *string { return &s.FilesDir }),
	},
	{
		Name: "exec-allow", Type: "commands", Help: "the commands `exec` may run, comma separated",
		Rule: "a list of commands, comma separated", parse: list(func(s *Settings) *[]string { return &s.ExecAllow }),
	},
	{
		Name: "tokens-file", Type: "file", Help: "who may use the API: `token-sha256  role  name` a line",
		Rule: fileRule, check: readable, parse: text(func(s *Settings) *string { return &s.TokensFile }),
	},
	{
		Name: "origins", Type: "origins",
		Help: "web origins besides the API's own that may change state and open WebSockets, comma separated",
		Rule: "a list of origins such as https://ops.example.com, comma separated", parse: origins,
	},
	{
		Name: "insecure", Type: "0|1", Help: "1 lets the API listen beyond loopback without a tokens file",
		Rule: "0 or 1", parse: optional(parseInsecure),
	},
	{
		Name: "log-level", Type: "level", Default: "info", Help: "structured logs on stderr from this level up",
		Rule:  "debug, info, warn or error",
		parse: oneOf(func(s *Settings) *string { return &s.LogLevel }, "debug", "info", "warn", "error"),
	},
	{
		Name: "log-format", Type: "format", DefaultText: "`text` on a terminal, else `json`", Help: "how logs are written",
		Rule:  "text or json",
		parse: optional(oneOf(func(s *Settings) *string { return &s.LogFormat }, "text", "json")),
	},
}

// poolMaxDefault is the default of pool-max on this machine.
func poolMaxDefault(poolMin int) int { return max(poolMin, 2*runtime.NumCPU()) }

// Table lists all settings in the order of the documentation.
func Table() []Setting { return append([]Setting(nil), table...) }

// Env is the name of the setting's environment variable.
func (s Setting) Env() string { return envOf(s.Name) }

// shown is the default as the documentation shows it.
func (s Setting) shown() string {
	switch {
	case s.DefaultText != "":
		return s.DefaultText
	case s.Default == "":
		return "none"
	default:
		return "`" + s.Default + "`"
	}
}

func lookup(name string) (Setting, bool) {
	for _, s := range table {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// quoted shows a value in an error, unless it holds what may be a password.
func (s Setting) quoted(value string) string {
	if s.hide && strings.Contains(value, "@") {
		return "the value (not shown, it may hold a password)"
	}
	return strconv.Quote(value)
}
