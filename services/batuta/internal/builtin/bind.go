package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// bind reads the payload into the struct that v points to. Unlike encoding/json it takes
// keys by their exact spelling and once only. Null counts as absent. All faults are told
// at once.
func bind(t *worker.Task, v any) error {
	r, err := t.PayloadReader()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	fields := fieldsOf(v)
	dec := json.NewDecoder(r)
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return refuse("payload: must be an object with the fields of %s: %s", t.Type, strings.Join(names(fields), ", "))
	}
	var faults []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return refuse("payload: %w", err)
		}
		name, _ := key.(string)
		fault, err := decodeField(dec, fields, name)
		if err != nil {
			return refuse("payload: %s: %w", name, err)
		}
		if fault != "" {
			faults = append(faults, fmt.Sprintf("payload.%s: %s", name, fault))
		}
	}
	if len(faults) > 0 {
		return refuse("%s", strings.Join(faults, "; "))
	}
	return nil
}

// boundField is a struct's field that the payload may set.
type boundField struct {
	value reflect.Value
	set   bool
}

func fieldsOf(v any) map[string]*boundField {
	s := reflect.ValueOf(v).Elem()
	fields := make(map[string]*boundField, s.NumField())
	for i := range s.NumField() {
		fields[s.Type().Field(i).Tag.Get("json")] = &boundField{value: s.Field(i)}
	}
	return fields
}

func names(fields map[string]*boundField) []string {
	list := make([]string, 0, len(fields))
	for n := range fields {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// decodeField reads one value; the error is of the JSON itself, the fault of its meaning.
func decodeField(dec *json.Decoder, fields map[string]*boundField, name string) (fault string, err error) {
	f, known := fields[name]
	if !known || f.set {
		var skipped json.RawMessage
		err = dec.Decode(&skipped)
		if known {
			return "stands twice", err
		}
		return "is not a field; the fields are " + strings.Join(names(fields), ", "), err
	}
	f.set = true
	err = dec.Decode(f.value.Addr().Interface())
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return "must be " + kindName(wrong.Type) + ", not " + wrong.Value, nil
	case err != nil && f.value.Type() == reflect.TypeFor[*[]byte]():
		return "must be base64: " + err.Error(), nil
	}
	return "", err
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Map:
		return "an object"
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "an integer"
}
