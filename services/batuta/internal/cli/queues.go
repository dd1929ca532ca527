package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newQueues(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues [NAME...]",
		Short: "List the queues, or change the limits of one",
		Long: `List the queues with what waits in them by priority, how long the oldest task waits, the
tasks a second that come and go, and the pools that serve them. A queue that no pool serves
is warned about: nothing in it runs.

With a name and --max-concurrent or --rate: change the limits on what runs at once and on
starts a second, over all pools and priorities; of one type in the queue with --type. They are
in force at once, and kept.`,
		Example: `  batuta queues
  batuta queues imports --json | jq .depth
  batuta queues imports --max-concurrent 4
  batuta queues default --type mail.send --rate 10
  batuta queues default --type mail.send --rate none`,
		Args:              argCount(0, -1, "the queue's name"),
		ValidArgsFunction: a.queueNames,
	}
	limits := &limitFlags{}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&limits.most, "max-concurrent", "", "tasks that run at once, or none for no limit")
	cmd.Flags().StringVar(&limits.rate, "rate", "", "starts a second, or none for no limit")
	cmd.Flags().StringVar(&limits.taskType, "type", "", "the type whose limits to change")
	cmd.RunE = a.api(func(ctx context.Context, c *apiclient.Client, names []string) error {
		if limits.none() {
			return a.queues(ctx, c, names)
		}
		return a.limitQueue(ctx, c, names, limits)
	})
	return a.jsonFlag(cmd)
}

// limitFlags change the limits of a queue.
type limitFlags struct {
	most, rate, taskType string
}

func (l *limitFlags) none() bool { return *l == limitFlags{} }

// change is the body of the request.
func (l *limitFlags) change() (map[string]any, error) {
	limits := map[string]any{}
	switch n, err := strconv.Atoi(l.most); {
	case l.most == "":
	case l.most == "none":
		limits["maxConcurrent"] = nil
	case err != nil:
		return nil, usagef("--max-concurrent: %q is neither a whole number nor none", l.most)
	default:
		limits["maxConcurrent"] = n
	}
	switch r, err := strconv.ParseFloat(l.rate, 64); {
	case l.rate == "":
	case l.rate == "none":
		limits["ratePerSecond"] = nil
	case err != nil:
		return nil, usagef("--rate: %q is neither a number nor none", l.rate)
	default:
		limits["ratePerSecond"] = r
	}
	switch {
	case len(limits) == 0:
		return nil, usagef("--type goes with --max-concurrent or --rate")
	case l.taskType != "":
		return map[string]any{"types": map[string]any{l.taskType: limits}}, nil
	}
	return limits, nil
}

func (a *app) limitQueue(ctx context.Context, c *apiclient.Client, names []string, limits *limitFlags) error {
	change, err := limits.change()
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return usagef("give the name of one queue before its limits")
	}
	q, err := c.ChangeQueue(ctx, names[0], change)
	if err != nil {
		return err
	}
	return a.showQueues([]apiclient.Queue{q})
}

// limitsOf shows the limits of a queue and of its types: "4", "10/s", "mail.send 4 10/s".
func limitsOf(q *wire.QueueView) string {
	show := func(name string, l wire.QueueLimits) string {
		parts := []string{}
		if name != "" {
			parts = append(parts, name)
		}
		if l.MaxConcurrent != nil {
			parts = append(parts, strconv.Itoa(*l.MaxConcurrent))
		}
		if l.RatePerSecond != nil {
			parts = append(parts, strconv.FormatFloat(*l.RatePerSecond, 'f', -1, 64)+"/s")
		}
		return strings.Join(parts, " ")
	}
	var all []string
	if own := show("", q.QueueLimits); own != "" {
		all = append(all, own)
	}
	for _, name := range sortedKeys(q.Types) {
		all = append(all, show(name, q.Types[name]))
	}
	return strings.Join(all, ", ")
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
	table := term.NewTable("NAME", "CRITICAL>", "HIGH>", "MEDIUM>", "LOW>", "OLDEST>", "IN/S>", "OUT/S>", "LIMITS", "STATE", "SERVED BY")
	for _, q := range queues {
		v := &q.Value
		table.Add(term.Text(v.Name), term.Text(count(v.Depth.Critical)), term.Text(count(v.Depth.High)), term.Text(count(v.Depth.Medium)),
			term.Text(count(v.Depth.Low)), term.Text(showMs(v.OldestWaitMs)), term.Text(showFloat(v.RateIn, 1)),
			term.Text(showFloat(v.RateOut, 1)), term.Text(limitsOf(v)), pausedCell(v.Paused), servedBy(v))
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
