package readmodel

import (
	"slices"
	"sync"

	"github.com/batuta-tasks/batuta/services/api/internal/live"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// changes keeps what the live feed is to tell, within the bounds of its messages: what is too
// much pushes out what is oldest. Records stay as they came until they are taken.
type changes struct {
	mu sync.Mutex
	on bool
	// tasks is a ring of the tasks changed last; at says where each id stands in it.
	tasks   []changedTask
	next    int
	at      map[string]int
	removed []string
	events  []rawEvent
}

type changedTask struct {
	id   string
	data []byte
	rec  *wire.Record
}

func (c *changes) collect(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
	c.reset()
}

func (c *changes) reset() {
	c.tasks, c.next, c.at, c.removed, c.events = nil, 0, map[string]int{}, nil, nil
}

// upsert notes that a task has changed: to a record as stored, or to one that is not yet.
func (c *changes) upsert(t changedTask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return
	}
	if i, known := c.at[t.id]; known {
		c.tasks[i] = changedTask{} // it moves to the end
	}
	if len(c.tasks) < 2*live.MaxTasks {
		c.tasks = append(c.tasks, changedTask{})
	}
	if old := c.tasks[c.next].id; old != "" {
		delete(c.at, old)
	}
	c.tasks[c.next], c.at[t.id] = t, c.next
	c.next = (c.next + 1) % (2 * live.MaxTasks)
}

func (c *changes) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return
	}
	if i, known := c.at[id]; known {
		c.tasks[i] = changedTask{}
		delete(c.at, id)
	}
	if len(c.removed) >= live.MaxRemoved {
		c.removed = slices.Delete(c.removed, 0, live.MaxRemoved/2)
	}
	c.removed = append(c.removed, id)
}

func (c *changes) happened(events []rawEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return
	}
	c.events = append(c.events, events...)
	if surplus := len(c.events) - live.MaxEvents; surplus > 0 {
		c.events = slices.Delete(c.events, 0, surplus)
	}
}

func (c *changes) take() (tasks []changedTask, removed []string, events []rawEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.tasks {
		if t := c.tasks[(c.next+i)%len(c.tasks)]; t.id != "" {
			tasks = append(tasks, t)
		}
	}
	if surplus := len(tasks) - live.MaxTasks; surplus > 0 {
		tasks = tasks[surplus:]
	}
	removed, events = c.removed, c.events
	c.reset()
	return tasks, removed, events
}

// Collect implements live.Source.
func (m *Model) Collect(on bool) { m.changes.collect(on) }

// Changes implements live.Source.
func (m *Model) Changes() live.Changes {
	m.expire()
	tasks, removed, events := m.changes.take()
	out := live.Changes{Events: views(events)}
	upserted := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		rec := t.rec
		if rec == nil {
			var err error
			if rec, err = wire.DecodeRecord(t.data); err != nil {
				continue // the columns refused it as well
			}
		}
		r := wire.NewTaskResource(rec)
		r.ResultOmitted = r.ResultOmitted || len(r.Result) > 0
		r.Result = nil
		out.Upserted = append(out.Upserted, r)
		upserted[t.id] = true
	}
	for _, id := range removed {
		if !upserted[id] { // else it was removed and came again
			out.Removed = append(out.Removed, id)
		}
	}
	return out
}

// NewestTasks implements live.Source.
func (m *Model) NewestTasks(n int) ([]wire.TaskResource, error) {
	page, err := m.Query(Query{Limit: n})
	if err != nil {
		return nil, err
	}
	for i := range page.Tasks {
		t := &page.Tasks[i]
		t.ResultOmitted = t.ResultOmitted || len(t.Result) > 0
		t.Result = nil
	}
	return page.Tasks, nil
}
