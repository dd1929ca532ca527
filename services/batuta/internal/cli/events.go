package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// eventPage is the largest page of GET /events, eventPageFirst what a follower asks for
// first: there is mostly little new.
const (
	eventPage      = 1000
	eventPageFirst = 50
)

// eventsCommand is `batuta events`.
type eventsCommand struct {
	*app
	filter       apiclient.EventFilter
	since, until string
	limit        int
	follow       bool
}

func newEvents(a *app) *cobra.Command {
	e := &eventsCommand{app: a}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, and what happens",
		Long: `Show the latest events, oldest first, and with --follow each new one until Ctrl-C. With
--since or --until and no --limit: all events of that time that are still kept.`,
		Example: `  batuta events --follow
  batuta events --task task-104
  batuta events --event task.failed,worker.lost --since 1h
  batuta events --follow --json | jq -r .description`,
		Args: argCount(0, 0, ""),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&e.follow, "follow", "f", false, "go on with new events")
	fs.StringVar(&e.filter.Task, "task", "", "only of this task")
	fs.StringVar(&e.filter.Worker, "worker", "", "only of this worker")
	fs.StringVar(&e.filter.Event, "event", "", "only of these names, such as task.failed (comma = or)")
	fs.StringVar(&e.since, "since", "", "only after this time, or in this duration before now, such as 10m")
	fs.StringVar(&e.until, "until", "", "only before this time, or before this duration ago")
	fs.IntVar(&e.limit, "limit", 50, "the latest so many")
	complete(cmd, "event", fixed(words(wire.EventNames)))
	complete(cmd, "worker", a.workerIDs)
	complete(cmd, "task", a.taskIDs)
	exclusive(cmd, "follow", "until")
	cmd.RunE = a.api(func(ctx context.Context, c *apiclient.Client, _ []string) error {
		if err := e.check(cmd.Flags().Changed("limit")); err != nil {
			return err
		}
		return e.run(ctx, c)
	})
	return a.jsonFlag(cmd)
}

// check reads the times, and drops the default limit where a stretch of time was asked for.
func (e *eventsCommand) check(limited bool) (err error) {
	now := time.Now()
	if err = oneOf("event", e.filter.Event, words(wire.EventNames)); err != nil {
		return err
	}
	if limited && e.limit < 1 {
		return usagef("--limit: %d is not 1 or more", e.limit)
	}
	if e.filter.Since, err = parseTime("since", e.since, now, true); err != nil {
		return err
	}
	if e.filter.Until, err = parseTime("until", e.until, now, true); err != nil {
		return err
	}
	if !limited && (e.since != "" || e.until != "") {
		e.limit = 0
	}
	return nil
}

func (e *eventsCommand) run(ctx context.Context, c *apiclient.Client) error {
	t := &eventTail{client: c}
	if e.follow { // before the list: what comes meanwhile must not be missed
		if err := t.begin(ctx); err != nil {
			return err
		}
	}
	latest, err := e.latest(ctx, c)
	if err != nil {
		return err
	}
	if err := e.print(latest); err != nil || !e.follow {
		return err
	}
	return untilStopped(ctx, e.goOn(ctx, c, t, newest(latest)))
}

// latest reads the newest events that the filter chooses, and gives them oldest first.
func (e *eventsCommand) latest(ctx context.Context, c *apiclient.Client) ([]apiclient.Event, error) {
	var out []apiclient.Event
	for cursor := ""; ; {
		size := eventPage
		if e.limit > 0 {
			size = min(e.limit-len(out), eventPage)
		}
		page, err := c.Events(ctx, e.filter, size, cursor)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Events...)
		if cursor = string(page.NextCursor); cursor == "" || e.limit > 0 && len(out) >= e.limit {
			break
		}
	}
	if e.limit > 0 {
		out = out[:min(len(out), e.limit)]
	}
	slices.Reverse(out)
	return out, nil
}

// goOn prints what comes after the event at shown.
func (e *eventsCommand) goOn(ctx context.Context, c *apiclient.Client, t *eventTail, shown wire.Position) error {
	for range c.Changes(ctx) {
		events, err := t.next(ctx)
		if err != nil && ctx.Err() == nil && !apiclient.Passing(err) {
			return err
		}
		events = slices.DeleteFunc(events, func(v apiclient.Event) bool {
			return !e.matches(&v.Value) || !shown.Before(positionOf(&v.Value))
		})
		if err := e.print(events); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// matches applies the filter to a new event. A follower reads all of them: for the API to
// look for one task's events means to read back until it finds some.
func (e *eventsCommand) matches(v *wire.EventView) bool {
	f := &e.filter
	return (f.Task == "" || string(v.TaskID) == f.Task) && (f.Worker == "" || string(v.WorkerID) == f.Worker) &&
		(f.Event == "" || slices.Contains(strings.Split(f.Event, ","), string(v.Event)))
}

func (e *eventsCommand) print(events []apiclient.Event) error {
	if e.json {
		return printDocs(e.app, events)
	}
	for i := range events {
		if err := e.say("%s", e.eventLine(&events[i].Value)); err != nil {
			return err
		}
	}
	return nil
}

// eventLine is an event on one line.
func (a *app) eventLine(v *wire.EventView) string {
	name := term.Pad(string(v.Event), len("task.reassigned"), false)
	return showTime(v.Timestamp) + "  " + a.paint(eventStyle(v.Event), name) + "  " + term.Clean(v.Description)
}

func eventStyle(e wire.EventName) term.Style {
	switch e {
	case wire.EventCompleted, wire.EventWorkerReady:
		return term.Green
	case wire.EventFailed, wire.EventRejected, wire.EventWorkerLost, wire.EventWorkerHung:
		return term.Red
	case wire.EventReassigned, wire.EventRefused, wire.EventCancelled, wire.EventSystem, wire.EventDuplicate:
		return term.Yellow
	case wire.EventStarted, wire.EventProgress:
		return term.Cyan
	default:
		if strings.HasPrefix(string(e), "task.") {
			return term.Plain
		}
		return term.Magenta
	}
}

// eventTail reads all events that were not read before, oldest first, whatever their
// number: the API gives the newest first, so it reads back to where it stood.
type eventTail struct {
	client *apiclient.Client
	last   wire.Position
}

// begin stands at the newest event there is.
func (t *eventTail) begin(ctx context.Context) error {
	page, err := t.client.Events(ctx, apiclient.EventFilter{}, 1, "")
	if err != nil {
		return err
	}
	t.last = newest(page.Events)
	return nil
}

func (t *eventTail) next(ctx context.Context) ([]apiclient.Event, error) {
	var out []apiclient.Event
	size := eventPageFirst
	for cursor := ""; ; {
		page, err := t.client.Events(ctx, apiclient.EventFilter{}, size, cursor)
		if err != nil {
			return nil, err
		}
		fresh := t.fresh(page.Events)
		out = append(out, fresh...)
		if cursor = string(page.NextCursor); cursor == "" || len(fresh) < len(page.Events) {
			break
		}
		size = min(size*4, eventPage)
	}
	slices.Reverse(out)
	if at := newest(out); t.last.Before(at) {
		t.last = at
	}
	return out, nil
}

// fresh are the events of a page after the last one read.
func (t *eventTail) fresh(page []apiclient.Event) []apiclient.Event {
	for i := range page {
		if !t.last.Before(positionOf(&page[i].Value)) {
			return page[:i]
		}
	}
	return page
}

// newest is the last position among events.
func newest(events []apiclient.Event) wire.Position {
	var last wire.Position
	for i := range events {
		if at := positionOf(&events[i].Value); last.Before(at) {
			last = at
		}
	}
	return last
}

// positionOf is zero for an event without one.
func positionOf(v *wire.EventView) wire.Position {
	at, err := wire.ParsePosition(v.Seq)
	if err != nil {
		return wire.Position{}
	}
	return at
}
