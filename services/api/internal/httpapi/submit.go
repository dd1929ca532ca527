package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// lookupTimeout bounds the search for a task; a failed try is repeated after lookupPause.
	lookupTimeout = 5 * time.Second
	lookupPause   = 20 * time.Millisecond

	ruleOtherContent = "a task with this id exists with other content"
	ruleTwiceHere    = "another task of this request has this id with other content"
)

// postTasks answers POST /tasks: one task, or an array of them.
func (s *Server) postTasks(c *fiber.Ctx) error {
	query := readParams(c)
	body, done, err := s.readBody(c)
	defer done()
	if err != nil {
		return err
	}
	decoder := wire.Decoder{Now: time.Now(), Defaults: s.defaults, MaxPayload: wire.MaxPayloadHTTP, MaxGroup: wire.MaxGroupHTTP}
	members, group, err := decoder.Decode(body)
	if err != nil {
		return decodeProblem(query, err)
	}
	if len(query.faults) > 0 {
		return query.with(faultsOf(members))
	}
	timeout := requestTimeout
	if len(body) > largeBody {
		timeout = largeTimeout
	}
	ctx, cancel := s.within(timeout)
	defer cancel()
	if group {
		return s.postGroup(ctx, c, members)
	}
	return s.postOne(ctx, c, &members[0].Submission)
}

func decodeProblem(query *params, err error) error {
	if faults, ok := wire.AsFaults(err); ok {
		return query.with(faults)
	}
	return err
}

func faultsOf(members []wire.Member) wire.Faults {
	var all wire.Faults
	for i := range members {
		all = append(all, members[i].Faults...)
	}
	return all
}

func (s *Server) postOne(ctx context.Context, c *fiber.Ctx, sub *wire.Submission) error {
	if sub.ID != "" {
		defer s.ids.lock(sub.ID)()
		existing, err := s.lookup(ctx, sub.ID)
		if err != nil {
			return err
		}
		if existing != nil {
			return answerExisting(c, sub, existing)
		}
	}
	stored, err := s.submit.Submit(ctx, sub)
	if err != nil {
		return submitProblem(err)
	}
	if existing, err := s.earlier(ctx, sub, stored); err != nil {
		return err
	} else if existing != nil {
		return answerExisting(c, sub, existing)
	}
	status := s.accept(sub, stored)
	c.Set(fiber.HeaderLocation, locationPrefix(c)+"/tasks/"+stored.ID)
	return answer(c, http.StatusAccepted, wire.SubmitAnswer{ID: stored.ID, Status: status})
}

func locationPrefix(c *fiber.Ctx) string {
	if strings.HasPrefix(c.Path(), apiPrefix+"/") {
		return apiPrefix
	}
	return ""
}

func answerExisting(c *fiber.Ctx, sub *wire.Submission, existing *wire.Record) error {
	if existing.Meta.Hash != sub.ContentHash() {
		return conflict("%s: %s", clip(sub.ID), ruleOtherContent)
	}
	return answer(c, http.StatusOK, wire.DuplicateAnswer{ID: sub.ID, Status: existing.Status, Duplicate: true})
}

// accept makes a stored task visible on this API at once, and says its status.
func (s *Server) accept(sub *wire.Submission, at client.Stored) wire.Status {
	s.model.Accepted(sub, at.Seq, at.Member, wire.At(at.At))
	if sub.ScheduledFor(wire.At(at.At)) > 0 {
		return wire.StatusScheduled
	}
	return wire.StatusPending
}

// groupPost is a POST of several tasks under way.
type groupPost struct {
	results []wire.SubmitResult
	// hashes and first of the ids chosen by clients: the first member that has each.
	hashes []string
	first  map[string]int
	// to store: numbers of members.
	store []int
	// failure is the first reason why a member could not be stored now.
	failure *wire.Problem
}

func (s *Server) postGroup(ctx context.Context, c *fiber.Ctx, members []wire.Member) error {
	g := &groupPost{results: make([]wire.SubmitResult, len(members)), hashes: make([]string, len(members)), first: map[string]int{}}
	defer s.ids.lock(g.sort(members)...)()
	if err := s.dropExisting(ctx, g, members); err != nil {
		return err
	}
	s.storeGroup(ctx, g, members)
	g.resolveTwins(members)
	return g.answer(c)
}

// sort sets apart what has faults, and finds the ids chosen by clients.
func (g *groupPost) sort(members []wire.Member) (ids []string) {
	for i := range members {
		m := &members[i]
		if len(m.Faults) > 0 {
			g.results[i].Errors = m.Faults
			continue
		}
		id := m.Submission.ID
		if id == "" {
			g.store = append(g.store, i)
			continue
		}
		g.hashes[i] = m.Submission.ContentHash()
		if _, twice := g.first[id]; twice {
			continue
		}
		g.first[id] = i
		g.store = append(g.store, i)
		ids = append(ids, id)
	}
	return ids
}

// dropExisting leaves out what was submitted before.
func (s *Server) dropExisting(ctx context.Context, g *groupPost, members []wire.Member) error {
	kept := g.store[:0]
	for _, i := range g.store {
		id := members[i].Submission.ID
		if id == "" {
			kept = append(kept, i)
			continue
		}
		existing, err := s.lookup(ctx, id)
		switch {
		case err != nil:
			return err
		case existing == nil:
			kept = append(kept, i)
		default:
			g.taken(i, existing)
		}
	}
	g.store = kept
	return nil
}

// taken settles a member whose id a task has.
func (g *groupPost) taken(i int, existing *wire.Record) {
	if existing.Meta.Hash != g.hashes[i] {
		g.reject(i, ".id", existing.ID, ruleOtherContent)
		return
	}
	g.results[i] = wire.SubmitResult{ID: existing.ID, Status: existing.Status, Duplicate: true}
}

func (g *groupPost) reject(i int, field string, value any, rule string) {
	g.results[i].Errors = wire.Faults{fault("["+itoa(i)+"]"+field, value, rule)}
}

func (s *Server) storeGroup(ctx context.Context, g *groupPost, members []wire.Member) {
	subs := make([]*wire.Submission, len(g.store))
	for k, i := range g.store {
		subs[k] = &members[i].Submission
	}
	stored, errs := s.submit.SubmitAll(ctx, subs)
	for k, i := range g.store {
		if errs[k] != nil {
			g.fail(i, submitProblem(errs[k]))
			continue
		}
		existing, err := s.earlier(ctx, subs[k], stored[k])
		switch {
		case err != nil:
			g.fail(i, err)
		case existing != nil:
			g.taken(i, existing)
		default:
			g.results[i] = wire.SubmitResult{ID: stored[k].ID, Status: s.accept(subs[k], stored[k])}
		}
	}
}

// fail settles a member that could not be stored now.
func (g *groupPost) fail(i int, err *wire.Problem) {
	if g.failure == nil {
		g.failure = err
	}
	g.reject(i, "", nil, err.Detail)
}

// resolveTwins settles members whose id an earlier member of the same request has.
func (g *groupPost) resolveTwins(members []wire.Member) {
	for i := range members {
		id := members[i].Submission.ID
		first, chosen := g.first[id]
		if id == "" || !chosen || first == i || len(members[i].Faults) > 0 {
			continue
		}
		one := g.results[first]
		switch {
		case g.hashes[i] != g.hashes[first]:
			g.reject(i, ".id", id, ruleTwiceHere)
		case len(one.Errors) > 0:
			g.reject(i, ".id", id, one.Errors[0].Rule)
		default:
			g.results[i] = wire.SubmitResult{ID: id, Status: one.Status, Duplicate: true}
		}
	}
}

func (g *groupPost) answer(c *fiber.Ctx) error {
	out := wire.BulkAnswer{Results: g.results}
	for i := range g.results {
		switch r := &g.results[i]; {
		case len(r.Errors) > 0:
			out.Rejected++
		case r.Duplicate:
			out.Duplicates++
		default:
			out.Accepted++
		}
	}
	if out.Rejected < len(g.results) {
		return answer(c, http.StatusAccepted, out)
	}
	if g.failure != nil {
		return g.failure
	}
	var all wire.Faults
	for i := range g.results {
		all = append(all, g.results[i].Errors...)
	}
	return badInput(all)
}

// lookup finds a task by its id; nil where there is none. It answers for whatever was
// acknowledged anywhere.
func (s *Server) lookup(ctx context.Context, id string) (*wire.Record, error) {
	if !wire.ValidID(id) {
		return nil, nil //nolint:nilnil // no record is an answer
	}
	rec, err := s.tryAgain(ctx, func(ctx context.Context) (*wire.Record, error) { return s.model.Lookup(ctx, id) })
	if err != nil {
		return nil, unavailable("whether there is a task %s could not be found out: %s", clip(id), err)
	}
	return rec, nil
}

// earlier finds the task that had an id chosen by its client when a submission under it was
// stored, whichever API accepted it: as the recorder decides, the first has it. What is stored
// but not looked up is answered with 503: submitted again, it is a duplicate.
func (s *Server) earlier(ctx context.Context, sub *wire.Submission, at client.Stored) (*wire.Record, *wire.Problem) {
	if sub.ID == "" {
		return nil, nil //nolint:nilnil // no record is an answer
	}
	rec, err := s.tryAgain(ctx, func(ctx context.Context) (*wire.Record, error) {
		return s.model.Earlier(ctx, sub.ID, at.Seq, at.Member)
	})
	if err != nil {
		p := unavailable("the task is stored, but whether an earlier one has the id %s could not be found out: %s. "+
			"Send it again: what was accepted is a duplicate", clip(sub.ID), err)
		p.Code = wire.ProblemUnknownOutcome
		return nil, p
	}
	return rec, nil
}

// tryAgain bridges a moment without NATS, such as a restart or a new leader.
func (s *Server) tryAgain(ctx context.Context, find func(context.Context) (*wire.Record, error)) (*wire.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	for {
		rec, err := find(ctx)
		if err == nil {
			return rec, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lookupPause):
		}
	}
}
