package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// benchPatience is how long one task may take before the measurement is given up.
	benchPatience = 30 * time.Second
	benchPoll     = 2 * time.Millisecond
	benchMost     = 100_000
)

// benchCommand is `batuta bench`.
type benchCommand struct {
	*app
	latency         bool
	n               int
	queue, priority string
}

func newBench(a *app) *cobra.Command {
	b := &benchCommand{app: a}
	cmd := &cobra.Command{
		Use:   "bench --latency",
		Short: "Measure a running system",
		Long: `Measure a running system. --latency submits tiny tasks of the built-in type sleep one after
another, each once the one before has ended, and prints quantiles in milliseconds of

  submit call  what the HTTP request of the submission takes, by the clock of this program
  started      from the begin of that request to the task's startedAt
  completed    from the begin of that request to the task's finishedAt

startedAt and finishedAt are the task's own times: whole milliseconds by the clock of the
pool's host. So these two are exact to a millisecond where this program runs on that host,
and elsewhere as far as the clocks agree. On an idle system they say how soon a task
starts; under load they say how long it waits. The tasks are tagged bench=latency and kept
for one minute.`,
		Example: `  batuta bench --latency
  batuta bench --latency -n 1000 --queue imports --priority critical --json`,
		Args: argCount(0, 0, ""),
		RunE: a.api(b.run),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&b.latency, "latency", false, "measure the latency of single tasks")
	fs.IntVarP(&b.n, "tasks", "n", 200, "how many tasks")
	fs.StringVar(&b.queue, "queue", "default", "queue of the tasks")
	fs.StringVar(&b.priority, "priority", string(wire.PriorityMedium), "priority of the tasks")
	complete(cmd, "queue", a.queueNames)
	complete(cmd, "priority", fixed(words(wire.Priorities)))
	return a.jsonFlag(cmd)
}

// samples are what was measured of each task, in milliseconds.
type samples struct {
	call, started, completed []float64
}

func (b *benchCommand) run(ctx context.Context, c *apiclient.Client, _ []string) error {
	if !b.latency {
		return usagef("say what to measure: --latency is all there is so far")
	}
	if b.n < 1 || b.n > benchMost {
		return usagef("--tasks: %d is not from 1 to %d", b.n, benchMost)
	}
	if err := oneOf("priority", b.priority, words(wire.Priorities)); err != nil {
		return err
	}
	s, err := b.measure(ctx, c)
	if err != nil {
		return err
	}
	return b.report(s)
}

func (b *benchCommand) measure(ctx context.Context, c *apiclient.Client) (*samples, error) {
	var live *term.Live
	if b.watched() {
		live = term.NewLive(b.err)
		defer func() { _ = live.Clear() }()
	}
	// The first request of a process opens the connection; it is not what is measured.
	if _, err := c.Stats(ctx); err != nil {
		return nil, err
	}
	s := &samples{}
	for i := range b.n {
		if live != nil {
			_ = live.Draw([]string{fmt.Sprintf("%s of %s", count(i), plural(b.n, "task")) + "  " +
				b.err.Bar(float64(i)*100/float64(b.n), barWidth, term.Cyan)})
		}
		if err := b.one(ctx, c, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// one submits a task and waits for its end.
func (b *benchCommand) one(ctx context.Context, c *apiclient.Client, s *samples) error {
	body, err := fieldList{
		{"type", "sleep"},
		{"payload", map[string]int{"ms": 0}},
		{"queue", b.queue},
		{"priority", b.priority},
		{"retentionMs", time.Minute.Milliseconds()},
		{"tags", map[string]string{"bench": "latency"}},
	}.MarshalJSON()
	if err != nil {
		return err
	}
	began := time.Now()
	task, err := c.Submit(ctx, body)
	if err != nil {
		return err
	}
	call := time.Since(began)
	t, err := b.wait(ctx, c, task.Value.ID)
	if err != nil {
		return err
	}
	from := wire.At(began)
	s.call = append(s.call, float64(call)/float64(time.Millisecond))
	s.started = append(s.started, float64(t.StartedAt-from))
	s.completed = append(s.completed, float64(t.FinishedAt-from))
	return nil
}

func (b *benchCommand) wait(ctx context.Context, c *apiclient.Client, id string) (*wire.TaskDetail, error) {
	wait := benchPoll
	for end := time.Now().Add(benchPatience); time.Now().Before(end); wait = min(wait*3/2, followMost) {
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		t, err := c.Task(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case t.Value.Status == wire.StatusCompleted:
			return &t.Value, nil
		case t.Value.Status.Ended():
			return nil, fmt.Errorf("nothing was measured: %s", b.failureLine(t.Value))
		}
	}
	return nil, fmt.Errorf("%s has not ended in %s: does a pool serve the queue %s? See 'batuta queues'",
		id, showDuration(benchPatience), b.queue)
}

// quantiles of one figure, in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// quantilesOf takes the nearest rank: each is a value that was measured.
func quantilesOf(values []float64) quantiles {
	sorted := slices.Sorted(slices.Values(values))
	at := func(percent int) float64 {
		rank := (percent*len(sorted) + 99) / 100
		return sorted[max(rank, 1)-1]
	}
	return quantiles{P50: at(50), P90: at(90), P99: at(99), Max: at(100)}
}

func (b *benchCommand) report(s *samples) error {
	call, started, completed := quantilesOf(s.call), quantilesOf(s.started), quantilesOf(s.completed)
	if b.json {
		raw, err := json.Marshal(map[string]any{
			"tasks": len(s.call), "submitCallMs": call, "startedMs": started, "completedMs": completed,
		})
		if err != nil {
			return fmt.Errorf("print the figures: %w", err)
		}
		return b.printRaw(raw)
	}
	table := term.NewTable("MS", "P50>", "P90>", "P99>", "MAX>")
	addQuantiles(table, "submit call", call, 2)
	addQuantiles(table, "started", started, 0)
	addQuantiles(table, "completed", completed, 0)
	if err := table.Write(b.out); err != nil {
		return err
	}
	if slices.Min(s.started) < 0 {
		b.note("%s a task started before it was submitted: the clocks of this host and of the pool's differ",
			b.err.Paint(term.Yellow, "warning:"))
	}
	return nil
}

func addQuantiles(t *term.Table, name string, q quantiles, digits int) {
	cells := []term.Cell{term.Text(name)}
	for _, v := range []float64{q.P50, q.P90, q.P99, q.Max} {
		cells = append(cells, term.Text(showFloat(&v, digits)))
	}
	t.Add(cells...)
}
