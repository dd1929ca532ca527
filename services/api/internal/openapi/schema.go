package openapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// object is a part of the document.
type object = map[string]any

// schemas makes JSON schemas of Go types, so that the document cannot drift from what is
// sent. Every object is closed.
type schemas struct {
	components object
}

// described are types whose schema does not follow from their kind.
var described = map[reflect.Type]object{
	reflect.TypeFor[wire.Time]():           {"type": []string{"string", "null"}, "format": "date-time", "description": "RFC 3339, UTC, milliseconds; null where unknown."},
	reflect.TypeFor[wire.Text]():           {"type": []string{"string", "null"}},
	reflect.TypeFor[json.RawMessage]():     anyJSON("Any JSON value; numbers keep their digits."),
	reflect.TypeFor[wire.Status]():         enum(wire.Statuses),
	reflect.TypeFor[wire.Priority]():       enum(wire.Priorities),
	reflect.TypeFor[wire.EventName]():      enum(wire.EventNames),
	reflect.TypeFor[wire.ErrorCode]():      enum([]wire.ErrorCode{wire.CodeHandler, wire.CodeTimeout, wire.CodeDeadline, wire.CodeCrashed, wire.CodeUnknownType}),
	reflect.TypeFor[wire.SystemStatus]():   enum([]wire.SystemStatus{wire.SystemStable, wire.SystemHighLoad, wire.SystemRecovering}),
	reflect.TypeFor[wire.WorkerStatus]():   enum([]wire.WorkerStatus{wire.WorkerStarting, wire.WorkerIdle, wire.WorkerActive, wire.WorkerBusy, wire.WorkerDraining, wire.WorkerHung}),
	reflect.TypeFor[wire.SubmitResult]():   submitResult(),
	reflect.TypeFor[map[string][]int64]():  mapOf("By outcome: completed, failed, cancelled.", array(object{"type": "integer"})),
	reflect.TypeFor[map[string][]*int64](): mapOf("By priority.", array(object{"type": []string{"integer", "null"}})),
	reflect.TypeFor[map[string]string]():   mapOf("Tags.", object{"type": "string"}),
	reflect.TypeFor[map[string]int]():      mapOf("Counts by value.", object{"type": "integer"}),
	reflect.TypeFor[map[string]int64]():    mapOf("Counts by type.", object{"type": "integer"}),
}

func anyJSON(description string) object {
	return object{
		"type": []string{"object", "array", "string", "number", "boolean", "null"}, "additionalProperties": true, "description": description,
	}
}

func enum[T ~string](values []T) object {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return object{"type": "string", "enum": all}
}

func array(items object) object { return object{"type": "array", "items": items} }

// mapOf is an object whose keys are data.
func mapOf(description string, values object) object {
	return object{"type": "object", "description": description, "additionalProperties": values}
}

func closed(properties object, required ...string) object {
	if required == nil {
		required = []string{}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func submitResult() object {
	id, status := object{"type": "string"}, enum(wire.Statuses)
	return object{"oneOf": []object{
		closed(object{"id": id, "status": status}, "id", "status"),
		closed(object{"id": id, "status": status, "duplicate": object{"const": true}}, "id", "status", "duplicate"),
		closed(object{"errors": array(ref("Fault"))}, "errors"),
	}}
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// nullable also takes null.
func nullable(s object) object {
	if kind, ok := s["type"].(string); ok && s["$ref"] == nil {
		n := object{}
		maps.Copy(n, s)
		n["type"] = []string{kind, "null"}
		return n
	}
	return object{"anyOf": []object{s, {"type": "null"}}}
}

// of is the schema of a type; structs become components.
func (g *schemas) of(t reflect.Type) object {
	if s, ok := described[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(g.of(t.Elem()))
	case reflect.Slice:
		return array(g.of(t.Elem()))
	case reflect.Map:
		return mapOf("By name.", g.of(t.Elem()))
	case reflect.Struct:
		return g.component(t)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	default:
		return object{"type": "integer"}
	}
}

// component puts a struct's schema among the components, once.
func (g *schemas) component(t reflect.Type) object {
	name := componentName(t)
	if _, done := g.components[name]; done {
		return ref(name)
	}
	g.components[name] = object{} // a type may hold itself
	properties, required := object{}, []string{}
	g.fields(t, properties, &required)
	s := closed(properties, required...)
	maps.Copy(properties, overrides[name])
	if d := descriptions[name]; d != "" {
		s["description"] = d
	}
	g.components[name] = s
	return ref(name)
}

// componentName drops the package from a type's name and names generic ones in words.
func componentName(t reflect.Type) string {
	if strings.HasPrefix(t.Name(), "Change[") {
		return "ChangeOf" + strings.TrimSuffix(t.Name()[strings.LastIndex(t.Name(), ".")+1:], "]")
	}
	return strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
}

func (g *schemas) fields(t reflect.Type, properties object, required *[]string) {
	for f := range t.Fields() {
		if f.Anonymous {
			g.fields(f.Type, properties, required)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" { // Change writes its fields itself
			name = strings.ToLower(f.Name)
		}
		kind := f.Type
		if option == "omitempty" && kind.Kind() == reflect.Pointer {
			kind = kind.Elem() // absent and not null
		}
		s := g.of(kind)
		if d := descriptions[componentName(t)+"."+name]; d != "" {
			s = withDescription(s, d)
		}
		properties[name] = s
		if option != "omitempty" {
			*required = append(*required, name)
		}
	}
}

func withDescription(s object, d string) object {
	n := object{"description": d}
	for k, v := range s {
		if k != "description" {
			n[k] = v
		}
	}
	return n
}
