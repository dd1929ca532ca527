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

// pageMost is the largest page of GET /tasks.
const pageMost = 1000

var sortOrders = []string{"-submittedAt", "submittedAt", "priority", "-priority", "executionTimeMs", "-executionTimeMs"}

// listCommand is `batuta list`.
type listCommand struct {
	*app
	filters filterFlags
	sort    string
	limit   int
	cursor  string
	all     bool
	facets  bool
}

func newList(a *app) *cobra.Command {
	l := &listCommand{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List tasks",
		Long: `List tasks, newest first. All filters must match; within one, a comma means or. With
--json: one task a line as the API sends it, without its payload.`,
		Example: `  batuta list
  batuta list --status failed,retrying --type 'image.*'
  batuta list --tag team:sales --sort -executionTimeMs --limit 10
  batuta list --status completed --all --json | jq .executionTimeMs`,
		Args: argCount(0, 0, ""),
		RunE: a.api(l.run),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	l.filters.register(a, cmd)
	fs.StringVar(&l.sort, "sort", "", strings.Join(sortOrders, ", ")+" (default -submittedAt)")
	fs.IntVar(&l.limit, "limit", 50, "tasks a page, 1 to 1000")
	fs.StringVar(&l.cursor, "cursor", "", "go on where the page before ended")
	fs.BoolVar(&l.all, "all", false, "print all pages")
	fs.BoolVar(&l.facets, "facets", false, "print only how many tasks there are, by status, type, queue and priority")
	complete(cmd, "sort", fixed(sortOrders))
	exclusive(cmd, "all", "cursor")
	return a.jsonFlag(cmd)
}

func (l *listCommand) run(ctx context.Context, c *apiclient.Client, _ []string) error {
	filter, err := l.filters.filter()
	if err != nil {
		return err
	}
	if err := oneOf("sort", l.sort, sortOrders); err != nil {
		return err
	}
	if l.limit < 1 || l.limit > pageMost {
		return usagef("--limit: %d is not from 1 to %d", l.limit, pageMost)
	}
	page := apiclient.Page{Sort: l.sort, Limit: l.limit, Cursor: l.cursor}
	if l.facets {
		return l.counts(ctx, c, filter)
	}
	if l.all {
		page.Limit = pageMost
	}
	return l.pages(ctx, c, filter, page)
}

func (l *listCommand) pages(ctx context.Context, c *apiclient.Client, f apiclient.Filter, p apiclient.Page) error {
	table := term.NewTable("ID", "TYPE", "QUEUE", "PRIORITY", "STATUS", "ATTEMPT>", "SUBMITTED>", "TIME>", "WORKER", "NOTE")
	shown := 0
	for {
		page, err := c.Tasks(ctx, f, p)
		if err != nil {
			return err
		}
		if err := l.print(table, page.Tasks); err != nil {
			return err
		}
		shown += len(page.Tasks)
		if page.NextCursor == "" || !l.all {
			l.summary(shown, page)
			return nil
		}
		p.Cursor = string(page.NextCursor)
	}
}

func (l *listCommand) print(table *term.Table, tasks []apiclient.Task) error {
	if l.json {
		return printDocs(l.app, tasks)
	}
	now := wire.Now()
	for _, t := range tasks {
		addTask(table, &t.Value, now)
	}
	return table.Write(l.out)
}

func addTask(table *term.Table, t *wire.TaskResource, now wire.Time) {
	note := ""
	switch {
	case t.Status == wire.StatusInProgress && t.Progress != nil:
		note = t.Progress.String()
	case t.Status == wire.StatusFailed || t.Status == wire.StatusRetrying:
		note = errorNote(t)
	case t.Status == wire.StatusScheduled:
		note = until(t.ScheduledFor, now)
	}
	table.Add(term.Text(t.ID), term.Text(t.Type), term.Text(t.Queue), term.Text(string(t.Priority)), term.Status(string(t.Status)),
		term.Text(strconv.Itoa(t.Attempt)), term.Text(ago(t.SubmittedAt, now)), term.Text(showMs(t.ExecutionTimeMs)),
		term.Text(orNone(t.Worker)), term.Text(note))
}

// summary says what was not shown, on a terminal; elsewhere only the data is printed.
func (l *listCommand) summary(shown int, page apiclient.TaskPage) {
	if !l.watched() || l.json {
		return
	}
	text := plural(page.Total, "task")
	if shown < page.Total {
		text = count(shown) + " of " + text
	}
	if page.NextCursor != "" {
		text += "; go on with --cursor " + string(page.NextCursor) + ", or --all"
	}
	l.note("%s", l.err.Paint(term.Dim, text))
}

func (l *listCommand) counts(ctx context.Context, c *apiclient.Client, f apiclient.Filter) error {
	page, err := c.Tasks(ctx, f, apiclient.Page{Limit: 1, Facets: true})
	if err != nil {
		return err
	}
	if l.json {
		return l.printRaw(page.Facets.Raw)
	}
	facets := page.Facets.Value
	table := term.NewTable("BY", "VALUE", "TASKS>")
	for _, part := range []struct {
		name   string
		counts map[string]int
		order  []string
	}{
		{"status", facets.Status, words(wire.Statuses)},
		{"priority", facets.Priority, words(wire.Priorities)},
		{"queue", facets.Queue, sortedKeys(facets.Queue)},
		{"type", facets.Type, sortedKeys(facets.Type)},
	} {
		for _, value := range part.order {
			if n, ok := part.counts[value]; ok {
				table.Add(term.Text(part.name), term.Status(value), term.Text(count(n)))
			}
		}
	}
	return table.Write(l.out)
}
