package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// stats answers GET /stats.
func (s *Server) stats(c *fiber.Ctx) error {
	return answer(c, http.StatusOK, s.model.Stats())
}

// healthAnswer says that all is well; when it is not, a problem says why.
type healthAnswer struct {
	Status string `json:"status"`
}

// healthz answers GET /healthz: the process is of use.
func (s *Server) healthz(c *fiber.Ctx) error {
	select {
	case <-s.stopping:
		return unavailable("the service stops")
	default:
		return answer(c, http.StatusOK, healthAnswer{"ok"})
	}
}

// readyz answers GET /readyz: requests will be answered.
func (s *Server) readyz(c *fiber.Ctx) error {
	select {
	case <-s.stopping:
		return unavailable("the service stops")
	default:
	}
	if err := s.Ready(); err != nil {
		return unavailable("%s", err)
	}
	return answer(c, http.StatusOK, healthAnswer{"ready"})
}

// favicon is what browsers ask for on pages that name no icon.
func (s *Server) favicon(c *fiber.Ctx) error {
	if a := s.assets["favicon.svg"]; a != nil {
		return a.send(c)
	}
	return c.SendStatus(http.StatusNoContent)
}

// openAPI answers GET /openapi.json.
func (s *Server) openAPI(c *fiber.Ctx) error { return s.openAPIFile.send(c) }

// docs answers GET /docs.
func (s *Server) docs(c *fiber.Ctx) error {
	secureHeaders(c)
	return s.docsPage.send(c)
}

// docsStyle answers GET /docs/style.css.
func (s *Server) docsStyle(c *fiber.Ctx) error { return s.docsCSS.send(c) }
