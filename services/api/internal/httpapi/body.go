package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// MaxBody is the largest body of a request.
	MaxBody = wire.MaxPayloadHTTP
	// largeBody is where a body waits for one of largeBodies places, so that a few clients
	// cannot fill the memory.
	largeBody   = 1 << 20
	largeBodies = 2
	// drained is how much of a body that is too large is still read, so that a client that
	// writes before it reads sees the answer and not a broken connection.
	drained = 64 << 20
)

func tooLarge() *wire.Problem {
	return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes (64 MiB)", MaxBody)
}

// readBody reads a JSON body; done gives back what it takes and must be called.
func (s *Server) readBody(c *fiber.Ctx) (body []byte, done func(), err error) {
	done = func() {}
	if err := checkContentType(c); err != nil {
		return nil, done, err
	}
	stream := c.Context().RequestBodyStream()
	if stream == nil {
		body = bytes.Clone(c.Request().Body())
		return body, done, limitBody(len(body))
	}
	length := c.Request().Header.ContentLength()
	if length > MaxBody {
		refuseBody(c, stream)
		return nil, done, tooLarge()
	}
	if body, err = io.ReadAll(io.LimitReader(stream, largeBody)); err != nil || len(body) < largeBody {
		return body, done, bodyError(err)
	}
	select {
	case s.large <- struct{}{}:
		done = func() { <-s.large }
	case <-s.stopping:
		return nil, done, unavailable("the service stops")
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(length, 2*largeBody)+bytes.MinRead))
	buf.Write(body)
	if _, err = buf.ReadFrom(io.LimitReader(stream, MaxBody+1-largeBody)); err != nil {
		return nil, done, bodyError(err)
	}
	if buf.Len() > MaxBody {
		refuseBody(c, stream)
		return nil, done, tooLarge()
	}
	return buf.Bytes(), done, nil
}

func limitBody(n int) error {
	if n > MaxBody {
		return tooLarge()
	}
	return nil
}

func refuseBody(c *fiber.Ctx, stream io.Reader) {
	_, _ = io.CopyN(io.Discard, stream, drained)
	c.Context().SetConnectionClose()
}

func bodyError(err error) error {
	if err == nil {
		return nil
	}
	return problem(http.StatusBadRequest, "the body ends before its length")
}

// checkContentType takes JSON, or a body that does not say what it is: a form is what curl -d
// and Python's urllib say where nobody has said anything. (A page's form cannot be JSON, and
// its origin would be refused.)
func checkContentType(c *fiber.Ctx) error {
	given := string(c.Request().Header.ContentType())
	if given == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(given)
	if err == nil && (kind == fiber.MIMEApplicationJSON || kind == fiber.MIMEApplicationForm || strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return problem(http.StatusUnsupportedMediaType, "the body must be application/json, not %s", clip(given))
}

// readObject reads a small JSON object strictly: only the keys allowed, each once. Faults
// come back with the fields that have none, so that they are told together with what is
// wrong with these; no fields mean that there is no object.
func (s *Server) readObject(c *fiber.Ctx, what string, allowed ...string) (map[string]json.RawMessage, wire.Faults, error) {
	body, done, err := s.readBody(c)
	defer done()
	if err != nil {
		return nil, nil, err
	}
	fields, faults := objectFields(body, what, allowed)
	return fields, faults, nil
}

func objectFields(body []byte, what string, allowed []string) (map[string]json.RawMessage, wire.Faults) {
	if err := syntax(body); err != nil {
		return nil, wire.Faults{{Rule: err.Error()}}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, wire.Faults{{Rule: "must be a JSON object"}}
	}
	fields := map[string]json.RawMessage{}
	var faults wire.Faults
	for dec.More() {
		name, value, err := nextField(dec)
		if err != nil {
			return nil, wire.Faults{{Rule: "must be a JSON object (" + err.Error() + ")"}}
		}
		_, twice := fields[name]
		switch {
		case !slices.Contains(allowed, name):
			faults = append(faults, wire.Fault{Field: name, Value: clipValue(value), Rule: "is not a field of " + what + "; its fields: " + strings.Join(allowed, ", ")})
		case twice:
			faults = append(faults, wire.Fault{Field: name, Value: clipValue(value), Rule: "stands twice"})
		default:
			fields[name] = value
		}
	}
	return fields, faults
}

func nextField(dec *json.Decoder) (string, json.RawMessage, error) {
	tok, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return "", nil, err
	}
	return fmt.Sprint(tok), value, nil
}

// syntax says where a body stops being JSON.
func syntax(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("must be a JSON object, and is empty")
	}
	if !utf8.Valid(body) {
		return errors.New("must be UTF-8")
	}
	if json.Valid(body) {
		return nil
	}
	var value json.RawMessage
	err := json.Unmarshal(body, &value)
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("must be JSON (byte %d: %w)", at.Offset, err)
	}
	return fmt.Errorf("must be JSON (%w)", err)
}

func clipValue(v json.RawMessage) json.RawMessage {
	if len(v) > 256 {
		return json.RawMessage(`"…"`)
	}
	return v
}

// noBody finds fault with a body where none is expected, unless it is empty or an empty object.
func (s *Server) noBody(c *fiber.Ctx) (wire.Faults, error) {
	if c.Context().RequestBodyStream() == nil && len(c.Request().Body()) == 0 {
		return nil, nil
	}
	body, done, err := s.readBody(c)
	defer done()
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil, err
	}
	_, faults := objectFields(body, "this request", nil)
	return faults, nil
}
