package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// listWorkers answers GET /workers/status.
func (s *Server) listWorkers(c *fiber.Ctx) error {
	return answer(c, http.StatusOK, s.model.Workers())
}

func (s *Server) worker(id string) (wire.WorkerView, error) {
	for _, w := range s.model.Workers().Workers {
		if w.ID == id {
			return w, nil
		}
	}
	return wire.WorkerView{}, notFound("worker", id)
}

// getWorker answers GET /workers/:id.
func (s *Server) getWorker(c *fiber.Ctx) error {
	w, err := s.worker(c.Params("id"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, w)
}

// commandWorker answers POST /workers/:id/drain and /kill.
func (s *Server) commandWorker(command string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := s.plain(c); err != nil {
			return err
		}
		w, err := s.worker(c.Params("id"))
		if err != nil {
			return err
		}
		ctx, cancel := s.within(requestTimeout)
		defer cancel()
		if err := s.store.tellWorker(ctx, w.ID, command); err != nil {
			return unavailable("nothing was done: %s", err)
		}
		s.audit(c, "worker."+command, w.ID, nil)
		return answer(c, http.StatusAccepted, wire.ActionAnswer{ID: w.ID, Status: string(w.Status)})
	}
}
