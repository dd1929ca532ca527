package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// completeTimeout keeps a shell from hanging where no API answers.
const completeTimeout = time.Second

// completer gives what may stand in a place of the command line.
type completer = cobra.CompletionFunc

func complete(cmd *cobra.Command, flag string, f completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic("cli: " + err.Error()) // a flag that does not exist: a mistake in the program
	}
}

func fixed(values []string) completer {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// ask completes with names that the API knows, or with nothing.
func (a *app) ask(list func(context.Context, *apiclient.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completeTimeout)
	defer cancel()
	client, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close()
	names, err := list(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) queueNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.ask(func(ctx context.Context, c *apiclient.Client) ([]string, error) {
		queues, err := c.Queues(ctx)
		return namesOf(queues, func(q wire.QueueView) string { return q.Name }), err
	})
}

func (a *app) poolNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.ask(func(ctx context.Context, c *apiclient.Client) ([]string, error) {
		pools, err := c.Pools(ctx)
		return namesOf(pools, func(p wire.PoolView) string { return p.Name }), err
	})
}

func (a *app) workerIDs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.ask(func(ctx context.Context, c *apiclient.Client) ([]string, error) {
		workers, err := c.Workers(ctx)
		return namesOf(workers.Workers, func(w wire.WorkerView) string { return w.ID }), err
	})
}

// taskIDs offers the newest tasks that begin with what was typed.
func (a *app) taskIDs(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.ask(func(ctx context.Context, c *apiclient.Client) ([]string, error) {
		f := apiclient.Filter{}
		if typed != "" {
			f["q"] = typed
		}
		page, err := c.Tasks(ctx, f, apiclient.Page{})
		return namesOf(page.Tasks, func(t wire.TaskResource) string { return t.ID }), err
	})
}

func namesOf[T any](docs []apiclient.Doc[T], name func(T) string) []string {
	out := make([]string, len(docs))
	for i, d := range docs {
		out[i] = name(d.Value)
	}
	return out
}

// addCompletion has cobra make the command, and refuses what cobra would answer with its
// help and success.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Use = "completion SHELL"
		cmd.Short = "Print a script that completes commands in a shell"
		cmd.Example = "  source <(batuta completion bash)\n  batuta completion fish > ~/.config/fish/completions/batuta.fish"
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which shell? bash, zsh, fish or powershell")
			}
			return usagef("%q is not one of bash, zsh, fish, powershell", args[0])
		}
	}
}

// exclusive refuses two flags together, and completes only one of them.
func exclusive(cmd *cobra.Command, one, other string) {
	cmd.MarkFlagsMutuallyExclusive(one, other)
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
			return usagef("give --%s or --%s, not both", one, other)
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}
