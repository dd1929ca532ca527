package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// deleteWait is how long DELETE waits until the record is gone.
	deleteWait = 5 * time.Second
	deletePoll = 10 * time.Millisecond
)

// actor is who asks, as commands carry it.
func actor(c *fiber.Ctx) string {
	who := whoIs(c)
	return fmt.Sprintf("%s (%s) from %s", who.Name, who.Role, remote(c))
}

func remote(c *fiber.Ctx) string { return c.Context().RemoteIP().String() }

// audit tells who did what, and what else follows from it. It does not wait: an action must
// not fail because the stream of events is full.
func (s *Server) audit(c *fiber.Ctx, action, target string, change any, more ...wire.Event) {
	who := whoIs(c)
	data := wire.EventData{Action: action, Target: target, Actor: who.Name, Role: who.Role.String(), Remote: remote(c)}
	if change != nil {
		raw, err := json.Marshal(change)
		if err != nil {
			s.log.Error("encode a change", obs.KeyErr, err)
		}
		data.Change = raw
	}
	events := []wire.Event{wire.NewEvent(wire.Event{Event: wire.EventAudit, Data: data})}
	events = append(events, more...)
	s.events.PublishAsync(func(err error) {
		if err != nil {
			s.log.Error("an audit event was not stored", "action", action, "target", target, "actor", who.Name, obs.KeyErr, err)
		}
	}, events...)
}

// command sends a command, or is a 503.
func (s *Server) command(ctx context.Context, c *fiber.Ctx, subject string, body []byte) error {
	if err := s.store.command(ctx, subject, actor(c), body); err != nil {
		return unavailable("nothing was done: %s", err)
	}
	return nil
}

// plain refuses a query and a body where none is expected.
func (s *Server) plain(c *fiber.Ctx) error {
	query := readParams(c)
	faults, err := s.noBody(c)
	if err != nil {
		return err
	}
	return query.with(faults)
}

// cancelTask answers POST /tasks/:id/cancel.
func (s *Server) cancelTask(c *fiber.Ctx) error {
	if err := s.plain(c); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	rec, err := s.task(ctx, c)
	if err != nil {
		return err
	}
	if rec.Status.Ended() && rec.Status != wire.StatusCancelled {
		return conflict("the task %s has ended: it is %s", rec.ID, rec.Status)
	}
	if rec.Status != wire.StatusCancelled {
		if err := s.command(ctx, c, wire.CancelSubject(rec.ID), nil); err != nil {
			return err
		}
		s.audit(c, "task.cancel", rec.ID, nil)
	}
	return answer(c, http.StatusAccepted, wire.ActionAnswer{ID: rec.ID, Status: string(rec.Status)})
}

// retryTask answers POST /tasks/:id/retry.
func (s *Server) retryTask(c *fiber.Ctx) error {
	if err := s.plain(c); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	rec, err := s.task(ctx, c)
	if err != nil {
		return err
	}
	if rec.Status != wire.StatusFailed && rec.Status != wire.StatusCancelled {
		return conflict("the task %s is %s: only failed and cancelled ones can be retried", rec.ID, rec.Status)
	}
	there, err := s.store.hasPayload(ctx, &rec.Meta)
	if err != nil {
		return unavailable("nothing was done: whether the payload is kept could not be found out: %s", err)
	}
	if !there {
		p := conflict("the payload of the task %s is no longer kept, so it cannot run again: submit it anew", rec.ID)
		p.Code = wire.ProblemPayloadExpired
		return p
	}
	if err := s.command(ctx, c, wire.RetrySubject(rec.ID), nil); err != nil {
		return err
	}
	s.audit(c, "task.retry", rec.ID, nil)
	return answer(c, http.StatusAccepted, wire.ActionAnswer{ID: rec.ID, Status: string(rec.Status)})
}

// deleteTask answers DELETE /tasks/:id, once the task is gone.
func (s *Server) deleteTask(c *fiber.Ctx) error {
	if err := s.plain(c); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	rec, err := s.task(ctx, c)
	if err != nil {
		return err
	}
	if !rec.Status.Ended() {
		return conflict("the task %s has not ended: it is %s; cancel it first", rec.ID, rec.Status)
	}
	body, err := json.Marshal(wire.Command{IDs: []string{rec.ID}})
	if err != nil {
		return fmt.Errorf("encode the command: %w", err)
	}
	if err := s.command(ctx, c, wire.SubjectRequestDelete, body); err != nil {
		return err
	}
	s.audit(c, "task.delete", rec.ID, nil)
	return s.untilGone(ctx, c, rec)
}

func (s *Server) untilGone(ctx context.Context, c *fiber.Ctx, was *wire.Record) error {
	ctx, cancel := context.WithTimeout(ctx, deleteWait)
	defer cancel()
	tick := time.NewTicker(deletePoll)
	defer tick.Stop()
	for {
		rec := s.model.Get(was.ID)
		if rec == nil || rec.Meta.SubmitSeq != was.Meta.SubmitSeq {
			return c.SendStatus(http.StatusNoContent)
		}
		if !rec.Status.Ended() {
			return conflict("the task %s was retried meanwhile: it is %s", rec.ID, rec.Status)
		}
		select {
		case <-tick.C:
		case <-s.stopping:
			return unavailable("the deletion of %s was accepted; the service stops before it is done", was.ID)
		case <-ctx.Done():
			return unavailable("the deletion of %s was accepted, but is not done yet: the scheduler or the recorder lags", was.ID)
		}
	}
}
