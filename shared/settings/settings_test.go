package settings_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/settings"
)

// everything registers all settings, as no program does, so that each can be tried as a
// flag too.
func everything(t *testing.T) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet(t.Name(), pflag.ContinueOnError)
	for _, s := range settings.Table() {
		settings.Register(fs, s.Name)
	}
	return fs
}

func load(t *testing.T, args []string, environ ...string) (*settings.Settings, error) {
	t.Helper()
	fs := everything(t)
	require.NoError(t, fs.Parse(args))
	return settings.Load(fs, environ)
}

func mustLoad(t *testing.T, args []string, environ ...string) *settings.Settings {
	t.Helper()
	s, err := load(t, args, environ...)
	require.NoError(t, err)
	return s
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	require.Equal(t, &settings.Settings{
		HTTPAddr:          "127.0.0.1:8080",
		NATSAddr:          "127.0.0.1:4222",
		DataDir:           "./data",
		Sync:              settings.Sync{Always: true},
		Replicas:          0,
		Pool:              "default",
		Queues:            []string{"default"},
		PoolMin:           1,
		PoolMax:           2 * runtime.NumCPU(),
		ScaleTarget:       5 * time.Second,
		ScaleDownAfter:    10 * time.Second,
		WorkerCommand:     []string{"batuta", "worker"},
		WorkerConcurrency: 4,
		Lease:             5 * time.Second,
		Heartbeat:         time.Second,
		HungAfter:         5 * time.Second,
		CancelGrace:       5 * time.Second,
		Drain:             30 * time.Second,
		MaxCrashes:        3,
		MaxRetries:        3,
		Timeout:           time.Hour,
		Retention:         24 * time.Hour,
		MaxFinished:       1_000_000,
		LogLevel:          "info",
	}, mustLoad(t, nil))
}

// TestEverySetting gives each setting a value, once as a variable and once as a flag.
func TestEverySetting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	type get = func(s *settings.Settings) any
	cases := map[string]struct {
		value string
		want  any
		get   get
	}{
		"http-addr":          {"[::1]:9000", "[::1]:9000", func(s *settings.Settings) any { return s.HTTPAddr }},
		"ops-addr":           {":0", ":0", func(s *settings.Settings) any { return s.OpsAddr }},
		"nats-url":           {"nats://a:1, tls://b", "nats://a:1,tls://b", func(s *settings.Settings) any { return s.NATS.URL }},
		"nats-creds":         {file, file, func(s *settings.Settings) any { return s.NATS.Creds }},
		"nats-nkey":          {file, file, func(s *settings.Settings) any { return s.NATS.NKey }},
		"nats-tls-ca":        {file, file, func(s *settings.Settings) any { return s.NATS.CA }},
		"nats-tls-cert":      {file, file, func(s *settings.Settings) any { return s.NATS.Cert }},
		"nats-tls-key":       {file, file, func(s *settings.Settings) any { return s.NATS.Key }},
		"nats-addr":          {"127.0.0.1:0", "127.0.0.1:0", func(s *settings.Settings) any { return s.NATSAddr }},
		"data-dir":           {"/var/lib/batuta", "/var/lib/batuta", func(s *settings.Settings) any { return s.DataDir }},
		"replicas":           {"3", 3, func(s *settings.Settings) any { return s.Replicas }},
		"sync":               {"1s", settings.Sync{Interval: time.Second}, func(s *settings.Settings) any { return s.Sync }},
		"pool":               {"gpu_1", "gpu_1", func(s *settings.Settings) any { return s.Pool }},
		"queues":             {"a, b", []string{"a", "b"}, func(s *settings.Settings) any { return s.Queues }},
		"pool-min":           {"2", 2, func(s *settings.Settings) any { return s.PoolMin }},
		"pool-max":           {"7", 7, func(s *settings.Settings) any { return s.PoolMax }},
		"scale-target":       {"1s", time.Second, func(s *settings.Settings) any { return s.ScaleTarget }},
		"scale-down-after":   {"1m", time.Minute, func(s *settings.Settings) any { return s.ScaleDownAfter }},
		"worker-command":     {`python3 -u "my worker.py" $X`, []string{"python3", "-u", "my worker.py", "$X"}, func(s *settings.Settings) any { return s.WorkerCommand }},
		"worker-concurrency": {"8", 8, func(s *settings.Settings) any { return s.WorkerConcurrency }},
		"lease":              {"2s", 2 * time.Second, func(s *settings.Settings) any { return s.Lease }},
		"heartbeat":          {"100ms", 100 * time.Millisecond, func(s *settings.Settings) any { return s.Heartbeat }},
		"hung-after":         {"20s", 20 * time.Second, func(s *settings.Settings) any { return s.HungAfter }},
		"cancel-grace":       {"0s", time.Duration(0), func(s *settings.Settings) any { return s.CancelGrace }},
		"drain":              {"1m30s", 90 * time.Second, func(s *settings.Settings) any { return s.Drain }},
		"max-crashes":        {"5", 5, func(s *settings.Settings) any { return s.MaxCrashes }},
		"max-retries":        {"0", 0, func(s *settings.Settings) any { return s.MaxRetries }},
		"timeout":            {"168h", 168 * time.Hour, func(s *settings.Settings) any { return s.Timeout }},
		"retention":          {"1m", time.Minute, func(s *settings.Settings) any { return s.Retention }},
		"max-finished":       {"10", 10, func(s *settings.Settings) any { return s.MaxFinished }},
		"files-dir":          {dir, dir, func(s *settings.Settings) any { return s.FilesDir }},
		"exec-allow":         {"ls,/bin/cat", []string{"ls", "/bin/cat"}, func(s *settings.Settings) any { return s.ExecAllow }},
		"tokens-file":        {file, file, func(s *settings.Settings) any { return s.TokensFile }},
		"origins":            {"https://a.example,http://b:1", []string{"https://a.example", "http://b:1"}, func(s *settings.Settings) any { return s.Origins }},
		"insecure":           {"1", true, func(s *settings.Settings) any { return s.Insecure }},
		"log-level":          {"debug", "debug", func(s *settings.Settings) any { return s.LogLevel }},
		"log-format":         {"json", "json", func(s *settings.Settings) any { return s.LogFormat }},
	}
	for _, row := range settings.Table() {
		c, ok := cases[row.Name]
		require.True(t, ok, "no case for %s", row.Name)
		var args, environ []string
		switch row.Name { // the two that go together
		case "nats-tls-cert":
			environ = append(environ, "BATUTA_NATS_TLS_KEY="+file)
		case "nats-tls-key":
			environ = append(environ, "BATUTA_NATS_TLS_CERT="+file)
		}
		args = append(args, "--"+row.Name+"="+c.value)
		require.Equal(t, c.want, c.get(mustLoad(t, args, environ...)), "--%s", row.Name)
		environ = append(environ, row.Env()+"="+c.value)
		require.Equal(t, c.want, c.get(mustLoad(t, nil, environ...)), "%s", row.Env())
	}
	require.Len(t, cases, len(settings.Table()))
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"BATUTA_HTTP_ADDR=8080":              `BATUTA_HTTP_ADDR: "8080" is not an address such as 127.0.0.1:8080 (rule: host:port, with the port as a number)`,
		"BATUTA_OPS_ADDR=localhost:http":     `BATUTA_OPS_ADDR: "localhost:http" is not an address such as 127.0.0.1:8080 (rule: host:port, with the port as a number)`,
		"BATUTA_NATS_URL=http://u:secret@x":  `BATUTA_NATS_URL: the value (not shown, it may hold a password) is not allowed (rule: a list of URLs such as nats://127.0.0.1:4222 (nats, tls, ws or wss))`,
		"BATUTA_NATS_CREDS=/no/such/file":    `BATUTA_NATS_CREDS: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_NATS_NKEY=/no/such/file":     `BATUTA_NATS_NKEY: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_NATS_TLS_CA=/no/such/file":   `BATUTA_NATS_TLS_CA: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_NATS_TLS_CERT=/no/such/file": `BATUTA_NATS_TLS_CERT: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_NATS_TLS_KEY=/no/such/file":  `BATUTA_NATS_TLS_KEY: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_NATS_ADDR=127.0.0.1:70000":   `BATUTA_NATS_ADDR: "127.0.0.1:70000" is not an address such as 127.0.0.1:8080 (rule: host:port, with the port as a number)`,
		"BATUTA_REPLICAS=0":                  `BATUTA_REPLICAS: "0" is not allowed (rule: 1 to 5)`,
		"BATUTA_SYNC=never":                  `BATUTA_SYNC: "never" is not always or a duration such as 1s (rule: 1ms or more)`,
		"BATUTA_SYNC=0s":                     `BATUTA_SYNC: "0s" is not allowed (rule: 1ms or more)`,
		"BATUTA_POOL=a.b":                    `BATUTA_POOL: "a.b" is not allowed (rule: 1 to 32 of A-Z a-z 0-9 _ -)`,
		"BATUTA_QUEUES=a,a":                  `BATUTA_QUEUES: "a,a" is not allowed (rule: 1 to 16 different queue names, comma separated, each 1 to 32 of A-Z a-z 0-9 _ -)`,
		"BATUTA_POOL_MIN=-1":                 `BATUTA_POOL_MIN: "-1" is not allowed (rule: 0 to 10000)`,
		"BATUTA_POOL_MAX=many":               `BATUTA_POOL_MAX: "many" is not a number (rule: 1 to 10000 and not below pool-min)`,
		"BATUTA_SCALE_TARGET=5":              `BATUTA_SCALE_TARGET: "5" is not a duration such as 5s (rule: 100ms to 24h)`,
		"BATUTA_SCALE_DOWN_AFTER=1ms":        `BATUTA_SCALE_DOWN_AFTER: "1ms" is not allowed (rule: 1s to 24h)`,
		"BATUTA_WORKER_COMMAND=a 'b":         `BATUTA_WORKER_COMMAND: "a 'b" is not allowed (rule: a command and its arguments, quoted as in a shell)`,
		"BATUTA_WORKER_COMMAND=a | b":        `BATUTA_WORKER_COMMAND: "a | b" is not allowed (rule: a command and its arguments, quoted as in a shell)`,
		"BATUTA_WORKER_CONCURRENCY=0":        `BATUTA_WORKER_CONCURRENCY: "0" is not allowed (rule: 1 to 1000)`,
		"BATUTA_LEASE=5x":                    `BATUTA_LEASE: "5x" is not a duration such as 5s (rule: 1s to 1h)`,
		"BATUTA_HEARTBEAT=1ms":               `BATUTA_HEARTBEAT: "1ms" is not allowed (rule: 50ms to 1h)`,
		"BATUTA_HUNG_AFTER=1.9s":             `BATUTA_HUNG_AFTER: "1.9s" is not allowed (rule: at least twice BATUTA_HEARTBEAT, which is 1s)`,
		"BATUTA_CANCEL_GRACE=-1s":            `BATUTA_CANCEL_GRACE: "-1s" is not allowed (rule: 0s to 24h)`,
		"BATUTA_DRAIN=25h":                   `BATUTA_DRAIN: "25h" is not allowed (rule: 0s to 24h)`,
		"BATUTA_MAX_CRASHES=0":               `BATUTA_MAX_CRASHES: "0" is not allowed (rule: 1 to 100)`,
		"BATUTA_MAX_RETRIES=101":             `BATUTA_MAX_RETRIES: "101" is not allowed (rule: 0 to 100)`,
		"BATUTA_TIMEOUT=169h":                `BATUTA_TIMEOUT: "169h" is not allowed (rule: 1ms to 168h)`,
		"BATUTA_RETENTION=30s":               `BATUTA_RETENTION: "30s" is not allowed (rule: 1m to 720h)`,
		"BATUTA_MAX_FINISHED=1e6":            `BATUTA_MAX_FINISHED: "1e6" is not a number (rule: 1 to 1000000000)`,
		"BATUTA_FILES_DIR=/no/such/folder":   `BATUTA_FILES_DIR: "/no/such/folder" is not allowed (rule: a folder that exists)`,
		"BATUTA_TOKENS_FILE=/no/such/file":   `BATUTA_TOKENS_FILE: "/no/such/file" is not allowed (rule: a file that can be read)`,
		"BATUTA_ORIGINS=https://a.example/":  `BATUTA_ORIGINS: "https://a.example/" is not allowed (rule: a list of origins such as https://ops.example.com, comma separated)`,
		"BATUTA_INSECURE=perhaps":            `BATUTA_INSECURE: "perhaps" is not allowed (rule: 0 or 1)`,
		"BATUTA_LOG_LEVEL=loud":              `BATUTA_LOG_LEVEL: "loud" is not allowed (rule: debug, info, warn or error)`,
		"BATUTA_LOG_FORMAT=xml":              `BATUTA_LOG_FORMAT: "xml" is not allowed (rule: text or json)`,
	}
	for pair, want := range bad {
		_, err := load(t, nil, pair)
		require.EqualError(t, err, want)
	}
}

func TestBadFlagsAreNamedAsFlags(t *testing.T) {
	t.Parallel()
	_, err := load(t, []string{"--lease", "5x"}, "BATUTA_LEASE=7s")
	require.EqualError(t, err, `--lease: "5x" is not a duration such as 5s (rule: 1s to 1h)`)
	_, err = load(t, []string{"--data-dir="})
	require.EqualError(t, err, `--data-dir: "" is not allowed (rule: a folder)`)
}

func TestEveryFaultIsALine(t *testing.T) {
	t.Parallel()
	_, err := load(t, nil, "BATUTA_LEASE=x", "BATUTA_POOL=")
	var faults *settings.Error
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.Faults, 1, "an empty variable counts as absent")
	_, err = load(t, nil, "BATUTA_LEASE=x", "BATUTA_POOL=!")
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.Faults, 2)
}

func TestRelations(t *testing.T) {
	t.Parallel()
	_, err := load(t, nil, "BATUTA_POOL_MIN=5", "BATUTA_POOL_MAX=4")
	require.EqualError(t, err, `BATUTA_POOL_MAX: "4" is not allowed (rule: not below BATUTA_POOL_MIN, which is 5)`)
	require.Equal(t, 5000, mustLoad(t, nil, "BATUTA_POOL_MIN=5000").PoolMax)
	file := filepath.Join(t.TempDir(), "cert")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = load(t, nil, "BATUTA_NATS_TLS_CERT="+file)
	require.ErrorContains(t, err, "goes together with BATUTA_NATS_TLS_KEY")
}

func TestBeyondLoopbackWantsTokens(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, nil, 0o600))
	everywhere := "BATUTA_HTTP_ADDR=0.0.0.0:8080"
	_, err := load(t, nil, everywhere)
	require.EqualError(t, err, `BATUTA_HTTP_ADDR: "0.0.0.0:8080" is not allowed (rule: loopback only, without BATUTA_TOKENS_FILE or BATUTA_INSECURE=1)`)
	mustLoad(t, nil, everywhere, "BATUTA_INSECURE=1")
	mustLoad(t, nil, everywhere, "BATUTA_TOKENS_FILE="+tokens)
	mustLoad(t, nil, "BATUTA_HTTP_ADDR=[::1]:8080")
	fs := pflag.NewFlagSet("scheduler", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Scheduler)
	_, err = settings.Load(fs, []string{everywhere})
	require.NoError(t, err, "one that does not serve HTTP does not mind")
}

func TestFlagOutranksVariable(t *testing.T) {
	t.Parallel()
	require.Equal(t, 9*time.Second, mustLoad(t, []string{"--lease=9s"}, "BATUTA_LEASE=7s").Lease)
	require.Equal(t, 7*time.Second, mustLoad(t, nil, "BATUTA_LEASE=7s").Lease)
	require.Empty(t, mustLoad(t, []string{"--ops-addr="}, "BATUTA_OPS_ADDR=:1").OpsAddr)
	require.True(t, mustLoad(t, []string{"--insecure"}).Insecure)
}

func TestUnknownVariablesWarn(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, nil, "BATUTA_LEESE=5s", "BATUTA_COLOUR=red", "PATH=/bin",
		"BATUTA_URL=u", "BATUTA_TOKEN=t", "BATUTA_WORKER_ID=w", "BATUTA_HEARTBEAT_MS=1")
	require.Equal(t, []string{
		"BATUTA_COLOUR is not a setting and has no effect",
		"BATUTA_LEESE is not a setting and has no effect; did you mean BATUTA_LEASE?",
	}, s.Warnings)
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	programs := []settings.Program{
		settings.Up, settings.Scheduler, settings.WorkerPool, settings.StateRecorder, settings.API, settings.Worker,
	}
	opsAddrs := map[string]bool{}
	for _, p := range programs {
		fs := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
		settings.RegisterProgram(fs, p)
		s, err := settings.Load(fs, nil)
		require.NoError(t, err, p.Name)
		if p.Name == settings.Up.Name || p.Name == settings.Worker.Name {
			require.Empty(t, s.NATS.URL)
			require.Empty(t, s.OpsAddr)
			continue
		}
		require.Equal(t, "nats://127.0.0.1:4222", s.NATS.URL, p.Name)
		require.False(t, opsAddrs[s.OpsAddr], "%s has another's ops address", p.Name)
		opsAddrs[s.OpsAddr] = true
	}
	fs := pflag.NewFlagSet("up", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Up)
	for _, row := range settings.Table() {
		require.NotNil(t, fs.Lookup(row.Name), "batuta up does not know --%s", row.Name)
	}
}

// TestUnregisteredSettings: one environment file serves all programs, so a value is read
// everywhere, but a file is looked for only where it is used.
func TestUnregisteredSettings(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Worker)
	s, err := settings.Load(fs, []string{"BATUTA_LEASE=7s", "BATUTA_TOKENS_FILE=/only/in/the/api"})
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, s.Lease)
	_, err = settings.Load(fs, []string{"BATUTA_LEASE=no"})
	require.ErrorContains(t, err, "BATUTA_LEASE")
}

func TestRegisterRefusesUnknownNames(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	require.Panics(t, func() { settings.Register(fs, "leese") })
	require.Panics(t, func() { settings.SetDefault(fs, "lease", "1s") })
}

func TestWorkerEnv(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustLoad(t, []string{"--files-dir", dir, "--exec-allow=ls, cat"})
	var environ []string
	for _, secret := range settings.Secrets() {
		environ = append(environ, secret+"=secret")
	}
	environ = append(environ, "PATH=/bin", "BATUTA_FILES_DIR=/elsewhere", "BATUTA_QUEUES=a")
	require.Equal(t, []string{
		"PATH=/bin", "BATUTA_QUEUES=a",
		"BATUTA_EXEC_ALLOW=ls,cat", "BATUTA_FILES_DIR=" + dir, "BATUTA_LOG_LEVEL=info",
	}, s.WorkerEnv(environ))
}

func TestSyncValue(t *testing.T) {
	t.Parallel()
	require.Equal(t, "always", settings.Sync{Always: true}.Value())
	require.Equal(t, "1.5s", settings.Sync{Interval: 1500 * time.Millisecond}.Value())
}
