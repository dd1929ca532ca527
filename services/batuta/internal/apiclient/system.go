package apiclient

import (
	"context"
	"net/url"
	"strconv"

	"github.com/batuta-tasks/batuta/shared/wire"
)

type (
	// Worker is a worker that lives.
	Worker = Doc[wire.WorkerView]
	// EndedWorker is a worker that may have ended.
	EndedWorker = Doc[wire.EndedWorker]
	// Pool is a pool of workers.
	Pool = Doc[wire.PoolView]
	// Queue is a queue with what waits in it.
	Queue = Doc[wire.QueueView]
	// Stats are the global figures.
	Stats = Doc[wire.Stats]
)

// Workers are the living and those that ended lately.
type Workers struct {
	Workers []Worker      `json:"workers"`
	Ended   []EndedWorker `json:"ended"`
}

// EventPage is a page of GET /events, newest first.
type EventPage struct {
	Events     []Event   `json:"events"`
	NextCursor wire.Text `json:"nextCursor"`
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) (Workers, error) {
	var out Workers
	err := c.get(ctx, "/workers/status", nil, &out)
	return out, err
}

// Worker gets one worker.
func (c *Client) Worker(ctx context.Context, id string) (EndedWorker, error) {
	var out EndedWorker
	err := c.get(ctx, "/workers/"+url.PathEscape(id), nil, &out)
	return out, err
}

// Commands to workers.
const (
	CommandDrain = "drain"
	CommandKill  = "kill"
)

// Command drains or kills a worker.
func (c *Client) Command(ctx context.Context, command, worker string) (Doc[wire.ActionAnswer], error) {
	var out Doc[wire.ActionAnswer]
	err := c.post(ctx, "/workers/"+url.PathEscape(worker)+"/"+command, nil, &out)
	return out, err
}

// Pools lists the pools.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) {
	var out struct {
		Pools []Pool `json:"pools"`
	}
	err := c.get(ctx, "/pools", nil, &out)
	return out.Pools, err
}

// Pool gets one pool.
func (c *Client) Pool(ctx context.Context, name string) (Pool, error) {
	var out Pool
	err := c.get(ctx, "/pools/"+url.PathEscape(name), nil, &out)
	return out, err
}

// ChangePool sets min, max or paused of a pool.
func (c *Client) ChangePool(ctx context.Context, name string, change map[string]any) (Pool, error) {
	var out Pool
	err := c.patch(ctx, "/pools/"+url.PathEscape(name), change, &out)
	return out, err
}

// ChangeQueue sets limits of a queue, or its pause.
func (c *Client) ChangeQueue(ctx context.Context, name string, change map[string]any) (Queue, error) {
	var out Queue
	err := c.patch(ctx, "/queues/"+url.PathEscape(name), change, &out)
	return out, err
}

// Queues lists the queues.
func (c *Client) Queues(ctx context.Context) ([]Queue, error) {
	var out struct {
		Queues []Queue `json:"queues"`
	}
	err := c.get(ctx, "/queues", nil, &out)
	return out.Queues, err
}

// Queue gets one queue.
func (c *Client) Queue(ctx context.Context, name string) (Queue, error) {
	var out Queue
	err := c.get(ctx, "/queues/"+url.PathEscape(name), nil, &out)
	return out, err
}

// PauseQueue stops or resumes the handing out of a queue's tasks.
func (c *Client) PauseQueue(ctx context.Context, name string, paused bool) (Queue, error) {
	verb := "resume"
	if paused {
		verb = "pause"
	}
	var out Queue
	err := c.post(ctx, "/queues/"+url.PathEscape(name)+"/"+verb, nil, &out)
	return out, err
}

// Stats gets the global figures.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	var out Stats
	err := c.get(ctx, "/stats", nil, &out)
	return out, err
}

// EventFilter chooses events; empty fields choose all.
type EventFilter struct {
	Task, Worker, Event string
	// Since and Until are times.
	Since, Until wire.Time
}

// Events gets a page of events, newest first; limit 0 is as the API has it.
func (c *Client) Events(ctx context.Context, f EventFilter, limit int, cursor string) (EventPage, error) {
	query := url.Values{}
	set(query, "task", f.Task)
	set(query, "worker", f.Worker)
	set(query, "event", f.Event)
	set(query, "since", f.Since.String())
	set(query, "until", f.Until.String())
	set(query, "cursor", cursor)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var out EventPage
	err := c.get(ctx, "/events", query, &out)
	return out, err
}
