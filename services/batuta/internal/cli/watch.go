package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// watchPlainMost bounds how many running tasks are followed where no screen does.
const watchPlainMost = 200

func newWatch(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [ID...]",
		Short: "Watch tasks live",
		Long: `Watch the tasks that run now, with a bar for each, until Ctrl-C; or the given tasks until
they have ended: then the exit status is 1 if one of them did not complete. Where stdout is
no terminal, each change is a line.`,
		Example: `  batuta watch
  batuta watch task-104 task-105
  batuta watch task-104 --json | jq .progress.percent`,
		Args:              argCount(0, -1, "the task's id"),
		ValidArgsFunction: a.taskIDs,
		RunE:              a.api(a.watch),
	}
	return a.jsonFlag(cmd)
}

func (a *app) watch(ctx context.Context, c *apiclient.Client, ids []string) error {
	if len(ids) == 0 {
		return untilStopped(ctx, (&runningWatch{app: a, client: c, shown: map[string]apiclient.Task{}}).run(ctx))
	}
	f := newFollower(a, c, unique(ids))
	if a.json || !a.out.Terminal {
		f.live = nil
		f.changed = func(t *apiclient.TaskDetail) error { return a.change(t.Raw, &t.Value.TaskResource) }
	} else {
		f.show(a.out)
		f.keep = true
	}
	if err := f.run(ctx); err != nil {
		return err
	}
	return f.outcome()
}

// untilStopped makes a success of the end that the user asked for.
func untilStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func unique(ids []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// change prints one change of a task as a line.
func (a *app) change(raw []byte, t *wire.TaskResource) error {
	if a.json {
		return a.printRaw(raw)
	}
	note := taskNote(t, wire.Now())
	if p := t.Progress; p != nil && p.Percent != nil && t.Status == wire.StatusInProgress {
		note = fmt.Sprintf("%.0f%%  %s", *p.Percent, note)
	}
	return a.say("%s  %s  %s  %s", showTime(wire.Now()), t.ID, term.Pad(string(t.Status), wordWidth, false), term.Clean(note))
}

// runningWatch shows whatever runs.
type runningWatch struct {
	*app
	client *apiclient.Client
	live   *term.Live
	shown  map[string]apiclient.Task
}

func (w *runningWatch) run(ctx context.Context) error {
	if w.out.Terminal && !w.json {
		w.live = term.NewLive(w.out)
	}
	if err := w.update(ctx); err != nil {
		return err
	}
	for range w.client.Changes(ctx) {
		err := w.update(ctx)
		if err != nil && ctx.Err() == nil && !apiclient.Passing(err) {
			return err
		}
	}
	return ctx.Err()
}

func (w *runningWatch) update(ctx context.Context) error {
	limit := watchPlainMost
	if w.live != nil {
		limit = max(w.out.Height(), 1)
	}
	page, err := w.client.Tasks(ctx, apiclient.Filter{"status": string(wire.StatusInProgress)}, apiclient.Page{Sort: "submittedAt", Limit: limit})
	if err != nil {
		return w.away(err)
	}
	if w.live == nil {
		return w.changes(ctx, page.Tasks)
	}
	stats, err := w.client.Stats(ctx)
	if err != nil {
		return w.away(err)
	}
	return w.draw(&stats.Value, page)
}

// away shows that the API is gone; it may come back.
func (w *runningWatch) away(err error) error {
	if w.live != nil && apiclient.Passing(err) && len(w.shown) > 0 {
		_ = w.live.Draw([]string{w.paint(term.Yellow, term.Clip("waiting for the API: "+w.short(err), w.out.Width()))})
	}
	return err
}

func (w *runningWatch) draw(stats *wire.Stats, page apiclient.TaskPage) error {
	now := wire.Now()
	lines := []string{w.head(stats)}
	room := w.out.Height() - 4
	for _, t := range page.Tasks[:max(min(len(page.Tasks), room), 0)] {
		lines = append(lines, taskBar(w.out, &t.Value, now))
		w.shown[t.Value.ID] = t
	}
	switch rest := page.Total - (len(lines) - 1); {
	case rest > 0:
		lines = append(lines, w.paint(term.Dim, fmt.Sprintf("and %s more running", count(rest))))
	case page.Total == 0:
		lines = append(lines, w.paint(term.Dim, "no task runs"))
	}
	return w.live.Draw(lines)
}

// head is the system in a line.
func (w *runningWatch) head(s *wire.Stats) string {
	t := s.Tasks
	parts := []string{
		plural(s.Workers.Active+s.Workers.Idle, "worker"), count(t.InProgress) + " running", count(t.Pending) + " pending",
		count(t.Completed) + " completed", count(t.Failed) + " failed", count(s.ThroughputPerMinute) + "/min",
	}
	rest := term.Clip(strings.Join(parts, " · "), w.out.Width()-len(s.SystemStatus)-2)
	return w.word(string(s.SystemStatus)) + "  " + rest
}

// changes prints what is new since the last look: tasks that started or went on, and the
// end of those that run no more.
func (w *runningWatch) changes(ctx context.Context, running []apiclient.Task) error {
	still := map[string]bool{}
	for _, t := range running {
		still[t.Value.ID] = true
		before, known := w.shown[t.Value.ID]
		w.shown[t.Value.ID] = t
		if known && !differs(&before.Value, &t.Value) {
			continue
		}
		if err := w.change(t.Raw, &t.Value); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(w.shown) {
		if still[id] {
			continue
		}
		if err := w.left(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// left tells what became of a task that does not run any more.
func (w *runningWatch) left(ctx context.Context, id string) error {
	t, err := w.client.Task(ctx, id)
	switch {
	case err != nil && !isAnswer(err):
		return err
	case err == nil && t.Value.Status != wire.StatusInProgress:
		err = w.change(t.Raw, &t.Value.TaskResource)
		delete(w.shown, id)
		return err
	case err != nil: // deleted
		delete(w.shown, id)
	}
	return nil
}
