package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	listLimitDefault, listLimitMax   = 50, 1000
	eventLimitDefault, eventLimitMax = 100, 1000

	windowDefault, windowMin, windowMax = 15 * time.Minute, time.Second, 24 * time.Hour
	stepDefault, stepMin, stepMax       = 5 * time.Second, time.Second, 24 * time.Hour
	// mostPoints bounds the steps of one series.
	mostPoints = 20_000
)

// filterNames are the filters of GET /tasks, and of the bodies of bulk actions.
var filterNames = []string{"status", "type", "queue", "priority", "worker", "tag", "q"}

var sortOrders = []string{"submittedAt", "priority", "executionTimeMs"}

// readFilter takes the filters out of a query; faults are gathered in p.
func readFilter(p *params) Filter {
	f := Filter{Type: p.oneOf("type", validTypeFilter, typeFilterRule), Worker: p.list("worker"), Prefix: p.text("q")}
	f.Queue = p.oneOf("queue", wire.ValidQueue, "must be queues: 1 to 32 of A-Z a-z 0-9 _ -")
	for _, s := range p.oneOf("status", func(v string) bool { return wire.Status(v).Valid() }, statusRule) {
		f.Status = append(f.Status, wire.Status(s))
	}
	for _, s := range p.oneOf("priority", func(v string) bool { return wire.Priority(v).Valid() }, "must be of critical, high, medium, low") {
		f.Priority = append(f.Priority, wire.Priority(s))
	}
	for i, s := range p.list("tag") {
		k, v, ok := strings.Cut(s, ":")
		if !ok || !tagKey(k) {
			p.fail(p.path("tag", i), s, "must be of the form key:value, the key 1 to 32 of A-Z a-z 0-9 _ . -")
			continue
		}
		f.Tag = append(f.Tag, Tag{Key: k, Value: v})
	}
	return f
}

const (
	typeFilterRule = "must be types, such as image.resize, or image.* for all below image"
	statusRule     = "must be of scheduled, pending, inProgress, retrying, completed, failed, cancelled"
)

func tagKey(s string) bool {
	return len(s) <= 32 && s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

func validTypeFilter(v string) bool {
	return v == "*" || wire.ValidType(strings.TrimSuffix(v, ".*"))
}

// listTasks answers GET /tasks.
func (s *Server) listTasks(c *fiber.Ctx) error {
	p := readParams(c, append(slices.Clone(filterNames), "sort", "limit", "cursor", "facets")...)
	q := Query{Filter: readFilter(p), Sort: "submittedAt", Descending: true}
	if sort := p.text("sort"); sort != "" {
		q.Sort, q.Descending = strings.TrimPrefix(sort, "-"), strings.HasPrefix(sort, "-")
		if !slices.Contains(sortOrders, q.Sort) {
			p.fail("sort", sort, "must be one of "+strings.Join(sortOrders, ", ")+", or one of them with - before it")
		}
	}
	q.Limit = p.integer("limit", 1, listLimitMax, listLimitDefault)
	q.Facets = p.flag("facets")
	q.Cursor = p.text("cursor")
	if err := p.err(); err != nil {
		return err
	}
	page, err := s.model.Query(q)
	if errors.Is(err, ErrCursor) {
		return badInput(wire.Faults{fault("cursor", q.Cursor, "must be the nextCursor of an earlier answer with the same sort")})
	}
	if err != nil {
		return unavailable("%s", err)
	}
	return answer(c, http.StatusOK, page)
}

// listEvents answers GET /events.
func (s *Server) listEvents(c *fiber.Ctx) error {
	p := readParams(c, "task", "worker", "event", "since", "until", "limit", "cursor")
	q := EventQuery{Task: p.text("task"), Worker: p.text("worker"), Since: p.time("since"), Until: p.time("until")}
	names := p.oneOf("event", func(v string) bool { return slices.Contains(wire.EventNames, wire.EventName(v)) }, "must be names of events, such as task.failed")
	for _, n := range names {
		q.Event = append(q.Event, wire.EventName(n))
	}
	q.Limit = p.integer("limit", 1, eventLimitMax, eventLimitDefault)
	if cursor := p.text("cursor"); cursor != "" {
		var err error
		if q.Before, err = wire.ParsePosition(cursor); err != nil {
			p.fail("cursor", cursor, "must be the nextCursor of an earlier answer")
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	page, err := s.model.Events(ctx, q)
	if err != nil {
		return unavailable("%s", err)
	}
	return answer(c, http.StatusOK, page)
}

// series answers GET /stats/series.
func (s *Server) series(c *fiber.Ctx) error {
	p := readParams(c, "window", "step")
	window := p.duration("window", windowMin, windowMax, windowDefault)
	step := p.duration("step", stepMin, stepMax, stepDefault)
	switch {
	case len(p.faults) > 0:
	case step > window:
		p.fail("step", step.String(), "must not be longer than the window, which is "+window.String())
	case window/step > mostPoints:
		p.fail("step", step.String(), fmt.Sprintf("must give at most %d steps", mostPoints))
	}
	if err := p.err(); err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	out, err := s.model.Series(ctx, window, step)
	if err != nil {
		return unavailable("%s", err)
	}
	return answer(c, http.StatusOK, out)
}
