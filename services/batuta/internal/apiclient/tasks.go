package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Submitted is the answer to a submission of one task.
type Submitted = Doc[wire.DuplicateAnswer]

type (
	// Task is a task as lists show it.
	Task = Doc[wire.TaskResource]
	// TaskDetail is a task with payload and history.
	TaskDetail = Doc[wire.TaskDetail]
	// Event is one thing that happened.
	Event = Doc[wire.EventView]
	// LogLine is a line that a task logged.
	LogLine = Doc[wire.LogLine]
)

// TaskPage is a page of GET /tasks.
type TaskPage struct {
	Tasks      []Task           `json:"tasks"`
	Total      int              `json:"total"`
	NextCursor wire.Text        `json:"nextCursor"`
	Facets     Doc[wire.Facets] `json:"facets"`
}

// LogPage is a page of a task's log, oldest first.
type LogPage struct {
	Logs       []LogLine `json:"logs"`
	NextCursor wire.Text `json:"nextCursor"`
}

// Filter chooses tasks: names and values as the query of GET /tasks has them.
type Filter map[string]string

// Page chooses a part of a list.
type Page struct {
	// Sort as the API has it; empty: newest first.
	Sort string
	// Limit of the page; 0: as the API has it.
	Limit int
	// Cursor of the page before; empty: the first page.
	Cursor string
	// Facets asks for counts too.
	Facets bool
}

// Submit submits one task, given as JSON.
func (c *Client) Submit(ctx context.Context, task []byte) (Submitted, error) {
	var out Submitted
	err := c.post(ctx, "/tasks", task, &out)
	return out, err
}

// SubmitAll submits several tasks, given as a JSON array of up to 10,000. An array of
// which nothing was accepted is an error.
func (c *Client) SubmitAll(ctx context.Context, tasks []byte) (wire.BulkAnswer, error) {
	var out wire.BulkAnswer
	err := c.post(ctx, "/tasks", tasks, &out)
	return out, err
}

// Task gets one task with its payload and history.
func (c *Client) Task(ctx context.Context, id string) (TaskDetail, error) {
	var out TaskDetail
	err := c.get(ctx, taskPath(id), nil, &out)
	return out, err
}

// Tasks gets a page of a list.
func (c *Client) Tasks(ctx context.Context, f Filter, p Page) (TaskPage, error) {
	query := url.Values{}
	for name, value := range f {
		query.Set(name, value)
	}
	set(query, "sort", p.Sort)
	set(query, "cursor", p.Cursor)
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Facets {
		query.Set("facets", "1")
	}
	var out TaskPage
	err := c.get(ctx, "/tasks", query, &out)
	return out, err
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// Logs gets a page of a task's log; an empty cursor begins at the oldest line.
func (c *Client) Logs(ctx context.Context, id, cursor string) (LogPage, error) {
	query := url.Values{}
	set(query, "cursor", cursor)
	var out LogPage
	err := c.get(ctx, taskPath(id)+"/logs", query, &out)
	return out, err
}

// Actions on tasks.
const (
	ActionCancel = "cancel"
	ActionRetry  = "retry"
	ActionDelete = "delete"
)

// Act cancels, retries or deletes one task. The answer to a delete holds nothing but the
// id.
func (c *Client) Act(ctx context.Context, action, id string) (Doc[wire.ActionAnswer], error) {
	if action == ActionDelete {
		return deleted(id), c.do(ctx, request{method: http.MethodDelete, path: taskPath(id)}, nil)
	}
	var out Doc[wire.ActionAnswer]
	err := c.post(ctx, taskPath(id)+"/"+action, nil, &out)
	return out, err
}

func deleted(id string) Doc[wire.ActionAnswer] {
	raw, _ := json.Marshal(map[string]any{"id": id, "deleted": true})
	return Doc[wire.ActionAnswer]{Value: wire.ActionAnswer{ID: id}, Raw: raw}
}

// ActAll cancels, retries or deletes every task that the filter chooses, or only counts
// them.
func (c *Client) ActAll(ctx context.Context, action string, f Filter, dryRun bool) (Doc[wire.MatchedAnswer], error) {
	var out Doc[wire.MatchedAnswer]
	fields := map[string]any{}
	for name, value := range maps.All(f) {
		fields[name] = value
	}
	if dryRun {
		fields["dryRun"] = true
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return out, fmt.Errorf("encode the filter: %w", err)
	}
	err = c.post(ctx, "/tasks/"+action, body, &out)
	return out, err
}

func taskPath(id string) string { return "/tasks/" + url.PathEscape(id) }
