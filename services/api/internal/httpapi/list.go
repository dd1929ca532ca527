package httpapi

import (
	"context"
	"encoding/json"
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
	for _, s := range p.list("tag") {
		k, v, ok := strings.Cut(s, ":")
		if !ok || !tagKey(k) {
			p.fail("tag", s, "must be of the form key:value, the key 1 to 32 of A-Z a-z 0-9 _ . -")
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

// bulkAction is what is done to many tasks at once.
type bulkAction struct {
	name, subject string
	// applies tells whether it can be done to a task.
	applies func(*wire.Record) bool
}

var (
	actionCancel = bulkAction{"cancel", wire.SubjectRequestCancel, func(r *wire.Record) bool { return !r.Status.Ended() }}
	actionRetry  = bulkAction{"retry", wire.SubjectRequestRetry, func(r *wire.Record) bool {
		return r.Status == wire.StatusFailed || r.Status == wire.StatusCancelled
	}}
	actionDelete = bulkAction{"delete", wire.SubjectRequestDelete, func(r *wire.Record) bool { return r.Status.Ended() }}
)

// bulk answers POST /tasks/cancel, /retry and /delete.
func (s *Server) bulk(a bulkAction) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := readParams(c).err(); err != nil {
			return err
		}
		fields, err := s.readObject(c, "a bulk action", append(slices.Clone(filterNames), "dryRun")...)
		if err != nil {
			return err
		}
		p, dryRun := filterParams(fields)
		filter := readFilter(p)
		if err := p.err(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), largeTimeout)
		defer cancel()
		ids, err := s.matching(ctx, a, filter)
		if err != nil {
			return err
		}
		if !dryRun {
			if err := s.commandAll(ctx, c, a, ids, fields); err != nil {
				return err
			}
		}
		return answer(c, http.StatusAccepted, wire.MatchedAnswer{Matched: len(ids)})
	}
}

// filterParams turns the filters of a body, strings or arrays of them, into those of a query.
func filterParams(fields map[string]json.RawMessage) (p *params, dryRun bool) {
	p = &params{values: map[string]string{}, many: map[string][]string{}}
	for _, name := range filterNames {
		given, ok := fields[name]
		if !ok || string(given) == "null" {
			continue
		}
		var one string
		var many []string
		switch {
		case json.Unmarshal(given, &one) == nil:
			p.values[name] = one
		case json.Unmarshal(given, &many) == nil && name != "q":
			if many = slices.DeleteFunc(many, func(s string) bool { return s == "" }); len(many) > 0 {
				p.many[name] = many
			}
		default:
			p.faults = append(p.faults, wire.Fault{Field: name, Value: clipValue(given), Rule: "must be a string or an array of strings"})
			continue
		}
		if p.values[name] == "" {
			delete(p.values, name)
		}
	}
	if given, ok := fields["dryRun"]; ok && json.Unmarshal(given, &dryRun) != nil {
		p.faults = append(p.faults, wire.Fault{Field: "dryRun", Value: clipValue(given), Rule: "must be true or false"})
	}
	if len(p.values)+len(p.many) == 0 && len(p.faults) == 0 {
		p.faults = append(p.faults, wire.Fault{Rule: "must name at least one filter: " + strings.Join(filterNames, ", ")})
	}
	return p, dryRun
}

// matching lists the ids of the tasks to which an action can be applied.
func (s *Server) matching(ctx context.Context, a bulkAction, f Filter) ([]string, error) {
	kept := uint64(0)
	if a.name == actionRetry.name {
		var err error
		if kept, err = s.store.firstSubmission(ctx); err != nil {
			return nil, unavailable("nothing was done: %s", err)
		}
	}
	var ids []string
	for _, rec := range s.model.Match(f) {
		if a.applies(rec) && (rec.Meta.SubmitSeq >= kept || rec.Meta.PayloadObject != "") {
			ids = append(ids, rec.ID)
		}
	}
	return ids, nil
}

func (s *Server) commandAll(ctx context.Context, c *fiber.Ctx, a bulkAction, ids []string, filter map[string]json.RawMessage) error {
	if len(ids) == 0 {
		return nil
	}
	sent := 0
	for part := range slices.Chunk(ids, wire.MaxIDsPerCommand) {
		body, err := json.Marshal(wire.Command{IDs: part})
		if err != nil {
			return fmt.Errorf("encode the command: %w", err)
		}
		if err := s.store.command(ctx, a.subject, actor(c), body); err != nil {
			s.audit(c, "tasks."+a.name, fmt.Sprintf("%d tasks", sent), filter)
			return unavailable("%d of %d tasks were asked for, then: %s", sent, len(ids), err)
		}
		sent += len(part)
	}
	s.audit(c, "tasks."+a.name, fmt.Sprintf("%d tasks", sent), filter)
	return nil
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
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
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
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	out, err := s.model.Series(ctx, window, step)
	if err != nil {
		return unavailable("%s", err)
	}
	return answer(c, http.StatusOK, out)
}
