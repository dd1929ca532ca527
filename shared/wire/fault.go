package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Fault is one thing wrong with an input: which field, what it held, which rule it breaks.
type Fault struct {
	// Field is a path such as `[3].backoff.policy`; empty for the whole input.
	Field string `json:"field"`
	// Value is what was found, as JSON where it could be parsed, else as a string.
	Value json.RawMessage `json:"value"`
	Rule  string          `json:"rule"`
}

// String is the fault in a sentence.
func (f Fault) String() string {
	field := f.Field
	if field == "" {
		field = "body"
	}
	if len(f.Value) == 0 {
		return field + ": " + f.Rule
	}
	return fmt.Sprintf("%s: %s: %s", field, clip(string(f.Value), 80), f.Rule)
}

// Faults is all that is wrong with an input.
type Faults []Fault

// Error implements error.
func (f Faults) Error() string {
	parts := make([]string, len(f))
	for i, one := range f {
		parts[i] = one.String()
	}
	return strings.Join(parts, "; ")
}

// AsFaults takes the faults out of an error that carries them.
func AsFaults(err error) (Faults, bool) {
	var f Faults
	ok := errors.As(err, &f)
	return f, ok
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// faultOf makes a fault whose value fits an error message.
func faultOf(field string, value []byte, rule string) Fault {
	v := json.RawMessage(bytes.Clone(value)) // a part of an input that may be used again
	if len(v) > 256 || !utf8.Valid(v) || !json.Valid(v) {
		v, _ = json.Marshal(clip(strings.ToValidUTF8(string(value), "�"), 200))
	}
	return Fault{Field: field, Value: v, Rule: rule}
}
