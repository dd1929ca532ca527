package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
)

func newPause(a *app) *cobra.Command {
	return newPauseOrResume(a, true, &cobra.Command{
		Use:   "pause QUEUE... | --pool NAME",
		Short: "Stop handing out the tasks of queues, or to a pool",
		Long: `Stop handing out the tasks of queues, or to a pool. What runs goes on to its end. It stays
so, also over restarts, until 'resume'. Tasks can be submitted meanwhile, and wait.`,
		Example: `  batuta pause imports
  batuta pause --pool night`,
	})
}

func newResume(a *app) *cobra.Command {
	return newPauseOrResume(a, false, &cobra.Command{
		Use:   "resume QUEUE... | --pool NAME",
		Short: "Hand out tasks again after a pause",
		Long:  `Hand out the tasks of queues again, or to a pool, after a 'pause'.`,
		Example: `  batuta resume imports
  batuta resume --pool night`,
	})
}

func newPauseOrResume(a *app, paused bool, cmd *cobra.Command) *cobra.Command {
	pool := ""
	cmd.Args = argCount(0, -1, "the queue's name")
	cmd.ValidArgsFunction = a.queueNames
	cmd.Flags().StringVar(&pool, "pool", "", "the pool instead of queues")
	complete(cmd, "pool", a.poolNames)
	cmd.RunE = a.api(func(ctx context.Context, c *apiclient.Client, queues []string) error {
		switch {
		case pool != "" && len(queues) > 0:
			return usagef("give queues or --pool, not both")
		case pool == "" && len(queues) == 0:
			return usagef("the queue's name is missing: %s", cmd.UseLine())
		case pool != "":
			return a.pausePool(ctx, c, pool, paused)
		}
		return a.pauseQueues(ctx, c, queues, paused)
	})
	return a.jsonFlag(cmd)
}

func pausedWord(paused bool) string {
	if paused {
		return "paused"
	}
	return "resumed"
}

func (a *app) pausePool(ctx context.Context, c *apiclient.Client, pool string, paused bool) error {
	answer, err := c.ChangePool(ctx, pool, map[string]any{"paused": paused})
	if err != nil {
		return err
	}
	if a.json {
		return a.printRaw(answer.Raw)
	}
	return a.say("pool %s %s", pool, pausedWord(paused))
}

func (a *app) pauseQueues(ctx context.Context, c *apiclient.Client, queues []string, paused bool) error {
	return a.each(queues, func(_ int, name string) error {
		answer, err := c.PauseQueue(ctx, name, paused)
		if err != nil {
			return err
		}
		if a.json {
			return a.printRaw(answer.Raw)
		}
		return a.say("queue %s %s", name, pausedWord(paused))
	})
}
