package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// ErrCursor is returned by Model.Query for a cursor that it did not give.
var ErrCursor = errors.New("not a cursor of this list")

// Model is what the server needs of the read model.
type Model interface {
	// Ready is nil once the model answers for the whole system, else the reason why not.
	Ready() error
	// Lookup finds a task, whatever API accepted it; nil where there is none.
	Lookup(ctx context.Context, id string) (*wire.Record, error)
	// Earlier finds the task that had an id when a submission under it was stored, given by
	// its sequence and its number in a group; nil where the id was free.
	Earlier(ctx context.Context, id string, seq uint64, member int) (*wire.Record, error)
	// Get is Lookup from what is known here at this moment.
	Get(id string) *wire.Record
	// Accepted makes a task that this API has stored visible at once.
	Accepted(sub *wire.Submission, seq uint64, member int, at wire.Time)
	// Query answers GET /tasks; the error wraps ErrCursor for a cursor that is none.
	Query(q Query) (wire.TaskPage, error)
	// Match lists every task that a filter takes.
	Match(f Filter) []*wire.Record
	Counts() wire.TaskCounts
	Totals() *wire.Totals
	Stats() wire.Stats
	Workers() wire.WorkersAnswer
	Pools() []wire.PoolView
	Queues() []wire.QueueView
	Series(ctx context.Context, window, step time.Duration) (wire.Series, error)
	Events(ctx context.Context, q EventQuery) (wire.EventsAnswer, error)
	// Subscribe begins with a snapshot, or after a message where that is still possible.
	Subscribe(since uint64) Subscription
}

// Subscription is one client of the live feed.
type Subscription interface {
	// Messages are encoded ones; the channel is closed when the client could not keep up.
	Messages() <-chan []byte
	// Reason says why the channel was closed.
	Reason() string
	Close()
}

// Filter takes the tasks that match each of its fields; values of one field are
// alternatives, an empty field takes all.
type Filter struct {
	Status   []wire.Status
	Type     []string
	Queue    []string
	Priority []wire.Priority
	Worker   []string
	Tag      []Tag
	// Prefix of the id.
	Prefix string
}

// Tag is one tag with its value.
type Tag struct{ Key, Value string }

// Query asks for a page of tasks.
type Query struct {
	Filter
	// Sort is submittedAt, priority or executionTimeMs.
	Sort       string
	Descending bool
	Limit      int
	Cursor     string
	Facets     bool
}

// EventQuery asks for a page of events, newest first.
type EventQuery struct {
	Task, Worker string
	Event        []wire.EventName
	Since, Until wire.Time
	Limit        int
	// Before is the position of the last event seen; the zero value is the end.
	Before wire.Position
}
