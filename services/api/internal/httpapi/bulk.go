package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

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
		query := readParams(c)
		fields, faults, err := s.readObject(c, "a bulk action", append(slices.Clone(filterNames), "ids", "dryRun")...)
		if err != nil {
			return err
		}
		p, dryRun := filterParams(fields, faults)
		chosen := readIDs(p, fields["ids"])
		filter := readFilter(p)
		if err := query.with(p.faults); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), largeTimeout)
		defer cancel()
		ids, err := s.matching(ctx, a, filter, chosen)
		if err != nil {
			return err
		}
		if !dryRun {
			if err := s.commandAll(ctx, c, a, ids, audited(fields, chosen)); err != nil {
				return err
			}
		}
		return answer(c, http.StatusAccepted, wire.MatchedAnswer{Matched: len(ids)})
	}
}

// filterParams turns the filters of a body, strings or arrays of them, into those of a
// query; faults are those that were found before.
func filterParams(fields map[string]json.RawMessage, faults wire.Faults) (p *params, dryRun bool) {
	p = &params{values: map[string]string{}, many: map[string][]string{}, faults: faults}
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
	if _, byID := fields["ids"]; !byID && len(p.values)+len(p.many) == 0 && len(p.faults) == 0 {
		p.faults = append(p.faults, wire.Fault{Rule: "must name at least one filter: " + strings.Join(filterNames, ", ")})
	}
	return p, dryRun
}

// mostIDs is how many tasks a bulk action can name one by one.
const mostIDs = 10_000

// readIDs takes the tasks that a bulk action names; they stand in place of filters.
func readIDs(p *params, given json.RawMessage) []string {
	if given == nil {
		return nil
	}
	var ids []string
	if json.Unmarshal(given, &ids) != nil || len(ids) == 0 || len(ids) > mostIDs {
		p.faults = append(p.faults, wire.Fault{Field: "ids", Value: clipValue(given), Rule: fmt.Sprintf("must be an array of 1 to %d ids", mostIDs)})
	} else if len(p.values)+len(p.many) > 0 {
		p.faults = append(p.faults, wire.Fault{Field: "ids", Rule: "must stand without filters: it names the tasks one by one"})
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// matching lists the ids of the tasks to which an action can be applied: of those that are
// chosen by id, where there are such, else of those that the filter takes.
func (s *Server) matching(ctx context.Context, a bulkAction, f Filter, chosen []string) ([]string, error) {
	kept := uint64(0)
	if a.name == actionRetry.name {
		var err error
		if kept, err = s.store.firstSubmission(ctx); err != nil {
			return nil, unavailable("nothing was done: %s", err)
		}
	}
	var ids []string
	for _, rec := range s.candidates(f, chosen) {
		if a.applies(rec) && (rec.Meta.SubmitSeq >= kept || rec.Meta.PayloadObject != "") {
			ids = append(ids, rec.ID)
		}
	}
	return ids, nil
}

func (s *Server) candidates(f Filter, chosen []string) []*wire.Record {
	if chosen == nil {
		return s.model.Match(f)
	}
	var out []*wire.Record
	for _, id := range chosen {
		if rec := s.model.Get(id); rec != nil {
			out = append(out, rec)
		}
	}
	return out
}

// mostAudited is how many chosen ids an audit event lists; of more it tells the number.
const mostAudited = 100

// audited is a body as the audit keeps it.
func audited(fields map[string]json.RawMessage, chosen []string) map[string]json.RawMessage {
	if len(chosen) <= mostAudited {
		return fields
	}
	fields["ids"] = raw(len(chosen))
	return fields
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
