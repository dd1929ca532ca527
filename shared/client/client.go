package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Client submits tasks over NATS. Safe for concurrent use.
type Client struct {
	js     jetstream.JetStream
	submit *Submitter

	mu      sync.Mutex
	objects jetstream.ObjectStore // opened for the first large payload
}

// openTimeout bounds the opening of the object store.
const openTimeout = 5 * time.Second

// New makes a client on a connection, which stays the caller's. The connection should not
// buffer while it is cut off (nats.ReconnectBufSize(-1), as by natsx.Connect): what is
// buffered is sent later than those who wait for it believe.
func New(nc *nats.Conn) (*Client, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{js: js}
	c.submit = NewSubmitter(js, nil)
	return c, nil
}

// Close takes nothing more, stores what waits, and returns when that is done.
func (c *Client) Close() { c.submit.Close() }

// Submit stores a task, by ctx's deadline, 30 seconds where it has none. Without an error
// the task is durably accepted. ErrUnknownOutcome says that it may be; to ask again without
// running it twice, give it an ID of its own. Other errors say that it is not: an
// *InvalidError, ErrFull, ErrNotStored, ErrStopped.
func (c *Client) Submit(ctx context.Context, t Task) (Stored, error) {
	it, err := c.item(ctx, &t)
	if err != nil {
		return Stored{}, err
	}
	c.submit.store([]*item{it})
	c.dropObject(it) //nolint:contextcheck // to be done also where ctx has ended
	return it.stored, it.err
}

// ManyError is returned by SubmitMany where some tasks were not stored: why, by their index.
type ManyError map[int]error

// Error tells how many, and one of the reasons.
func (e ManyError) Error() string {
	for _, err := range e {
		return fmt.Sprintf("%d tasks were not stored, one of them because: %v", len(e), err)
	}
	return "every task was stored"
}

// Unwrap lists the reasons.
func (e ManyError) Unwrap() []error {
	all := make([]error, 0, len(e))
	for _, err := range e {
		all = append(all, err)
	}
	return all
}

// SubmitMany stores tasks with as few messages as hold them, and returns where each stands.
// It is not atomic: the error is a ManyError with what was not stored, as Submit tells it.
func (c *Client) SubmitMany(ctx context.Context, tasks []Task) ([]Stored, error) {
	stored, failed := make([]Stored, len(tasks)), ManyError{}
	items, places := make([]*item, 0, len(tasks)), make([]int, 0, len(tasks))
	for i := range tasks {
		it, err := c.item(ctx, &tasks[i])
		if err != nil {
			failed[i] = err
			continue
		}
		items, places = append(items, it), append(places, i)
	}
	c.submit.store(items)
	for n, it := range items {
		c.dropObject(it) //nolint:contextcheck // to be done also where ctx has ended
		if stored[places[n]] = it.stored; it.err != nil {
			failed[places[n]] = it.err
		}
	}
	if len(failed) > 0 {
		return stored, failed
	}
	return stored, nil
}

// item encodes a task. A payload too large for a message is stored apart first.
func (c *Client) item(ctx context.Context, t *Task) (*item, error) {
	payload, err := t.payload()
	if err != nil {
		return nil, err
	}
	body := t.encode(payload)
	if err := t.check(body, payload); err != nil {
		return nil, err
	}
	if len(payload) > wire.MaxPayload || len(body)+2 > c.submit.maxBytes {
		return c.large(ctx, t, body)
	}
	return &item{body: body, id: t.ID, subject: wire.SubmitSubject(t.Type), deadline: deadlineOf(ctx)}, nil
}

func (c *Client) large(ctx context.Context, t *Task, body []byte) (*item, error) {
	sub, err := t.submission(body)
	if err != nil {
		return nil, err
	}
	objects, err := c.objectStore(ctx)
	if err != nil {
		return nil, err
	}
	if err := storePayload(ctx, c.js, objects, sub); err != nil {
		return nil, err
	}
	return &item{
		body: t.encode(nil), header: objectHeader(sub), id: t.ID, subject: wire.SubmitSubject(t.Type), deadline: deadlineOf(ctx),
	}, nil
}

// objectStore is opened once.
func (c *Client) objectStore(ctx context.Context) (jetstream.ObjectStore, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects != nil {
		return c.objects, nil
	}
	one, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	objects, err := c.js.ObjectStore(one, wire.BucketObjects)
	if err != nil {
		return nil, fmt.Errorf("%w: open %s for a large payload: %w", ErrNotStored, wire.BucketObjects, err)
	}
	c.objects = objects
	return objects, nil
}

// dropObject removes the payload of a task that was certainly not stored.
func (c *Client) dropObject(it *item) {
	name := it.header.Get(wire.HeaderPayloadObject)
	if name == "" || it.err == nil || errors.Is(it.err, ErrUnknownOutcome) {
		return
	}
	dropObject(c.objects, name)
}
