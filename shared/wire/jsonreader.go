package wire

import (
	"encoding/json"
	"math"
	"time"
)

// jsonReader reads what jsonWriter writes, without reflection. Whatever else it meets makes
// it bad, and the caller turns to encoding/json: for the sake of what other programs write,
// and for its words of what is wrong.
type jsonReader struct {
	b   []byte
	i   int
	bad bool
	// known keeps strings that come again and again in one message.
	known map[string]string
}

// fail makes the reader bad and lets loops end.
func (r *jsonReader) fail() { r.bad, r.i = true, len(r.b) }

func (r *jsonReader) space() {
	for r.i < len(r.b) {
		switch r.b[r.i] {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return
		}
	}
}

// next takes c where it comes next.
func (r *jsonReader) next(c byte) bool {
	r.space()
	if r.i < len(r.b) && r.b[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *jsonReader) must(c byte) {
	if !r.next(c) {
		r.fail()
	}
}

// end tells that all was read, and well.
func (r *jsonReader) end() bool {
	r.space()
	return !r.bad && r.i == len(r.b)
}

// object calls member for each key; it must read the value.
func (r *jsonReader) object(member func(key []byte)) {
	r.must('{')
	if r.next('}') {
		return
	}
	for !r.bad {
		key := r.token()
		r.must(':')
		if r.bad {
			return
		}
		member(key)
		if r.next(',') {
			continue
		}
		r.must('}')
		return
	}
}

// array calls element for each; it must read the value.
func (r *jsonReader) array(element func()) {
	r.must('[')
	if r.next(']') {
		return
	}
	for !r.bad {
		element()
		if r.next(',') {
			continue
		}
		r.must(']')
		return
	}
}

// token is a string without escapes, as it lies there.
func (r *jsonReader) token() []byte {
	r.must('"')
	from := r.i
	for ; r.i < len(r.b); r.i++ {
		switch c := r.b[r.i]; {
		case c == '"':
			r.i++
			return r.b[from : r.i-1]
		case c < ' ' || c >= 0x7f || c == '\\':
			r.fail()
			return nil
		}
	}
	r.fail()
	return nil
}

// text is any string.
func (r *jsonReader) text() string {
	r.space()
	from := r.i
	if s := r.token(); !r.bad {
		return string(s)
	}
	r.bad, r.i = false, from
	var s string
	r.other(&s)
	return s
}

// name is a string that is likely to come again.
func (r *jsonReader) name() string {
	s := r.token()
	if known, ok := r.known[string(s)]; ok {
		return known
	}
	name := string(s)
	if r.known == nil {
		r.known = make(map[string]string, maxKnown)
	}
	if len(r.known) < maxKnown {
		r.known[name] = name
	}
	return name
}

const maxKnown = 32

// uint is a number without sign, fraction or exponent.
func (r *jsonReader) uint() uint64 {
	r.space()
	from, n := r.i, uint64(0)
	for ; r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9'; r.i++ {
		n = n*10 + uint64(r.b[r.i]-'0')
	}
	digits := r.i - from
	leading := digits > 1 && r.b[from] == '0'
	// The library says what is wrong with fractions, and with numbers that do not fit.
	if digits == 0 || digits > 19 || leading || r.i < len(r.b) && (r.b[r.i] == '.' || r.b[r.i] == 'e' || r.b[r.i] == 'E') {
		r.fail()
	}
	return n
}

func (r *jsonReader) int() int64 {
	negative := r.next('-')
	n := r.uint()
	if n > math.MaxInt64 {
		r.fail()
	}
	if negative {
		return -int64(n)
	}
	return int64(n)
}

// time reads what appendTime writes, but null.
func (r *jsonReader) time() Time {
	s := r.token()
	if len(s) != len(timeLayout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		r.fail()
		return 0
	}
	n := func(from, to int) (v int) {
		for _, c := range s[from:to] {
			if c < '0' || c > '9' {
				r.fail()
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	year, month, day, hour, minute, second := n(0, 4), n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19)
	at := time.Date(year, time.Month(month), day, hour, minute, second, n(20, 23)*int(time.Millisecond), time.UTC)
	if at.Day() != day || at.Month() != time.Month(month) || hour > 23 || minute > 59 || second > 59 {
		r.fail() // no such date
		return 0
	}
	return Time(at.UnixMilli())
}

// raw is a value as it lies there.
func (r *jsonReader) raw() []byte {
	r.space()
	from, depth := r.i, 0
	for r.i < len(r.b) {
		c := r.b[r.i]
		switch c {
		case '"':
			r.string()
		case '{', '[':
			depth++
			r.i++
		case '}', ']':
			if depth == 0 {
				return r.b[from:r.i] // the end of what this value stands in
			}
			depth--
			r.i++
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return r.b[from:r.i]
			}
			r.i++
		default:
			r.i++
			continue
		}
		if depth == 0 {
			break // a string, an object or an array has ended
		}
	}
	return r.b[from:r.i]
}

// string steps over a string.
func (r *jsonReader) string() {
	for r.i++; r.i < len(r.b); r.i++ {
		switch r.b[r.i] {
		case '\\':
			r.i++
		case '"':
			r.i++
			return
		}
	}
	r.fail()
}

// value is a copy of a value that may be anything.
func (r *jsonReader) value() json.RawMessage {
	raw := r.raw()
	if r.bad || !json.Valid(raw) {
		r.fail()
		return nil
	}
	return append(json.RawMessage(nil), raw...)
}

// other leaves a value to the library.
func (r *jsonReader) other(v any) {
	raw := r.raw()
	if r.bad || json.Unmarshal(raw, v) != nil {
		r.fail()
	}
}
