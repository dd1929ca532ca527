package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// queuePatch is a PATCH of a queue: what is not named stays, null takes a limit away; so too
// among the types.
type queuePatch struct {
	paused *bool
	limits limitsPatch
	// types by name; nil takes all limits of the type away.
	types map[string]*limitsPatch
	// noTypes takes the limits of all types away.
	noTypes bool
}

// limitsPatch changes the limits of a queue or a type.
type limitsPatch struct {
	setMax, setRate bool
	wire.Limits
}

func (p *limitsPatch) empty() bool { return !p.setMax && !p.setRate }

func (p *limitsPatch) apply(l wire.Limits) wire.Limits {
	if p.setMax {
		l.MaxConcurrent = p.MaxConcurrent
	}
	if p.setRate {
		l.RatePerSecond = p.RatePerSecond
	}
	return l
}

func readQueuePatch(fields map[string]json.RawMessage) (*queuePatch, wire.Faults) {
	p := &queuePatch{}
	var faults wire.Faults
	if _, given := fields["paused"]; given {
		p.paused = new(bool)
		faults = append(faults, readPaused(fields, p.paused)...)
	}
	faults = append(faults, readLimits(fields, "", &p.limits)...)
	return p, append(faults, p.readTypes(fields["types"])...)
}

// readLimits reads maxConcurrent and ratePerSecond where they are given.
func readLimits(fields map[string]json.RawMessage, path string, into *limitsPatch) wire.Faults {
	var faults wire.Faults
	if raw, given := fields["maxConcurrent"]; given {
		into.setMax = true
		if string(raw) != "null" {
			var n int
			if err := json.Unmarshal(raw, &n); err != nil || n < 1 || n > wire.MaxConcurrentLimit {
				faults = append(faults, wire.Fault{Field: path + "maxConcurrent", Value: clipValue(raw), Rule: fmt.Sprintf("must be an integer from 1 to %d, or null for no limit", wire.MaxConcurrentLimit)})
			}
			into.MaxConcurrent = &n
		}
	}
	if raw, given := fields["ratePerSecond"]; given {
		into.setRate = true
		if string(raw) != "null" {
			var rate float64
			if err := json.Unmarshal(raw, &rate); err != nil || rate < wire.MinRateLimit || rate > wire.MaxRateLimit {
				faults = append(faults, wire.Fault{Field: path + "ratePerSecond", Value: clipValue(raw), Rule: fmt.Sprintf("must be a number above 0 up to %d, or null for no limit", wire.MaxRateLimit)})
			}
			into.RatePerSecond = &rate
		}
	}
	return faults
}

func (p *queuePatch) readTypes(raw json.RawMessage) wire.Faults {
	if raw == nil {
		return nil
	}
	if string(raw) == "null" {
		p.noTypes = true
		return nil
	}
	var types map[string]json.RawMessage
	if json.Unmarshal(raw, &types) != nil {
		return wire.Faults{{Field: "types", Value: clipValue(raw), Rule: "must be an object of limits by type, or null for none"}}
	}
	p.types = map[string]*limitsPatch{}
	var faults wire.Faults
	for _, name := range slices.Sorted(maps.Keys(types)) {
		path := "types." + name
		if !wire.ValidType(name) {
			faults = append(faults, wire.Fault{Field: path, Rule: "must be a type: 1 to 64 of A-Z a-z 0-9 _ - in parts separated by single dots"})
			continue
		}
		one, wrong := readTypeLimits(types[name], path)
		faults = append(faults, wrong...)
		p.types[name] = one
	}
	return faults
}

func readTypeLimits(raw json.RawMessage, path string) (*limitsPatch, wire.Faults) {
	if string(raw) == "null" {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, wire.Faults{{Field: path, Value: clipValue(raw), Rule: "must be an object with maxConcurrent, ratePerSecond, or null for no limits"}}
	}
	var faults wire.Faults
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "maxConcurrent" && name != "ratePerSecond" {
			faults = append(faults, wire.Fault{Field: path + "." + name, Value: clipValue(fields[name]), Rule: "is not a limit; there are maxConcurrent, ratePerSecond"})
		}
	}
	p := &limitsPatch{}
	return p, append(faults, readLimits(fields, path+".", p)...)
}

// changesLimits tells whether anything but the pause is to change.
func (p *queuePatch) changesLimits() bool {
	return !p.limits.empty() || p.types != nil || p.noTypes
}

// apply changes settings; changed says whether they differ afterwards.
func (p *queuePatch) apply(v *wire.QueueSettings) (changed bool, err error) {
	before := *v
	v.Limits = p.limits.apply(v.Limits)
	types := maps.Clone(v.Types)
	if p.noTypes || types == nil {
		types = map[string]wire.Limits{}
	}
	for name, one := range p.types {
		limits := wire.Limits{}
		if one != nil {
			limits = one.apply(types[name])
		}
		if types[name] = limits; limits.None() {
			delete(types, name)
		}
	}
	if len(types) > wire.MaxLimitedTypes {
		return false, badInput(wire.Faults{{Field: "types", Rule: fmt.Sprintf("must not be more than %d in a queue; with this change they are %d", wire.MaxLimitedTypes, len(types))}})
	}
	v.Types = types
	same := v.Equal(before.Limits) && maps.EqualFunc(types, before.Types, wire.Limits.Equal)
	return !same, nil
}

// patchQueue answers PATCH /queues/:name.
func (s *Server) patchQueue(c *fiber.Ctx) error {
	query := readParams(c)
	fields, faults, err := s.readObject(c, "a queue that can be changed", "paused", "maxConcurrent", "ratePerSecond", "types")
	if err != nil {
		return err
	}
	patch, wrong := readQueuePatch(fields)
	faults = append(faults, wrong...)
	if len(fields)+len(faults) == 0 {
		faults = append(faults, wire.Fault{Rule: "must name at least one of paused, maxConcurrent, ratePerSecond, types"})
	}
	if err := query.with(faults); err != nil {
		return err
	}
	view, err := s.queue(c.Params("name"))
	if err != nil {
		return err
	}
	if patch.changesLimits() {
		if err := s.setLimits(c, &view, patch, fields); err != nil {
			return err
		}
	}
	if patch.paused != nil {
		if err := s.setPaused(c, &view, *patch.paused); err != nil {
			return err
		}
	}
	return answer(c, http.StatusOK, view)
}

// setLimits keeps the limits and puts them in force. They are when this returns.
func (s *Server) setLimits(c *fiber.Ctx, view *wire.QueueView, patch *queuePatch, fields map[string]json.RawMessage) error {
	ctx, cancel := s.within(requestTimeout)
	defer cancel()
	changed := false
	set, err := changeSettings(ctx, s.store.settings, wire.QueueSettingsKey(view.Name), func(v *wire.QueueSettings) (bool, error) {
		var err error
		changed, err = patch.apply(v)
		return changed, err
	})
	if err != nil {
		return err
	}
	if err := s.store.applyLimits(ctx, view.Name); err != nil {
		return unavailable("the setting is kept, but is not in force yet: %s", err)
	}
	view.SetLimits(&set)
	if !changed {
		return nil
	}
	change := map[string]json.RawMessage{}
	for _, name := range []string{"maxConcurrent", "ratePerSecond", "types"} {
		if v, given := fields[name]; given {
			change[name] = v
		}
	}
	data := wire.EventData{Queue: view.Name, Change: raw(change), Actor: whoIs(c).Name}
	s.audit(c, "queue.change", view.Name, change, wire.NewEvent(wire.Event{Event: wire.EventQueueChange, Data: data}))
	return nil
}
