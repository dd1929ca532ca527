package cli

import (
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/shared/settings"
)

// envWorkerID is set where a pool runs the worker process.
const envWorkerID = "BATUTA_WORKER_ID"

func newUp(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole system on this machine",
		Long: `Run the whole system in this process: API and dashboard, scheduler, state recorder, a pool
of worker processes, and a NATS server with its storage in the data folder.

Each setting is a flag and an environment variable (in brackets). The first SIGINT or
SIGTERM stops it in order: what runs may finish, the rest is handed back. A second one stops
it at once.`,
		Example: `  batuta up
  batuta up --http-addr 127.0.0.1:9000 --data-dir /var/lib/batuta --sync 1s
  BATUTA_POOL_MAX=16 batuta up --queues default,imports`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.status = a.commands.Up(cmd.Context(), givenFlags(cmd.Flags()), a.env, a.out.Writer, a.err.Writer)
			return nil
		},
	}
	settings.RegisterProgram(cmd.Flags(), settings.Up)
	return cmd
}

// givenFlags are the flags that were given, as they can be given again.
func givenFlags(fs *pflag.FlagSet) []string {
	args := []string{}
	fs.Visit(func(f *pflag.Flag) { args = append(args, "--"+f.Name+"="+f.Value.String()) })
	return args
}

func newWorker(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the built-in worker process",
		Long: `Run the built-in worker process, which offers the types sleep, hash, http, exec, csv.stats,
image.resize and gzip. It is started by a pool and speaks with it over stdin and stdout, one
JSON object a line; it ends once stdin is closed.`,
		Example: `  BATUTA_WORKER_COMMAND='batuta worker --files-dir /srv/files' worker-pool
  echo '{"op":"drain"}' | batuta worker`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := settings.Load(cmd.Flags(), a.env); err != nil {
				return &usageError{err.Error()}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			a.ignoreInterrupt()
			a.status = a.commands.Worker(ctx, a.in, a.out.Writer, a.err.Writer, workerEnv(cmd.Flags(), a.env))
			return nil
		},
	}
	settings.RegisterProgram(cmd.Flags(), settings.Worker)
	return cmd
}

// ignoreInterrupt: Ctrl-C in a terminal reaches every process there. A worker must leave
// it to its pool, which tells it when to stop.
func (a *app) ignoreInterrupt() {
	if id, _ := a.lookup(envWorkerID); id != "" {
		signal.Ignore(syscall.SIGINT)
	}
}

// workerEnv adds the flags that were given as variables.
func workerEnv(fs *pflag.FlagSet, env []string) []string {
	env = slices.Clone(env)
	fs.Visit(func(f *pflag.Flag) {
		name := "BATUTA_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		env = append(env, name+"="+f.Value.String())
	})
	return env
}
