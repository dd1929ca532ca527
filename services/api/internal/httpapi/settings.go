package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// mostWorkers is the largest size of a pool.
const mostWorkers = 100_000

// changeSettings changes a value of the settings bucket by its revision, as often as
// somebody else is faster; zero is the value of an absent key. Changed false leaves the key.
func changeSettings[T any](ctx context.Context, kv jetstream.KeyValue, key string, change func(*T) (changed bool, err error)) (T, error) {
	for {
		var v T
		revision := uint64(0)
		e, err := kv.Get(ctx, key)
		switch {
		case err == nil:
			revision = e.Revision()
			if err := json.Unmarshal(e.Value(), &v); err != nil {
				return v, fmt.Errorf("key %s of bucket %s: %w", key, kv.Bucket(), err)
			}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return v, unavailable("nothing was changed: read the settings: %s", err)
		}
		changed, err := change(&v)
		if err != nil || !changed {
			return v, err
		}
		if err = putSettings(ctx, kv, key, v, revision); err == nil {
			return v, nil
		}
		if !natsx.IsConflict(err) {
			return v, unavailable("the change may not be stored: %s", err)
		}
	}
}

func putSettings(ctx context.Context, kv jetstream.KeyValue, key string, v any, revision uint64) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = kv.Create(ctx, key, body)
	} else {
		_, err = kv.Update(ctx, key, body, revision)
	}
	return err
}

// listPools answers GET /pools.
func (s *Server) listPools(c *fiber.Ctx) error {
	return answer(c, http.StatusOK, wire.PoolsAnswer{Pools: s.model.Pools()})
}

func (s *Server) pool(name string) (wire.PoolView, error) {
	for _, p := range s.model.Pools() {
		if p.Name == name {
			return p, nil
		}
	}
	return wire.PoolView{}, notFound("pool", name)
}

// getPool answers GET /pools/:name.
func (s *Server) getPool(c *fiber.Ctx) error {
	p, err := s.pool(c.Params("name"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, p)
}

// poolPatch is a PATCH of a pool: what is not named stays; min and max by null go back to
// what the pool's processes say.
type poolPatch struct {
	fields   map[string]json.RawMessage
	min, max *int
	paused   bool
}

func readPoolPatch(fields map[string]json.RawMessage, faults wire.Faults) (*poolPatch, wire.Faults) {
	p := &poolPatch{fields: fields}
	if len(fields)+len(faults) == 0 {
		faults = append(faults, wire.Fault{Rule: "must name at least one of min, max, paused"})
	}
	whole := func(name string, least int, into **int) {
		raw, given := fields[name]
		if !given || string(raw) == "null" {
			return
		}
		var n int
		if err := json.Unmarshal(raw, &n); err != nil || n < least || n > mostWorkers {
			faults = append(faults, wire.Fault{Field: name, Value: clipValue(raw), Rule: fmt.Sprintf("must be an integer from %d to %d, or null for the setting of the pool's processes", least, mostWorkers)})
			return
		}
		*into = &n
	}
	whole("min", 0, &p.min)
	whole("max", 1, &p.max)
	faults = append(faults, readPaused(fields, &p.paused)...)
	return p, faults
}

func readPaused(fields map[string]json.RawMessage, into *bool) wire.Faults {
	raw, given := fields["paused"]
	if given && (json.Unmarshal(raw, into) != nil || string(raw) == "null") {
		return wire.Faults{{Field: "paused", Value: clipValue(raw), Rule: "must be true or false"}}
	}
	return nil
}

// apply changes settings, and refuses limits that contradict each other; current is the
// pool as it is, for the limit that is not set.
func (p *poolPatch) apply(v *wire.PoolSettings, current *wire.PoolView) error {
	if _, given := p.fields["min"]; given {
		v.Min = p.min
	}
	if _, given := p.fields["max"]; given {
		v.Max = p.max
	}
	if _, given := p.fields["paused"]; given {
		v.Paused = p.paused
	}
	least, most := current.Min, current.Max
	if v.Min != nil {
		least = *v.Min
	}
	if v.Max != nil {
		most = *v.Max
	}
	if v.Min == nil && v.Max == nil || least <= most {
		return nil
	}
	if p.max != nil && p.min == nil {
		return badInput(wire.Faults{fault("max", most, fmt.Sprintf("must not be below min, which is %d", least))})
	}
	return badInput(wire.Faults{fault("min", least, fmt.Sprintf("must not be above max, which is %d", most))})
}

// patchPool answers PATCH /pools/:name.
func (s *Server) patchPool(c *fiber.Ctx) error {
	query := readParams(c)
	fields, faults, err := s.readObject(c, "a pool that can be changed", "min", "max", "paused")
	if err != nil {
		return err
	}
	patch, faults := readPoolPatch(fields, faults)
	if err := query.with(faults); err != nil {
		return err
	}
	view, err := s.pool(c.Params("name"))
	if err != nil {
		return err
	}
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	set, err := changeSettings(ctx, s.store.settings, wire.PoolSettingsKey(view.Name), func(v *wire.PoolSettings) (bool, error) {
		return true, patch.apply(v, &view)
	})
	if err != nil {
		return err
	}
	change := wire.EventData{Change: raw(fields), Actor: whoIs(c).Name}
	s.audit(c, "pool.change", view.Name, fields, wire.NewEvent(wire.Event{Event: wire.EventPoolChanged, Pool: view.Name, Data: change}))
	if view.Paused = set.Paused; set.Min != nil {
		view.Min = *set.Min
	}
	if set.Max != nil {
		view.Max = *set.Max
	}
	return answer(c, http.StatusOK, view)
}

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // fields of a parsed body encode
	}
	return b
}

// listQueues answers GET /queues.
func (s *Server) listQueues(c *fiber.Ctx) error {
	return answer(c, http.StatusOK, wire.QueuesAnswer{Queues: s.model.Queues()})
}

func (s *Server) queue(name string) (wire.QueueView, error) {
	for _, q := range s.model.Queues() {
		if q.Name == name {
			return q, nil
		}
	}
	return wire.QueueView{}, notFound("queue", name)
}

// getQueue answers GET /queues/:name.
func (s *Server) getQueue(c *fiber.Ctx) error {
	q, err := s.queue(c.Params("name"))
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, q)
}

// pauseQueue answers POST /queues/:name/pause and /resume.
func (s *Server) pauseQueue(paused bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := s.plain(c); err != nil {
			return err
		}
		view, err := s.queue(c.Params("name"))
		if err != nil {
			return err
		}
		if err := s.setPaused(c, &view, paused); err != nil {
			return err
		}
		return answer(c, http.StatusOK, view)
	}
}

// setPaused keeps the setting, for lanes made later, and has the server pause those there are.
func (s *Server) setPaused(c *fiber.Ctx, view *wire.QueueView, paused bool) error {
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	changed := false
	_, err := changeSettings(ctx, s.store.settings, wire.QueueSettingsKey(view.Name), func(v *wire.QueueSettings) (bool, error) {
		changed = v.Paused != paused
		v.Paused = paused
		return changed, nil
	})
	if err != nil {
		return err
	}
	if err := s.store.pauseLanes(ctx, view.Name, paused); err != nil {
		return unavailable("the setting is kept, but the lanes do not follow yet: %s", err)
	}
	view.Paused = paused
	if !changed {
		return nil
	}
	action, name := "queue.resume", wire.EventQueueResume
	if paused {
		action, name = "queue.pause", wire.EventQueuePaused
	}
	data := wire.EventData{Queue: view.Name, Actor: whoIs(c).Name}
	s.audit(c, action, view.Name, nil, wire.NewEvent(wire.Event{Event: name, Data: data}))
	return nil
}
