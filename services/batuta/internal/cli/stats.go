package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newStats(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show the figures of the whole system",
		Long: `Show the figures of the whole system. Counts are of the tasks kept now; averages and
percentiles are over the last 15 minutes.`,
		Example: `  batuta stats
  batuta stats --json | jq .tasks.pending`,
		Args: argCount(0, 0, ""),
		RunE: a.api(a.stats),
	}
	return a.jsonFlag(cmd)
}

func (a *app) stats(ctx context.Context, c *apiclient.Client, _ []string) error {
	s, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printRaw(s.Raw)
	}
	return a.showStats(&s.Value)
}

func (a *app) showStats(s *wire.Stats) error {
	l := &lines{screen: a.out}
	status := a.word(string(s.SystemStatus))
	if s.Reason != "" {
		status += "  " + term.Clean(string(s.Reason))
	}
	l.add("system", status)
	l.add("uptime", s.Uptime)
	l.add("workers", fmt.Sprintf("%d active, %d idle", s.Workers.Active, s.Workers.Idle))
	l.add("tasks", a.taskCounts(&s.Tasks))
	l.add("throughput", count(s.ThroughputPerMinute)+" a minute")
	if s.AverageExecutionTimeMs != nil {
		l.add("execution", showMs(s.AverageExecutionTimeMs)+" on average")
	}
	if s.QueueLatencyMs.P50 != nil {
		l.add("wait", fmt.Sprintf("p50 %s, p99 %s", showMs(s.QueueLatencyMs.P50), showMs(s.QueueLatencyMs.P99)))
	}
	_, err := a.out.Write([]byte(l.b.String()))
	return err
}

func (a *app) taskCounts(t *wire.TaskCounts) string {
	var parts []string
	for _, p := range []struct {
		status wire.Status
		n      int
	}{
		{wire.StatusPending, t.Pending},
		{wire.StatusInProgress, t.InProgress},
		{wire.StatusScheduled, t.Scheduled},
		{wire.StatusRetrying, t.Retrying},
		{wire.StatusCompleted, t.Completed},
		{wire.StatusFailed, t.Failed},
		{wire.StatusCancelled, t.Cancelled},
	} {
		parts = append(parts, count(p.n)+" "+a.word(string(p.status)))
	}
	return strings.Join(parts, ", ") + "; " + count(t.Total) + " in all"
}
