package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	logLimitDefault = 200
	logLimitMax     = 1000
)

func itoa(n int) string { return strconv.Itoa(n) }

// task finds the task that a path names, or is a 404.
func (s *Server) task(ctx context.Context, c *fiber.Ctx) (*wire.Record, error) {
	id := c.Params("id")
	rec, err := s.lookup(ctx, id)
	if err == nil && rec == nil {
		err = notFound("task", id)
	}
	return rec, err
}

// getTask answers GET /tasks/:id.
func (s *Server) getTask(c *fiber.Ctx) error {
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	rec, err := s.task(ctx, c)
	if err != nil {
		return err
	}
	d := &detail{rec: rec}
	if err := s.fill(ctx, d); err != nil {
		d.close()
		return unavailable("a part of the task could not be read: %s", err)
	}
	return d.answer(c)
}

// detail is a task with all its parts; large ones are streams.
type detail struct {
	rec             *wire.Record
	payload, result *document
	payloadExpired  bool
	history         []wire.EventView
	trimmed         bool
}

func inMemory(b []byte) *document {
	if len(b) == 0 {
		b = []byte("null")
	}
	return &document{Reader: bytes.NewReader(b), size: int64(len(b)), close: func() {}}
}

func (d *detail) close() {
	for _, doc := range []*document{d.payload, d.result} {
		if doc != nil {
			doc.close()
		}
	}
}

func (s *Server) fill(ctx context.Context, d *detail) (err error) {
	m := &d.rec.Meta
	if d.history, d.trimmed, err = s.store.history(ctx, m.History); err != nil {
		return err
	}
	d.trimmed = d.trimmed || m.HistoryTruncated
	if d.result = inMemory(d.rec.Result); m.ResultObject != "" {
		if d.result, err = s.store.object(m.ResultObject); errors.Is(err, errGone) {
			d.result, err = inMemory(nil), nil
		}
		if err != nil {
			return err
		}
	}
	if d.payload, err = s.store.payload(ctx, m); errors.Is(err, errGone) {
		d.payload, d.payloadExpired, err = inMemory(nil), true, nil
	}
	return err
}

// answer writes the resource around payload and result, which go out exactly as they came:
// an encoder would drop their white space, and hold large ones in memory.
func (d *detail) answer(c *fiber.Ctx) error {
	r := wire.NewTaskResource(d.rec)
	r.Result, r.ResultOmitted = nil, false
	resource, err := wire.EncodeHTTP(r)
	if err != nil {
		d.close()
		return fmt.Errorf("encode the task: %w", err)
	}
	rest, err := wire.EncodeHTTP(struct {
		PayloadExpired   bool             `json:"payloadExpired"`
		History          []wire.EventView `json:"history"`
		HistoryTruncated bool             `json:"historyTruncated"`
	}{d.payloadExpired, d.history, d.trimmed})
	if err != nil {
		d.close()
		return fmt.Errorf("encode the task: %w", err)
	}
	head, tail := cutResult(resource)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Status(http.StatusOK)
	parts := []*document{inMemory(head), d.result, inMemory(tail), inMemory([]byte(`,"payload":`)), d.payload, inMemory([]byte(",")), inMemory(rest[1:])}
	c.Context().SetBodyStream(newParts(parts), sizeOf(parts))
	return nil
}

// cutResult splits an encoded resource where the result belongs, and leaves the end open.
// No string in it can look like the mark, since its quotes would be escaped.
func cutResult(resource []byte) (head, tail []byte) {
	mark := []byte(`"result":null`)
	at := bytes.Index(resource, mark) + len(mark)
	return resource[:at-len("null")], resource[at : len(resource)-1]
}

// partsReader reads documents one after the other and closes them all.
type partsReader struct {
	io.Reader
	parts []*document
}

func newParts(parts []*document) *partsReader {
	readers := make([]io.Reader, len(parts))
	for i, p := range parts {
		readers[i] = p.Reader
	}
	return &partsReader{Reader: io.MultiReader(readers...), parts: parts}
}

func sizeOf(parts []*document) int {
	n := int64(0)
	for _, p := range parts {
		n += p.size
	}
	return int(n)
}

// Close implements io.Closer.
func (p *partsReader) Close() error {
	for _, one := range p.parts {
		one.close()
	}
	return nil
}

// taskLogs answers GET /tasks/:id/logs.
func (s *Server) taskLogs(c *fiber.Ctx) error {
	p := readParams(c, "limit", "cursor")
	limit := p.integer("limit", 1, logLimitMax, logLimitDefault)
	var from wire.Position
	if cursor := p.text("cursor"); cursor != "" {
		var err error
		if from, err = wire.ParsePosition(cursor); err != nil {
			p.fail("cursor", cursor, "must be the nextCursor of an earlier answer")
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	rec, err := s.task(ctx, c)
	if err != nil {
		return err
	}
	lines, next, err := s.store.logLines(ctx, rec.ID, from, limit)
	if err != nil {
		return unavailable("%s", err)
	}
	page := wire.LogPage{Logs: lines}
	if next.Seq > 0 {
		page.NextCursor = wire.Text(next.String())
	}
	return answer(c, http.StatusOK, page)
}

// textField is a required string of a body, faults those found before.
func textField(fields map[string]json.RawMessage, name string, faults wire.Faults) (string, wire.Faults) {
	var v string
	if err := json.Unmarshal(fields[name], &v); err != nil || v == "" {
		faults = append(faults, wire.Fault{Field: name, Rule: "is required: a string"})
	}
	return v, faults
}
