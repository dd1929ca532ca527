package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// field is one member of a JSON object, in the order of the text.
type field struct {
	name string
	raw  json.RawMessage
}

// fieldReader reads fields strictly and gathers all faults.
type fieldReader struct {
	path   string
	faults Faults
	// broken: the value was no object, so that nothing can be said of its fields.
	broken bool
}

func (r *fieldReader) at(name string) string {
	switch {
	case r.path == "":
		return name
	case name == "":
		return r.path
	}
	return r.path + "." + name
}

func (r *fieldReader) fail(name string, value []byte, rule string) {
	if value == nil {
		r.faults = append(r.faults, Fault{Field: r.at(name), Rule: rule}) // nothing was found
		return
	}
	r.faults = append(r.faults, faultOf(r.at(name), value, rule))
}

// object splits an object, a part of valid JSON, into its fields; a repeated key is a fault,
// since one of the two values would be lost in silence. The values are parts of raw.
func (r *fieldReader) object(raw []byte, name string) []field {
	fields, ok := splitObject(raw)
	if !ok {
		return r.objectByLibrary(raw, name)
	}
	return fields
}

// commonFields is how many fields most objects have at most.
const commonFields = 8

// splitObject splits what has nothing unusual about it.
func splitObject(raw []byte) (fields []field, ok bool) {
	s := jsonReader{b: raw}
	fields = make([]field, 0, commonFields)
	s.object(func(key []byte) {
		value := s.raw()
		for i := range fields {
			if fields[i].name == string(key) {
				s.fail()
				return
			}
		}
		fields = append(fields, field{fieldName(key), value})
	})
	return fields, s.end()
}

// fieldName is the key as a string, without making one of those that every task has.
func fieldName(key []byte) string {
	switch string(key) {
	case "type":
		return "type"
	case "payload":
		return "payload"
	case "priority":
		return "priority"
	case "queue":
		return "queue"
	}
	return string(key)
}

// splitArray splits an array, a part of valid JSON.
func splitArray(raw []byte) (elements []json.RawMessage, ok bool) {
	s := jsonReader{b: raw}
	s.array(func() { elements = append(elements, s.raw()) })
	return elements, s.end()
}

func (r *fieldReader) objectByLibrary(raw []byte, name string) []field {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		r.broken = true
		r.fail(name, raw, "must be an object")
		return nil
	}
	var fields []field
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		key, ok := tok.(string)
		if err != nil || !ok {
			r.broken = true
			r.fail(name, raw, "must be an object")
			return nil
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			r.broken = true
			r.fail(join(name, key), raw, "must be JSON ("+err.Error()+")")
			return nil
		}
		if seen[key] {
			r.fail(join(name, key), value, "stands twice")
			continue
		}
		seen[key] = true
		fields = append(fields, field{key, value})
	}
	return fields
}

func join(outer, inner string) string {
	if outer == "" {
		return inner
	}
	return outer + "." + inner
}

func (r *fieldReader) str(f field, check func(string) string) string {
	reader := jsonReader{b: f.raw}
	if f.raw[0] != '"' { // null would read as ""
		reader.fail()
	}
	s := reader.text()
	if !reader.end() {
		r.fail(f.name, f.raw, "must be a string")
		return ""
	}
	if rule := check(s); rule != "" {
		r.fail(f.name, f.raw, rule)
	}
	return s
}

func (r *fieldReader) integer(f field, least, most int64, rule string) int64 {
	n, err := strconv.ParseInt(string(f.raw), 10, 64)
	if err != nil || n < least || n > most {
		r.fail(f.name, f.raw, "must be "+rule)
		return least
	}
	return n
}

func (r *fieldReader) time(f field) Time {
	var s string
	if json.Unmarshal(f.raw, &s) == nil {
		// The year counts in UTC, in which the time is written from here on.
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.UTC().Year() >= 1970 && t.UTC().Year() <= 9999 {
			return At(t)
		}
	}
	r.fail(f.name, f.raw, "must be a time by RFC 3339, such as 2026-01-01T10:21:02.000Z")
	return 0
}

func (r *fieldReader) backoff(f field, into *Backoff) {
	capped := false
	for _, g := range r.object(f.raw, f.name) {
		name := g.name
		g.name = join(f.name, g.name)
		switch {
		case string(g.raw) == "null" && (name == "policy" || name == "baseMs" || name == "maxMs" || name == "jitter"):
		case name == "policy":
			into.Policy = r.str(g, mustBe(func(s string) bool {
				return s == BackoffFixed || s == BackoffLinear || s == BackoffExponential
			}, "one of fixed, linear, exponential"))
		case name == "baseMs":
			into.BaseMs = r.integer(g, 1, maxBackoffMs, "an integer from 1 to 86400000 (24 h)")
		case name == "maxMs":
			into.MaxMs = r.integer(g, 1, maxBackoffMs, "an integer from 1 to 86400000 (24 h)")
			capped = true
		case name == "jitter":
			into.Jitter = r.share(g)
		default:
			r.fail(g.name, g.raw, "is not a field of backoff")
		}
	}
	if !capped && into.MaxMs < into.BaseMs {
		into.MaxMs = into.BaseMs // a base above the default cap is meant
	}
}

func (r *fieldReader) share(f field) float64 {
	x, err := strconv.ParseFloat(string(f.raw), 64)
	if err != nil || x < 0 || x > 1 {
		r.fail(f.name, f.raw, "must be a number from 0 to 1")
		return 0
	}
	return x
}

func (r *fieldReader) tags(f field, into *map[string]string) {
	fields := r.object(f.raw, f.name)
	if len(fields) > maxTags {
		r.fail(f.name, []byte(strconv.Itoa(len(fields))), fmt.Sprintf("at most %d tags", maxTags))
	}
	tags := make(map[string]string, len(fields))
	for _, g := range fields {
		name := g.name
		g.name = join(f.name, g.name)
		if !tagKeyPattern.MatchString(name) {
			r.fail(g.name, quoted(name), "a tag's key is 1 to 32 of A-Z a-z 0-9 _ . -")
			continue
		}
		tags[name] = r.str(g, mustBe(func(s string) bool { return utf8.RuneCountInString(s) <= maxTagValue }, "a tag's value is a string of up to 128 characters"))
	}
	*into = tags
}
