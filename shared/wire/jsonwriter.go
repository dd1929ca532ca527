package wire

import (
	"encoding/json"
	"strconv"
	"time"
)

// jsonWriter appends an object's members. Every message of the hot path is written by it:
// the library's reflection cost more CPU than all the rest of a task. What it writes is byte
// for byte what encoding/json would, as the tests check; what is rare it leaves to that.
type jsonWriter struct {
	b []byte
	// html: as json.Marshal does, <, > and & in strings are escaped.
	html bool
	err  error
}

// key begins a member.
func (w *jsonWriter) key(name string) {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *jsonWriter) str(name, v string) {
	w.key(name)
	w.text(v)
}

func (w *jsonWriter) optStr(name, v string) {
	if v != "" {
		w.str(name, v)
	}
}

func (w *jsonWriter) int(name string, v int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *jsonWriter) optInt(name string, v int64) {
	if v != 0 {
		w.int(name, v)
	}
}

func (w *jsonWriter) optUint(name string, v uint64) {
	if v != 0 {
		w.key(name)
		w.b = strconv.AppendUint(w.b, v, 10)
	}
}

func (w *jsonWriter) time(name string, t Time) {
	w.key(name)
	w.b = appendTime(w.b, t)
}

func (w *jsonWriter) optTime(name string, t Time) {
	if t != 0 {
		w.time(name, t)
	}
}

// any leaves a value to the library.
func (w *jsonWriter) any(name string, v any) {
	encode := json.Marshal
	if !w.html {
		encode = EncodeHTTP
	}
	raw, err := encode(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.key(name)
	w.b = append(w.b, raw...)
}

// raw appends JSON that came from elsewhere: as it is where nothing could be left out of it
// or escaped, as for most.
func (w *jsonWriter) raw(name string, v json.RawMessage) {
	if !w.compact(v) {
		w.any(name, v)
		return
	}
	w.key(name)
	w.b = append(w.b, v...)
}

// compact tells that the library would write these bytes unchanged.
func (w *jsonWriter) compact(v json.RawMessage) bool {
	if len(v) == 0 {
		return false
	}
	for _, c := range v {
		if c <= ' ' || c >= 0x7f || w.html && (c == '<' || c == '>' || c == '&') {
			return false
		}
	}
	return json.Valid(v)
}

// text appends a string.
func (w *jsonWriter) text(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || w.html && (c == '<' || c == '>' || c == '&') {
			w.slowText(s)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

func (w *jsonWriter) slowText(s string) {
	encode := json.Marshal
	if !w.html {
		encode = EncodeHTTP
	}
	raw, err := encode(s)
	if err != nil && w.err == nil {
		w.err = err // a string always encodes
	}
	w.b = append(w.b, raw...)
}

// appendTime appends a time in quotes, or null.
func appendTime(b []byte, t Time) []byte {
	if t == 0 {
		return append(b, "null"...)
	}
	at := t.Time()
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		b = append(b, '"')
		b = at.AppendFormat(b, timeLayout)
		return append(b, '"')
	}
	hour, minute, second := at.Clock()
	b = append(b, '"')
	b = append(b, digit(year/1000), digit(year/100), digit(year/10), digit(year), '-')
	b = append(append2(b, int(month)), '-')
	b = append(append2(b, day), 'T')
	b = append(append2(b, hour), ':')
	b = append(append2(b, minute), ':')
	b = append(append2(b, second), '.')
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(b, digit(ms/100), digit(ms/10), digit(ms), 'Z', '"')
}

func digit(n int) byte { return '0' + byte(n%10) }

func append2(b []byte, n int) []byte { return append(b, digit(n/10), digit(n)) }
