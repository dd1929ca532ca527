package httpapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// params are the query parameters of one request, read strictly: all faults are gathered.
type params struct {
	values map[string]string
	// many are values given as an array, which may hold commas.
	many   map[string][]string
	faults wire.Faults
}

// readParams takes the query apart. A parameter that is not allowed, or stands twice, is a
// fault; an empty one counts as absent.
func readParams(c *fiber.Ctx, allowed ...string) *params {
	p := &params{values: map[string]string{}}
	for k, v := range c.Context().QueryArgs().All() {
		name, value := string(k), string(v)
		_, twice := p.values[name]
		switch {
		case !slices.Contains(allowed, name):
			p.fail(name, value, unknownParam(allowed))
		case value == "":
		case twice:
			p.fail(name, value, "stands twice; several values are separated by commas")
		default:
			p.values[name] = value
		}
	}
	return p
}

func unknownParam(allowed []string) string {
	if len(allowed) == 0 {
		return "is not a query parameter of this request, which has none"
	}
	return "is not a query parameter of this request; these are: " + strings.Join(allowed, ", ")
}

func (p *params) fail(name, value, rule string) {
	p.faults = append(p.faults, fault(name, value, rule))
}

// err is a problem with all the faults, nil where there are none.
func (p *params) err() error { return p.with(nil) }

// with is err with the faults of a body after those of the query.
func (p *params) with(body wire.Faults) error {
	all := append(slices.Clip(p.faults), body...)
	if len(all) == 0 {
		return nil
	}
	return badInput(all)
}

// bare is a handler of a request without query parameters.
func bare(handle fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := readParams(c).err(); err != nil {
			return err
		}
		return handle(c)
	}
}

func (p *params) text(name string) string { return p.values[name] }

// list is a parameter's values, separated by commas.
func (p *params) list(name string) []string {
	if many := p.many[name]; many != nil {
		return many
	}
	v := p.values[name]
	if v == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(v, ","), func(s string) bool { return s == "" })
}

func (p *params) integer(name string, least, most, absent int) int {
	v := p.values[name]
	if v == "" {
		return absent
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		p.fail(name, v, fmt.Sprintf("must be an integer from %d to %d", least, most))
		return absent
	}
	return n
}

func (p *params) flag(name string) bool {
	switch v := p.values[name]; v {
	case "", "0", "false":
		return false
	case "1", "true":
		return true
	default:
		p.fail(name, v, "must be 0 or 1")
		return false
	}
}

func (p *params) duration(name string, least, most, absent time.Duration) time.Duration {
	v := p.values[name]
	if v == "" {
		return absent
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		p.fail(name, v, fmt.Sprintf("must be a duration from %s to %s, such as 15m", least, most))
		return absent
	}
	return d
}

func (p *params) time(name string) wire.Time {
	v := p.values[name]
	if v == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		p.fail(name, v, "must be a time by RFC 3339, such as 2026-01-01T10:21:02.000Z")
		return 0
	}
	return wire.At(t)
}

// oneOf is a list of which every value must be known.
func (p *params) oneOf(name string, valid func(string) bool, rule string) []string {
	all := p.list(name)
	for i, v := range all {
		if !valid(v) {
			p.fail(p.path(name, i), v, rule)
		}
	}
	return all
}

// path of one value: an array has numbered ones.
func (p *params) path(name string, i int) string {
	if p.many[name] == nil {
		return name
	}
	return name + "[" + itoa(i) + "]"
}

// sequence is a number from 1; 0 where there is none.
func (p *params) sequence(name string) uint64 {
	v := p.values[name]
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		p.fail(name, v, "must be the seq of a message")
	}
	return n
}
