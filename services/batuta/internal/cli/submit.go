package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// fullPatience is how long a submission is repeated while the API says that it
	// accepts nothing just now.
	fullPatience = 30 * time.Second
	// fullWait is the pause between two tries where the API does not say.
	fullWait = time.Second
)

// submitCommand is `batuta submit`.
type submitCommand struct {
	*app
	flags submitFlags
	wait  bool
}

func newSubmit(a *app) *cobra.Command {
	s := &submitCommand{app: a}
	cmd := &cobra.Command{
		Use:   "submit TYPE | -",
		Short: "Submit a task, or many from stdin",
		Long: `Submit a task of the given type and print its id. What is printed was accepted: it is
on disk and will reach an end, whatever stops or dies.

With - instead of a type, each line of stdin is a task: a JSON object with "type" and all
that GET /openapi.json has for one. Flags then hold for the tasks that do not say
otherwise. Ids are printed in the order of the lines; lines that are refused are named on
stderr with the reason, and the exit status is 1.

With --wait the result is printed as JSON once the task has completed. Where it fails or is
cancelled the exit status is 1.`,
		Example: `  batuta submit sleep --payload '{"ms": 1000}'
  batuta submit csv.stats --payload @request.json --priority high --wait
  batuta submit report --delay 10m --max-retries 5 --backoff linear --tag team=sales
  echo '{"type": "sleep", "payload": {"ms": 5}}' | batuta submit -
  batuta submit - --queue imports < tasks.jsonl > ids.txt`,
		Args:              argCount(1, 1, "the task's type"),
		RunE:              a.api(s.run),
		ValidArgsFunction: fixed([]string{"sleep", "hash", "http", "exec", "csv.stats", "image.resize", "gzip"}),
	}
	cmd.Flags().SortFlags = false
	s.flags.register(a, cmd)
	cmd.Flags().BoolVar(&s.wait, "wait", false, "wait for the end of the task and print its result")
	return a.jsonFlag(cmd)
}

func (s *submitCommand) run(ctx context.Context, c *apiclient.Client, args []string) error {
	if args[0] == "-" {
		return s.lines(ctx, c)
	}
	body, err := s.flags.task(args[0], s.in)
	if err != nil {
		return err
	}
	var task apiclient.Submitted
	err = s.patiently(ctx, func() error {
		task, err = c.Submit(ctx, body)
		return err
	})
	if err != nil {
		return s.submitFailed(err)
	}
	if task.Value.Duplicate {
		s.note("%s exists with the same content: nothing new was submitted (it is %s)", task.Value.ID, task.Value.Status)
	}
	return s.submitted(ctx, c, task)
}

func (s *submitCommand) submitted(ctx context.Context, c *apiclient.Client, task apiclient.Submitted) error {
	switch {
	case s.wait:
		return s.await(ctx, c, []string{task.Value.ID})
	case s.json:
		return s.printRaw(task.Raw)
	}
	return s.say("%s", task.Value.ID)
}

// patiently repeats a submission while the API answers that it has accepted nothing and
// asks to come again. What may have been accepted is never sent twice.
func (s *submitCommand) patiently(ctx context.Context, submit func() error) error {
	for end := time.Now().Add(fullPatience); ; {
		err := submit()
		var status *apiclient.StatusError
		if !errors.As(err, &status) || !refusedForNow(status) || time.Now().After(end) {
			return err
		}
		wait := status.RetryAfter
		if wait == 0 {
			wait = fullWait
		}
		s.note("%s; trying again in %s", s.short(err), showDuration(wait))
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func refusedForNow(e *apiclient.StatusError) bool {
	return (e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests) && e.Code == ""
}

// submitFailed adds what is known of the task's fate.
func (s *submitCommand) submitFailed(err error) error {
	var away *apiclient.UnreachableError
	if errors.As(err, &away) && away.Sent {
		return fmt.Errorf("%s; the task may have been accepted: with an --id it can be submitted again safely", s.short(err))
	}
	return err
}

// await follows tasks to their end and prints what came out.
func (s *submitCommand) await(ctx context.Context, c *apiclient.Client, ids []string) error {
	f := newFollower(s.app, c, ids)
	err := f.run(ctx)
	if ctx.Err() != nil {
		s.note("no longer waiting; %s on: 'batuta watch %s' follows", goes(len(ids)), ids[0])
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.printEnd(f.tasks[id], len(ids) > 1); err != nil {
			return err
		}
	}
	return f.outcome()
}

func goes(n int) string {
	if n == 1 {
		return "the task goes"
	}
	return plural(n, "task") + " go"
}

// printEnd prints the result on its own where one task was waited for, else a line that
// names the task too.
func (s *submitCommand) printEnd(t *apiclient.TaskDetail, named bool) error {
	switch {
	case t == nil: // gone, and said so
		return nil
	case s.json:
		return s.printRaw(t.Raw)
	case t.Value.Status != wire.StatusCompleted && named:
		return s.say("%s %s", t.Value.ID, s.word(string(t.Value.Status)))
	case t.Value.Status != wire.StatusCompleted:
		return nil
	case named:
		return s.say("%s %s %s", t.Value.ID, s.word(string(t.Value.Status)), result(t.Value))
	}
	return s.say("%s", result(t.Value))
}

// result is the JSON of a task's result, byte for byte.
func result(t wire.TaskDetail) string {
	if len(t.Result) == 0 {
		return "null"
	}
	return string(t.Result)
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failureLine says how a task ended that did not complete.
func (a *app) failureLine(t wire.TaskDetail) string {
	line := fmt.Sprintf("%s %s", t.ID, a.err.Paint(term.StatusStyle(string(t.Status)), string(t.Status)))
	if e := t.Error; e != nil && t.Status == wire.StatusFailed {
		line += fmt.Sprintf(": %s (%s, attempt %d)", term.Clean(e.Message), e.Code, e.Attempt)
	}
	return line
}
