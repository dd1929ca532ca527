package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
)

// actCommand is `batuta cancel`, `retry` or `delete`.
type actCommand struct {
	*app
	filters filterFlags
	action  string
	// done says what was asked, in the past.
	done   string
	dryRun bool
	yes    bool
}

func newCancel(a *app) *cobra.Command {
	return newAct(a, &actCommand{app: a, action: apiclient.ActionCancel, done: "is being cancelled"}, &cobra.Command{
		Use:   "cancel [ID...]",
		Short: "Cancel tasks, also running ones",
		Long: `Cancel tasks by id, or all that the filters choose. What waits does not start any more;
what runs is told to stop, and its worker is killed if it does not. Cancelling again is no
error; a task that has ended otherwise is one.`,
		Example: `  batuta cancel task-104 task-105
  batuta cancel --status pending,scheduled --queue imports --dry-run
  batuta cancel --tag team:sales --yes`,
	})
}

func newRetry(a *app) *cobra.Command {
	return newAct(a, &actCommand{app: a, action: apiclient.ActionRetry, done: "is to run again"}, &cobra.Command{
		Use:   "retry [ID...]",
		Short: "Run failed or cancelled tasks again",
		Long: `Run tasks again that failed or were cancelled, by id or all that the filters choose. They
get all their retries anew. A task whose payload is no longer kept cannot be retried.`,
		Example: `  batuta retry task-104
  batuta retry --status failed --type 'image.*' --dry-run
  batuta retry --status failed --yes`,
	})
}

func newDelete(a *app) *cobra.Command {
	return newAct(a, &actCommand{app: a, action: apiclient.ActionDelete, done: "deleted"}, &cobra.Command{
		Use:   "delete [ID...]",
		Short: "Delete ended tasks",
		Long: `Delete tasks that have ended, by id or all that the filters choose, before their retention
is over. A task that has not ended must be cancelled first.`,
		Example: `  batuta delete task-104
  batuta delete --status completed --q import- --yes`,
	})
}

func newAct(a *app, act *actCommand, cmd *cobra.Command) *cobra.Command {
	cmd.Args = argCount(0, -1, "a task's id")
	cmd.RunE = a.api(act.run)
	cmd.ValidArgsFunction = a.taskIDs
	cmd.Flags().SortFlags = false
	act.filters.register(a, cmd)
	cmd.Flags().BoolVar(&act.dryRun, "dry-run", false, "only count the tasks that the filters choose")
	cmd.Flags().BoolVarP(&act.yes, "yes", "y", false, "do not ask")
	return a.jsonFlag(cmd)
}

func (act *actCommand) run(ctx context.Context, c *apiclient.Client, ids []string) error {
	filter, err := act.filters.filter()
	switch {
	case err != nil:
		return err
	case len(ids) > 0 && len(filter) > 0:
		return usagef("give ids or filters, not both")
	case len(ids) == 0 && len(filter) == 0:
		return usagef("which tasks? Give ids, or filters such as --status failed")
	case len(ids) > 0 && act.dryRun:
		return usagef("--dry-run counts what filters choose; ids need no counting")
	case len(ids) > 0:
		return act.byID(ctx, c, ids)
	}
	return act.byFilter(ctx, c, filter)
}

func (act *actCommand) byID(ctx context.Context, c *apiclient.Client, ids []string) error {
	return act.each(ids, func(_ int, id string) error {
		answer, err := c.Act(ctx, act.action, id)
		if err != nil {
			return err
		}
		if act.json {
			return act.printRaw(answer.Raw)
		}
		return act.say("%s %s", id, act.done)
	})
}

func (act *actCommand) byFilter(ctx context.Context, c *apiclient.Client, f apiclient.Filter) error {
	if act.dryRun || act.mustAsk() {
		matched, err := c.ActAll(ctx, act.action, f, true)
		if err != nil {
			return err
		}
		n := matched.Value.Matched
		if act.dryRun && act.json {
			return act.printRaw(matched.Raw)
		}
		if act.dryRun || n == 0 {
			return act.say("%s", plural(n, "task")+" to "+act.action)
		}
		if err := act.confirm(n); err != nil {
			return err
		}
	}
	matched, err := c.ActAll(ctx, act.action, f, false)
	if err != nil {
		return err
	}
	if act.json {
		return act.printRaw(matched.Raw)
	}
	return act.say("%s to %s: accepted", plural(matched.Value.Matched, "task"), act.action)
}

// mustAsk: somebody sits there who can answer, and has not said yes already.
func (act *actCommand) mustAsk() bool {
	return !act.yes && act.err.Terminal && act.interactive
}

// confirm asks; anything but yes stops the command.
func (act *actCommand) confirm(n int) error {
	fmt.Fprintf(act.err, "%s%s %s? [y/N] ", strings.ToUpper(act.action[:1]), act.action[1:], plural(n, "task"))
	line, err := bufio.NewReader(act.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

// isAnswer tells an answer about one thing from a failure that would meet all of them.
func isAnswer(err error) bool {
	var status *apiclient.StatusError
	return errors.As(err, &status) && status.Status < 500 && status.Status != 401 && status.Status != 403
}
