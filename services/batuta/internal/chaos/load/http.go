package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// overHTTP posts to one of the APIs. A request without an answer may have been accepted: it
// is repeated only where the tasks have ids of their own, else given up and counted.
func (l *Load) overHTTP(ctx context.Context, r *rand.Rand, group []Task) []string {
	for try := 0; ; try++ {
		ids, err := l.post(ctx, l.cfg.APIs[r.IntN(len(l.cfg.APIs))], group)
		var away *apiclient.UnreachableError
		switch {
		case err == nil:
			return ids
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &away) && !away.Sent, apiclient.IsStatus(err, http.StatusServiceUnavailable):
			// it never arrived, or was refused for now
		case errors.As(err, &away), errors.Is(err, context.DeadlineExceeded), apiclient.Passing(err):
			if group[0].ID == "" || len(group) > 1 {
				l.unheard.Add(int64(len(group)))
				return nil
			}
		default:
			l.errs.add(fmt.Errorf("POST /tasks: %w", err))
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return nil
		}
	}
}

func (l *Load) post(ctx context.Context, c *apiclient.Client, group []Task) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	if len(group) == 1 {
		got, err := c.Submit(ctx, mustJSON(group[0].body()))
		if err != nil {
			return nil, err
		}
		return []string{got.Value.ID}, nil
	}
	bodies := make([]map[string]any, len(group))
	for i := range group {
		bodies[i] = group[i].body()
	}
	got, err := c.SubmitAll(ctx, mustJSON(bodies))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(group))
	for i, one := range got.Results {
		if len(one.Errors) > 0 {
			return nil, fmt.Errorf("member %d of a group was refused: %w", i, one.Errors)
		}
		ids[i] = one.ID
	}
	return ids, nil
}

// again submits a task a second time by the other way: it must not run for that.
func (l *Load) again(ctx context.Context, r *rand.Rand, t *Task) {
	if t.HTTP {
		l.overNATS(ctx, r, []Task{*t})
		return
	}
	l.overHTTP(ctx, r, []Task{*t})
}

// collide submits another task under an id that is taken: it must be refused.
func (l *Load) collide(ctx context.Context, r *rand.Rand, t *Task) {
	other := *t
	other.Work.Ms++
	for ctx.Err() == nil {
		_, err := l.post(ctx, l.cfg.APIs[r.IntN(len(l.cfg.APIs))], []Task{other})
		switch {
		case apiclient.IsStatus(err, http.StatusConflict):
			return
		case err == nil:
			l.errs.add(fmt.Errorf("%s was accepted a second time with other content", t.ID))
			return
		}
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// cancel asks for the end of a task until somebody answers; over both ways in turn.
func (l *Load) cancel(ctx context.Context, t *Task, id string) {
	switch t.Kind {
	case Called:
		if !l.awaitRunning(ctx, id) {
			return
		}
	case Recalled:
		if !pause(ctx, time.Second) {
			return
		}
	default: // at once
	}
	r := rand.New(rand.NewPCG(l.cfg.Seed, uint64(len(id))+uint64(t.DelayMs)))
	for ctx.Err() == nil {
		if l.cancelOnce(ctx, r, t, id) {
			l.cfg.Cancelled(id)
			return
		}
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

func (l *Load) cancelOnce(ctx context.Context, r *rand.Rand, t *Task, id string) bool {
	one, stop := context.WithTimeout(ctx, httpTimeout)
	defer stop()
	if !t.HTTP {
		_, err := l.cfg.Publish.JetStream().Publish(one, wire.CancelSubject(id), nil)
		return err == nil
	}
	_, err := l.cfg.APIs[r.IntN(len(l.cfg.APIs))].Act(one, apiclient.ActionCancel, id)
	// What has ended otherwise (its workers were killed too often) cannot be cancelled.
	return err == nil || apiclient.IsStatus(err, http.StatusConflict)
}

// awaitRunning waits for a while until a task runs; it is cancelled then in any case.
func (l *Load) awaitRunning(ctx context.Context, id string) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if !pause(ctx, 500*time.Millisecond) {
			return false
		}
		one, stop := context.WithTimeout(ctx, httpTimeout)
		got, err := l.cfg.APIs[len(id)%len(l.cfg.APIs)].Task(one, id)
		stop()
		if err == nil && (got.Value.Status == wire.StatusInProgress || got.Value.Status.Ended()) {
			return true
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
