package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// poolsCommand is `batuta pools`.
type poolsCommand struct {
	*app
	least, most int
}

func newPools(a *app) *cobra.Command {
	p := &poolsCommand{app: a}
	cmd := &cobra.Command{
		Use:   "pools [NAME]",
		Short: "List the pools, or change how many workers one has",
		Long: `List the pools of worker processes, with the reason for their present size. With a name and
--min or --max: change the bounds, which are totals over all processes of the pool. What is
set so is kept and outranks the settings of these processes.`,
		Example: `  batuta pools
  batuta pools default --min 2 --max 16`,
		Args:              argCount(0, 1, "the pool's name"),
		ValidArgsFunction: a.poolNames,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().IntVar(&p.least, "min", 0, "worker processes at least")
	cmd.Flags().IntVar(&p.most, "max", 0, "worker processes at most")
	cmd.RunE = a.api(func(ctx context.Context, c *apiclient.Client, args []string) error {
		change := map[string]any{}
		if cmd.Flags().Changed("min") {
			change["min"] = p.least
		}
		if cmd.Flags().Changed("max") {
			change["max"] = p.most
		}
		return p.run(ctx, c, args, change)
	})
	return a.jsonFlag(cmd)
}

func (p *poolsCommand) run(ctx context.Context, c *apiclient.Client, args []string, change map[string]any) error {
	var pools []apiclient.Pool
	var err error
	switch {
	case len(args) == 0 && len(change) > 0:
		return usagef("which pool? Give its name before --min and --max")
	case len(args) == 0:
		pools, err = c.Pools(ctx)
	default:
		pools = make([]apiclient.Pool, 1)
		if len(change) > 0 {
			pools[0], err = c.ChangePool(ctx, args[0], change)
		} else {
			pools[0], err = c.Pool(ctx, args[0])
		}
	}
	if err != nil {
		return err
	}
	return p.showPools(pools)
}

func (a *app) showPools(pools []apiclient.Pool) error {
	if a.json {
		return printDocs(a, pools)
	}
	if len(pools) == 0 {
		a.note("no pool is running, and none was changed by an operator")
	}
	table := term.NewTable("NAME", "MIN>", "MAX>", "DESIRED>", "RUNNING>", "PROCESSES>", "QUEUES", "STATE", "REASON")
	for _, p := range pools {
		v := &p.Value
		table.Add(term.Text(v.Name), term.Text(strconv.Itoa(v.Min)), term.Text(strconv.Itoa(v.Max)), term.Text(showInt(v.Desired)),
			term.Text(strconv.Itoa(v.Running)), term.Text(strconv.Itoa(len(v.Instances))), term.Text(strings.Join(v.Queues, ",")),
			pausedCell(v.Paused), term.Text(poolReason(v)))
	}
	return writeTable(a, table)
}

func poolReason(p *wire.PoolView) string {
	if p.Reason == "" {
		return ""
	}
	return string(p.Reason) + " (" + ago(p.ScaledAt, wire.Now()) + ")"
}

func pausedCell(paused bool) term.Cell {
	if paused {
		return term.Cell{Text: "paused", Style: term.Yellow}
	}
	return term.Cell{Text: "open", Style: term.Green}
}
