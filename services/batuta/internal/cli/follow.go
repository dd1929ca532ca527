package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	followFirst = 10 * time.Millisecond
	followMost  = 500 * time.Millisecond
	// followRest is how much longer than a round of questions the pause after it is, up to
	// followRestMost, so that a task with a large payload does not keep the API busy.
	followRest     = 5
	followRestMost = 2 * time.Second
	// followWindow bounds the tasks of one round. They end about in the order in which they
	// were submitted, so those behind the first open ones need not be asked for yet.
	followWindow = 64
	// followAtOnce bounds concurrent requests.
	followAtOnce = 8
	// followPatience is how long the API may be away: it can be restarted at any time.
	followPatience = 30 * time.Second
)

// follower asks for tasks until they have ended. It is used by one goroutine.
type follower struct {
	*app
	client *apiclient.Client
	ids    []string
	// open are the ids of those that have not ended, in their order.
	open []string
	// tasks has the last that is known of each; without those that do not exist.
	tasks map[string]*apiclient.TaskDetail
	// gone are tasks that do not exist.
	gone map[string]bool
	// changed is told of every change; may be nil.
	changed func(t *apiclient.TaskDetail) error
	// live shows bars on screen; nil where nobody watches.
	live   *term.Live
	screen *term.Screen
	// keep leaves the bars on the screen at the end.
	keep bool
}

func newFollower(a *app, c *apiclient.Client, ids []string) *follower {
	f := &follower{app: a, client: c, ids: ids, open: slices.Clone(ids), tasks: map[string]*apiclient.TaskDetail{}, gone: map[string]bool{}}
	if a.watched() {
		f.show(a.err)
	}
	return f
}

func (f *follower) show(s *term.Screen) { f.live, f.screen = term.NewLive(s), s }

// run returns once all tasks have ended or are found not to exist.
func (f *follower) run(ctx context.Context) error {
	defer f.clear()
	lastAnswer, wait := time.Now(), followFirst
	for len(f.open) > 0 {
		began, before := time.Now(), len(f.open)
		err := f.round(ctx)
		switch {
		case err == nil:
			lastAnswer = time.Now()
		case ctx.Err() != nil || !apiclient.Passing(err) || time.Since(lastAnswer) > followPatience:
			return err
		}
		if failed := f.draw(err); failed != nil {
			return failed
		}
		wait = min(wait*3/2, followMost)
		rest := max(wait, min(followRest*time.Since(began), followRestMost))
		if len(f.open) < before {
			// Others have moved up, and may have ended long ago.
			wait, rest = followFirst, followFirst
		}
		if len(f.open) == 0 {
			break
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
	}
	return nil
}

// answer is what the API said of one task.
type answer struct {
	task apiclient.TaskDetail
	err  error
}

// round asks once for each of the first open tasks.
func (f *follower) round(ctx context.Context) error {
	open := f.open[:min(len(f.open), followWindow)]
	answers := make([]answer, len(open))
	places := make(chan struct{}, followAtOnce)
	var asked sync.WaitGroup
	for i, id := range open {
		places <- struct{}{}
		asked.Go(func() {
			defer func() { <-places }()
			answers[i].task, answers[i].err = f.client.Task(ctx, id)
		})
	}
	asked.Wait()
	var failed error
	for i, id := range open {
		if err := f.take(id, &answers[i]); err != nil {
			failed = err
		}
	}
	f.drop(len(open))
	return failed
}

// drop takes what has ended out of the first n open tasks.
func (f *follower) drop(n int) {
	at := n
	for i := n - 1; i >= 0; i-- {
		if id := f.open[i]; !f.ended(id) {
			at--
			f.open[at] = id
		}
	}
	f.open = f.open[at:]
}

// ended tells whether nothing more can be learned of a task.
func (f *follower) ended(id string) bool {
	t := f.tasks[id]
	return f.gone[id] || t != nil && t.Value.Status.Ended()
}

func (f *follower) take(id string, a *answer) error {
	if apiclient.IsStatus(a.err, http.StatusNotFound) {
		f.gone[id] = true
		if before := f.tasks[id]; before != nil {
			f.tell("%s was deleted", id)
			return nil
		}
		f.tell("there is no task %s", id)
		return nil
	}
	if a.err != nil {
		return a.err
	}
	before := f.tasks[id]
	f.tasks[id] = &a.task
	if f.changed == nil || before != nil && !differs(&before.Value.TaskResource, &a.task.Value.TaskResource) {
		return nil
	}
	return f.changed(&a.task)
}

// differs tells whether something changed that people follow.
func differs(a, b *wire.TaskResource) bool {
	return a.Status != b.Status || a.Attempt != b.Attempt || a.Fence != b.Fence || a.Worker != b.Worker || progressOf(a) != progressOf(b)
}

func progressOf(t *wire.TaskResource) string {
	if t.Progress == nil {
		return ""
	}
	return t.Progress.String()
}

// tell prints a lasting line above the bars.
func (f *follower) tell(format string, args ...any) {
	if f.live != nil {
		_ = f.live.Clear()
	}
	f.note(format, args...)
}

func (f *follower) draw(problem error) error {
	if f.live == nil {
		return nil
	}
	now, most := wire.Now(), f.screen.Height()-2
	var lines []string
	if len(f.ids) <= most {
		lines = f.bars(f.ids, most, now)
	} else { // what still runs is the more interesting
		lines = append([]string{fmt.Sprintf("%s of %s ended", count(len(f.ids)-len(f.open)), plural(len(f.ids), "task"))}, f.bars(f.open, most-1, now)...)
	}
	if problem != nil {
		lines = append(lines, f.screen.Paint(term.Yellow, term.Clip("waiting for the API: "+f.short(problem), f.screen.Width())))
	}
	return f.live.Draw(lines)
}

// bars of at most so many of the tasks.
func (f *follower) bars(ids []string, most int, now wire.Time) []string {
	var lines []string
	for _, id := range ids[:min(len(ids), max(followWindow, most))] {
		if t := f.tasks[id]; t != nil && len(lines) < most {
			lines = append(lines, taskBar(f.screen, &t.Value.TaskResource, now))
		}
	}
	return lines
}

func (f *follower) clear() {
	if f.live != nil && !f.keep {
		_ = f.live.Clear()
	}
}

// outcome is an error where a task did not complete; the reasons are told on stderr.
func (f *follower) outcome() error {
	failed := len(f.gone) > 0
	for _, id := range f.ids {
		t := f.tasks[id]
		if t == nil || t.Value.Status == wire.StatusCompleted || f.gone[id] {
			continue
		}
		failed = true
		f.note("%s", f.failureLine(t.Value))
	}
	if failed {
		return errSaid
	}
	return nil
}

const (
	barWidth  = 26
	wordWidth = len("inProgress")
)

// taskBar is a task on one line of a terminal: id, state, bar, and what there is room for.
func taskBar(s *term.Screen, t *wire.TaskResource, now wire.Time) string {
	id := term.Pad(term.Clip(t.ID, 24), 14, false)
	status := term.Pad(string(t.Status), wordWidth, false)
	line := id + "  " + s.Paint(term.StatusStyle(string(t.Status)), status)
	room := s.Width() - term.Width(id) - 2 - wordWidth
	if bar, ok := barOf(s, t); ok && room > barWidth+2 {
		line, room = line+"  "+bar, room-barWidth-2
	}
	if rest := term.Clip(term.Clean(taskNote(t, now)), room-2); room > 4 && rest != "" {
		line += "  " + rest
	}
	return line
}

func barOf(s *term.Screen, t *wire.TaskResource) (string, bool) {
	switch {
	case t.Status == wire.StatusCompleted:
		return s.Bar(100, barWidth, term.Green), true
	case t.Progress != nil && t.Progress.Percent != nil && t.Status == wire.StatusInProgress:
		return s.Bar(*t.Progress.Percent, barWidth, term.Cyan), true
	}
	return "", false
}

// taskNote says what matters most in a task's present state.
func taskNote(t *wire.TaskResource, now wire.Time) string {
	switch t.Status {
	case wire.StatusInProgress:
		note := since(t.StartedAt, now)
		if p := t.Progress; p != nil && p.Message != "" {
			note += "  " + string(p.Message)
		}
		return note + "  " + t.Type + " on " + orNone(t.Worker)
	case wire.StatusCompleted:
		return showMs(t.ExecutionTimeMs) + "  " + t.Type
	case wire.StatusFailed:
		return errorNote(t)
	case wire.StatusRetrying:
		return fmt.Sprintf("attempt %d %s  %s", t.Attempt, until(t.ScheduledFor, now), errorNote(t))
	case wire.StatusScheduled:
		return "starts " + until(t.ScheduledFor, now) + "  " + t.Type
	case wire.StatusPending:
		return "waiting " + since(max(t.SubmittedAt, t.ScheduledFor), now) + "  " + t.Type + " in " + t.Queue
	case wire.StatusCancelled:
	}
	return t.Type
}

func errorNote(t *wire.TaskResource) string {
	if t.Error == nil {
		return ""
	}
	return string(t.Error.Code) + ": " + t.Error.Message
}

func until(t, now wire.Time) string {
	switch {
	case t == 0:
		return "later"
	case t <= now:
		return "now"
	}
	return "in " + showDuration(t.Sub(now))
}
