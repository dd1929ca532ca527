package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// retryAfterSeconds is what clients are told to wait when the system cannot take more now.
const retryAfterSeconds = 2

func problem(status int, detail string, args ...any) *wire.Problem {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return &wire.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// badInput is a 400 that names every fault.
func badInput(faults wire.Faults) *wire.Problem {
	p := problem(http.StatusBadRequest, "")
	p.Errors = faults
	p.Detail = "the input has a fault: " + faults[0].String()
	if len(faults) > 1 {
		p.Detail = fmt.Sprintf("the input has %d faults, the first: %s", len(faults), faults[0].String())
	}
	return p
}

// fault is one thing wrong with the value of a field.
func fault(field string, value any, rule string) wire.Fault {
	raw, err := json.Marshal(value)
	if err != nil || len(raw) > 256 {
		raw = []byte(`"…"`)
	}
	return wire.Fault{Field: field, Value: raw, Rule: rule}
}

func notFound(kind, id string) *wire.Problem {
	return problem(http.StatusNotFound, "there is no %s %s", kind, clip(id))
}

func conflict(detail string, args ...any) *wire.Problem {
	return problem(http.StatusConflict, detail, args...)
}

// unavailable is a 503. Errors among the arguments are told in words of ours where the
// library's say nothing to a client.
func unavailable(detail string, args ...any) *wire.Problem {
	for i, a := range args {
		if err, ok := a.(error); ok && isAway(err) {
			args[i] = "NATS is not connected"
		}
	}
	return problem(http.StatusServiceUnavailable, detail, args...)
}

// isAway tells whether something failed because there is no connection: what is sent then is
// refused at once, since our connections keep no outbound buffer while they are cut off.
func isAway(err error) bool {
	return errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrConnectionReconnecting)
}

// clip keeps what somebody sent from filling an error message.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

// submitProblem says what became of a submission that was not acknowledged.
func submitProblem(err error) *wire.Problem {
	var p *wire.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, client.ErrUnknownOutcome):
		p = unavailable("NATS did not answer in time; the outcome is unknown: the task may have been accepted. " +
			"Send it again under an id of your own to be safe")
		p.Code = wire.ProblemUnknownOutcome
		return p
	case errors.Is(err, client.ErrFull):
		return unavailable("nothing was accepted: %s", err)
	}
	return unavailable("nothing was accepted: %s", err)
}

// answerError is fiber's error handler: everything that goes wrong becomes a problem.
func (s *Server) answerError(c *fiber.Ctx, err error) error {
	var p *wire.Problem
	var f *fiber.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &f):
		p = fiberProblem(f)
	default:
		s.log.Error("request failed", "method", c.Method(), "path", c.Path(), obs.KeyErr, err)
		p = problem(http.StatusInternalServerError, "an unexpected error; the log of the service has it")
	}
	return writeProblem(c, p)
}

func fiberProblem(f *fiber.Error) *wire.Problem {
	switch {
	case f.Code == http.StatusRequestEntityTooLarge:
		return tooLarge()
	case f.Code < 400 || f.Code == http.StatusInternalServerError:
		return problem(http.StatusInternalServerError, "an unexpected error; the log of the service has it")
	}
	return problem(f.Code, "%s", f.Message)
}

func writeProblem(c *fiber.Ctx, p *wire.Problem) error {
	if p.Status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(retryAfterSeconds))
	}
	body, err := wire.EncodeHTTP(p)
	if err != nil {
		return fmt.Errorf("encode a problem: %w", err)
	}
	c.Set(fiber.HeaderContentType, wire.ProblemType)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(p.Status).Send(body)
}

// answer sends a shape of the contract.
func answer(c *fiber.Ctx, status int, v any) error {
	body, err := wire.EncodeHTTP(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(status).Send(body)
}
