package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newGet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get ID...",
		Short: "Show tasks with payload, result and history",
		Long: `Show tasks: what was submitted, how far they are, what came out, and what happened to them.
Times are of this machine's time zone. With --json: the task as the API sends it.`,
		Example: `  batuta get task-104
  batuta get task-104 --json | jq .result`,
		Args:              argCount(1, -1, "the task's id"),
		ValidArgsFunction: a.taskIDs,
		RunE:              a.api(a.get),
	}
	return a.jsonFlag(cmd)
}

func (a *app) get(ctx context.Context, c *apiclient.Client, ids []string) error {
	return a.each(ids, func(i int, id string) error {
		t, err := c.Task(ctx, id)
		if err != nil {
			return err
		}
		if a.json {
			return a.printRaw(t.Raw)
		}
		if i > 0 {
			if err := a.say(""); err != nil {
				return err
			}
		}
		return a.showTask(&t.Value)
	})
}

// each does something for each of several names. With one name its error is returned;
// with more it is told and the others go on.
func (a *app) each(names []string, do func(i int, name string) error) error {
	failed := false
	for i, name := range names {
		err := do(i, name)
		switch {
		case err == nil:
		case len(names) == 1 || !isAnswer(err):
			return err
		default:
			failed = true
			a.note("%s %s", a.err.Paint(term.Red, name+":"), a.short(err))
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// lines writes names and values in two columns.
type lines struct {
	screen *term.Screen
	b      strings.Builder
}

func (l *lines) add(name, value string) {
	if value != "" && value != none {
		fmt.Fprintf(&l.b, "%s  %s\n", l.screen.Paint(term.Dim, term.Pad(name, 11, false)), value)
	}
}

func (a *app) showTask(t *wire.TaskDetail) error {
	l := &lines{screen: a.out}
	l.add("id", a.paint(term.Bold, t.ID))
	l.add("status", a.word(string(t.Status)))
	l.add("type", t.Type)
	l.add("queue", t.Queue+", priority "+string(t.Priority))
	l.add("attempt", fmt.Sprintf("%d of %d, timeout %s", t.Attempt, t.Attempt-t.Retries+t.MaxRetries, showDuration(time.Duration(t.TimeoutMs)*time.Millisecond)))
	l.add("backoff", backoffText(t.Backoff))
	l.add("tags", tagText(t.Tags))
	l.add("worker", term.Clean(workerText(&t.TaskResource)))
	a.taskTimes(l, &t.TaskResource)
	if t.Progress != nil {
		l.add("progress", term.Clean(t.Progress.String()))
	}
	if t.Error != nil {
		l.add("error", fmt.Sprintf("%s (%s, attempt %d, %s)", a.paint(term.Red, term.Clean(t.Error.Message)), t.Error.Code, t.Error.Attempt, showTime(t.Error.At)))
	}
	l.add("payload", payloadText(t))
	if t.Status == wire.StatusCompleted {
		l.add("result", clipJSON(t.Result))
	}
	a.history(l, t)
	_, err := a.out.Write([]byte(l.b.String()))
	return err
}

func (a *app) taskTimes(l *lines, t *wire.TaskResource) {
	l.add("submitted", showTime(t.SubmittedAt))
	l.add("due", showTime(t.ScheduledFor))
	l.add("deadline", showTime(t.Deadline))
	if t.StartedAt > 0 {
		l.add("started", showTime(t.StartedAt)+" after waiting "+showMs(t.WaitTimeMs))
	}
	if t.FinishedAt > 0 {
		finished := showTime(t.FinishedAt)
		if t.ExecutionTimeMs != nil {
			finished += " after running " + showMs(t.ExecutionTimeMs)
		}
		l.add("finished", finished)
		l.add("kept until", showTime(t.FinishedAt+wire.Time(t.RetentionMs)))
	}
}

func (a *app) history(l *lines, t *wire.TaskDetail) {
	if len(t.History) == 0 {
		return
	}
	l.b.WriteString("\n")
	for _, e := range t.History {
		l.b.WriteString(a.eventLine(&e) + "\n")
	}
	if t.HistoryTruncated {
		l.b.WriteString(a.paint(term.Dim, "Some of the events are no longer kept.") + "\n")
	}
}

func backoffText(b wire.Backoff) string {
	return fmt.Sprintf("%s from %s to %s, jitter %g", b.Policy,
		time.Duration(b.BaseMs)*time.Millisecond, time.Duration(b.MaxMs)*time.Millisecond, b.Jitter)
}

func tagText(tags map[string]string) string {
	parts := make([]string, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		parts = append(parts, key+"="+tags[key])
	}
	return term.Clean(strings.Join(parts, " "))
}

func workerText(t *wire.TaskResource) string {
	if t.Worker == "" || t.Pool == "" {
		return string(t.Worker)
	}
	return string(t.Worker) + " of pool " + string(t.Pool)
}

func payloadText(t *wire.TaskDetail) string {
	if t.PayloadExpired {
		return "no longer kept"
	}
	return clipJSON(t.Payload)
}

// jsonShown is how much of a payload or result is shown to people; --json has it all.
const jsonShown = 2000

func clipJSON(raw json.RawMessage) string {
	text := term.Clean(string(raw))
	if len(raw) > jsonShown {
		return term.Clip(text, jsonShown) + fmt.Sprintf(" (%s in all; --json shows it whole)", plural(len(raw), "byte"))
	}
	return text
}
