package settings

import "github.com/spf13/pflag"

// Program is one of the processes that read settings.
type Program struct {
	// Name is the program's, as its binary is called.
	Name string

	names    []string
	defaults map[string]string
}

const serviceNATS = "nats://127.0.0.1:4222"

var (
	logNames  = []string{"log-level", "log-format"}
	natsNames = []string{
		"nats-url", "nats-creds", "nats-nkey", "nats-tls-ca", "nats-tls-cert", "nats-tls-key", "replicas",
	}
	// Every service makes sure that streams and lanes are there, and lanes have the
	// lease in them.
	serviceNames = join(natsNames, []string{"ops-addr", "lease", "heartbeat", "drain"}, logNames)
	taskNames    = []string{"max-retries", "timeout", "retention"}
	scaleNames   = []string{"scale-target", "scale-down-after"}
	workerNames  = []string{"files-dir", "exec-allow"}
	poolNames    = join([]string{
		"pool", "queues", "pool-min", "pool-max", "worker-command", "worker-concurrency",
		"hung-after", "cancel-grace", "max-crashes",
	}, workerNames)
	apiNames = []string{"http-addr", "tokens-file", "origins", "insecure"}
	keptName = []string{"max-finished"}
)

// The programs and what can be set on each. The port of the ops address differs so that
// one of each can run on one host.
var (
	Up = Program{Name: "batuta up", names: join(
		apiNames, []string{"nats-addr", "data-dir", "sync"}, serviceNames, poolNames, scaleNames, taskNames, keptName)}
	Scheduler     = service("scheduler", "127.0.0.1:8081", taskNames, scaleNames)
	WorkerPool    = service("worker-pool", "127.0.0.1:8082", poolNames)
	StateRecorder = service("state-recorder", "127.0.0.1:8083", taskNames, keptName)
	API           = service("api", "127.0.0.1:8084", apiNames, taskNames)
	// Worker is the built-in worker process.
	Worker = Program{Name: "batuta worker", names: join(workerNames, logNames)}
)

func service(name, opsAddr string, groups ...[]string) Program {
	return Program{
		Name:     name,
		names:    join(serviceNames, join(groups...)),
		defaults: map[string]string{"nats-url": serviceNATS, "ops-addr": opsAddr},
	}
}

// RegisterProgram adds the flags of everything that can be set on p, with its defaults.
func RegisterProgram(fs *pflag.FlagSet, p Program) {
	Register(fs, p.names...)
	for _, n := range sortedKeys(p.defaults) {
		SetDefault(fs, n, p.defaults[n])
	}
}

func join(groups ...[]string) []string {
	var all []string
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}
