package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
)

// logsPause is between two looks for new lines.
const logsPause = 500 * time.Millisecond

func newLogs(a *app) *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Show what a task logged",
		Long:  `Show what a task logged while it ran, in all its attempts, oldest first.`,
		Example: `  batuta logs task-104
  batuta logs task-104 --follow`,
		Args:              argCount(1, 1, "the task's id"),
		ValidArgsFunction: a.taskIDs,
		RunE: a.api(func(ctx context.Context, c *apiclient.Client, args []string) error {
			l := &logReader{app: a, client: c, id: args[0]}
			if !follow {
				return l.read(ctx)
			}
			return untilStopped(ctx, l.follow(ctx))
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until the task has ended")
	return a.jsonFlag(cmd)
}

// logReader prints each line of a task's log once.
type logReader struct {
	*app
	client *apiclient.Client
	id     string
	// cursor of the last page, of which skip lines have been printed.
	cursor string
	skip   int
}

// read prints all lines from where the reader stands.
func (l *logReader) read(ctx context.Context) error {
	for {
		page, err := l.client.Logs(ctx, l.id, l.cursor)
		if err != nil {
			return err
		}
		for _, line := range page.Logs[min(l.skip, len(page.Logs)):] {
			if err := l.print(line); err != nil {
				return err
			}
			l.skip++
		}
		if page.NextCursor == "" {
			return nil
		}
		l.cursor, l.skip = string(page.NextCursor), 0
	}
}

func (l *logReader) follow(ctx context.Context) error {
	for lastAnswer := time.Now(); ; {
		ended, err := l.look(ctx)
		switch {
		case err == nil && ended:
			return nil
		case err == nil:
			lastAnswer = time.Now()
		case ctx.Err() != nil || !apiclient.Passing(err) || time.Since(lastAnswer) > followPatience:
			return err
		}
		if err := pause(ctx, logsPause); err != nil {
			return err
		}
	}
}

// look reads the task before its log: a line that came before the end is not missed.
func (l *logReader) look(ctx context.Context) (ended bool, err error) {
	t, err := l.client.Task(ctx, l.id)
	if err != nil {
		return false, err
	}
	return t.Value.Status.Ended(), l.read(ctx)
}

func (l *logReader) print(line apiclient.LogLine) error {
	if l.json {
		return l.printRaw(line.Raw)
	}
	v := line.Value
	level := l.paint(term.StatusStyle(v.Level), term.Pad(strings.ToUpper(v.Level), 5, false))
	attempt := l.paint(term.Dim, fmt.Sprintf("#%d", v.Attempt))
	return l.say("%s  %s  %s  %s", showTime(v.At), attempt, level, cleanLines(v.Message))
}

// cleanLines keeps the lines of a message apart, and makes them safe to show.
func cleanLines(message string) string {
	parts := strings.Split(strings.TrimRight(message, "\n"), "\n")
	for i, p := range parts {
		parts[i] = term.Clean(strings.ReplaceAll(strings.TrimSuffix(p, "\r"), "\t", "    "))
	}
	return strings.Join(parts, "\n    ")
}
