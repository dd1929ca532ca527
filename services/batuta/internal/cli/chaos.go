package cli

import (
	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
)

func newChaos(a *app) *cobra.Command {
	var flags options.Flags
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break a system on purpose and check that nothing is lost",
		Long: `Start a system of separate processes in a temporary folder (NATS servers, two of each
service, several pools with their workers), run a mixed workload on it, inject faults at
random, wait until everything has ended, and check the books: every accepted task has ended,
exactly once; what is called completed was executed, by a ledger that the handlers keep on
disk outside of NATS; fences only grow; no attempt is beyond its limit; priorities held; the
audit had nothing to repair; the system is Stable again.

The faults: ` + plan.List(3) + `
(the last two need --servers 3). kill is SIGKILL, restart SIGTERM; pause stops a process
for a moment, hang for longer than the system waits; drop resets the network connections of
a process, cut swallows what they carry for longer than a lease, isolate does so between
NATS servers. Kinds come equally often. The same seed gives the same faults.

The report names recovery times: of workers and pools from the fault to the new start of
each task they had, of the others to the first start of a task submitted after the fault.
Exit status 1 where anything is broken, with the history of the tasks concerned.

--join takes the system at BATUTA_URL as it is: it gets tasks of the built-in type sleep, its
workers are killed and drained through the API, and the books are checked as far as the API
shows them. There is no ledger then, and nothing but workers is broken.`,
		Example: `  batuta chaos
  batuta chaos --duration 10m --tasks 100000 --faults 600
  batuta chaos --servers 3 --faults nats,pool.cut --seed 42 --json
  BATUTA_URL=http://127.0.0.1:8080 batuta chaos --join --duration 30s`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.Parse()
			if err != nil {
				return &usageError{err.Error()}
			}
			o.JSON = a.json
			var client *apiclient.Client
			if o.Join {
				if client, err = a.client(); err != nil {
					return err
				}
				defer client.Close()
			}
			a.status = a.commands.Chaos(cmd.Context(), o, client, a.out, a.err)
			return nil
		},
	}
	flags.Register(cmd.Flags())
	return a.jsonFlag(cmd)
}

// newRole is the command of the processes that `chaos` starts.
func newRole(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "chaos-role", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.status = a.commands.Role(cmd.Context(), args, a.env, a.out.Writer, a.err.Writer)
			return nil
		},
	}
}
