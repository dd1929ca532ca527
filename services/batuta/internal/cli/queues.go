package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newQueues(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues [NAME...]",
		Short: "List the queues",
		Long: `List the queues with what waits in them by priority, how long the oldest task waits, the
tasks a second that come and go, and the pools that serve them. A queue that no pool serves
is warned about: nothing in it runs.`,
		Example: `  batuta queues
  batuta queues imports --json | jq .depth`,
		Args:              argCount(0, -1, "the queue's name"),
		ValidArgsFunction: a.queueNames,
		RunE:              a.api(a.queues),
	}
	return a.jsonFlag(cmd)
}

func (a *app) queues(ctx context.Context, c *apiclient.Client, names []string) error {
	if len(names) == 0 {
		queues, err := c.Queues(ctx)
		if err != nil {
			return err
		}
		return a.showQueues(queues)
	}
	var queues []apiclient.Queue
	err := a.each(names, func(_ int, name string) error {
		q, err := c.Queue(ctx, name)
		if err == nil {
			queues = append(queues, q)
		}
		return err
	})
	if shown := a.showQueues(queues); shown != nil {
		return shown
	}
	return err
}

func (a *app) showQueues(queues []apiclient.Queue) error {
	if a.json {
		return printDocs(a, queues)
	}
	table := term.NewTable("NAME", "CRITICAL>", "HIGH>", "MEDIUM>", "LOW>", "OLDEST>", "IN/S>", "OUT/S>", "STATE", "SERVED BY")
	for _, q := range queues {
		v := &q.Value
		table.Add(term.Text(v.Name), term.Text(count(v.Depth.Critical)), term.Text(count(v.Depth.High)), term.Text(count(v.Depth.Medium)),
			term.Text(count(v.Depth.Low)), term.Text(showMs(v.OldestWaitMs)), term.Text(showFloat(v.RateIn, 1)),
			term.Text(showFloat(v.RateOut, 1)), pausedCell(v.Paused), servedBy(v))
	}
	if err := writeTable(a, table); err != nil {
		return err
	}
	a.warnUnserved(queues)
	return nil
}

func servedBy(q *wire.QueueView) term.Cell {
	if len(q.ServedBy) == 0 {
		return term.Cell{Text: "nobody", Style: term.Red}
	}
	return term.Text(strings.Join(q.ServedBy, ","))
}

func (a *app) warnUnserved(queues []apiclient.Queue) {
	for _, q := range queues {
		if len(q.Value.ServedBy) == 0 {
			a.note("%s no pool serves the queue %s: its tasks wait", a.err.Paint(term.Yellow, "warning:"), q.Value.Name)
		}
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
