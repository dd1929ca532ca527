package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newWorkers(a *app) *cobra.Command {
	ended := false
	cmd := &cobra.Command{
		Use:   "workers [ID...]",
		Short: "List the worker processes",
		Long: `List the worker processes that live, with what they use and do, or show some of them. With
--ended: also those that ended in the last minute.`,
		Example: `  batuta workers
  batuta workers worker-1 --json
  batuta workers --ended`,
		Args:              argCount(0, -1, "the worker's id"),
		ValidArgsFunction: a.workerIDs,
		RunE: a.api(func(ctx context.Context, c *apiclient.Client, ids []string) error {
			if len(ids) > 0 {
				return a.someWorkers(ctx, c, ids)
			}
			return a.allWorkers(ctx, c, ended)
		}),
	}
	cmd.Flags().BoolVar(&ended, "ended", false, "also show those that ended in the last minute")
	return a.jsonFlag(cmd)
}

func (a *app) allWorkers(ctx context.Context, c *apiclient.Client, ended bool) error {
	all, err := c.Workers(ctx)
	if err != nil {
		return err
	}
	if !ended {
		all.Ended = nil
	}
	if a.json {
		if err := printDocs(a, all.Workers); err != nil {
			return err
		}
		return printDocs(a, all.Ended)
	}
	if len(all.Workers) == 0 {
		a.note("no worker is running")
	}
	now := wire.Now()
	table := workerTable()
	for _, w := range all.Workers {
		addWorker(table, &w.Value, now)
	}
	for _, w := range all.Ended {
		addEnded(table, &w.Value, now)
	}
	return writeTable(a, table)
}

func (a *app) someWorkers(ctx context.Context, c *apiclient.Client, ids []string) error {
	now := wire.Now()
	table := workerTable()
	err := a.each(ids, func(_ int, id string) error {
		w, err := c.Worker(ctx, id)
		switch {
		case err != nil:
			return err
		case a.json:
			return a.printRaw(w.Raw)
		case w.Value.EndedAt > 0:
			addEnded(table, &w.Value, now)
		default:
			addWorker(table, &w.Value.WorkerView, now)
		}
		return nil
	})
	if written := writeTable(a, table); written != nil {
		return written
	}
	return err
}

// writeTable prints a table that has rows.
func writeTable(a *app, t *term.Table) error {
	if t.Len() == 0 {
		return nil
	}
	return t.Write(a.out)
}

func workerTable() *term.Table {
	return term.NewTable("ID", "POOL", "STATUS", "CPU %>", "MEMORY MB>", "TASKS>", "DONE>", "FAILED>", "UP>", "HEARTBEAT>", "PROCESS", "RUNS")
}

func addWorker(t *term.Table, w *wire.WorkerView, now wire.Time) {
	heartbeat := showMs(w.LastHeartbeatAgoMs)
	if w.LastHeartbeatAgoMs != nil {
		heartbeat += " ago"
	}
	t.Add(term.Text(w.ID), term.Text(w.Pool), term.Status(string(w.Status)), term.Text(showFloat(w.CPUPercent, 1)),
		term.Text(showFloat(w.MemoryMb, 1)), term.Text(fmt.Sprintf("%d/%d", w.AssignedTasks, w.Concurrency)),
		term.Text(count(w.Completed)), term.Text(count(w.Failed)), term.Text(since(w.StartedAt, now)), term.Text(heartbeat),
		term.Text(process(w)), term.Text(strings.Join(w.Tasks, " ")))
}

func addEnded(t *term.Table, w *wire.EndedWorker, now wire.Time) {
	t.Add(term.Text(w.ID), term.Text(w.Pool), term.Cell{Text: "ended", Style: term.Red}, term.Text(none), term.Text(none),
		term.Text(none), term.Text(count(w.Completed)), term.Text(count(w.Failed)), term.Text(since(w.StartedAt, w.EndedAt)),
		term.Text(ago(w.EndedAt, now)), term.Text(process(&w.WorkerView)), term.Text(string(w.Reason)))
}

func process(w *wire.WorkerView) string {
	if w.Host == "" {
		return none
	}
	return w.Host + ":" + strconv.Itoa(w.PID)
}

func newDrain(a *app) *cobra.Command {
	return newWorkerCommand(a, apiclient.CommandDrain, "drains", &cobra.Command{
		Use:   "drain WORKER...",
		Short: "Let workers finish what they run, then end",
		Long: `Let worker processes finish what they run and then end. They take nothing new; their pool
starts others as far as it needs them.`,
		Example: `  batuta drain worker-1`,
	})
}

func newKill(a *app) *cobra.Command {
	return newWorkerCommand(a, apiclient.CommandKill, "is being killed", &cobra.Command{
		Use:   "kill WORKER...",
		Short: "Kill workers; their tasks run again elsewhere",
		Long: `Kill worker processes at once. What they ran is handed out again. Being killed counts as a
crash of each of these tasks (BATUTA_MAX_CRASHES); 'drain' does not.`,
		Example: `  batuta kill worker-1 worker-2`,
	})
}

func newWorkerCommand(a *app, command, done string, cmd *cobra.Command) *cobra.Command {
	cmd.Args = argCount(1, -1, "the worker's id")
	cmd.ValidArgsFunction = a.workerIDs
	cmd.RunE = a.api(func(ctx context.Context, c *apiclient.Client, ids []string) error {
		return a.each(ids, func(_ int, id string) error {
			answer, err := c.Command(ctx, command, id)
			if err != nil {
				return err
			}
			if a.json {
				return a.printRaw(answer.Raw)
			}
			return a.say("%s %s", id, done)
		})
	})
	return a.jsonFlag(cmd)
}
