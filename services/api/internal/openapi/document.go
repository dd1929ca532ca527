// Package openapi is the description of the HTTP API: OpenAPI 3.1, made of the types that
// are sent, and a page that shows it.
package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Document is the description as JSON and as a page.
type Document struct {
	JSON, Page, Style []byte
}

// New makes the document for a version of the program.
func New(version string) (*Document, error) {
	g := &schemas{components: object{}}
	paths := object{}
	for i := range operations {
		op := &operations[i]
		path, ok := paths[op.path].(object)
		if !ok {
			path = object{}
			paths[op.path] = path
		}
		path[strings.ToLower(op.method)] = g.operation(op)
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[wire.Snapshot](), reflect.TypeFor[wire.Delta](), reflect.TypeFor[wire.Definition](),
		reflect.TypeFor[wire.SubmitAnswer](), reflect.TypeFor[wire.BulkAnswer](), reflect.TypeFor[wire.Fault](),
	} {
		g.of(t)
	}
	maps.Copy(g.components, inputs)
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Batuta", "version": version, "summary": "A distributed task orchestrator on NATS JetStream.",
			"description": "Times are RFC 3339 UTC with milliseconds, durations integers of milliseconds. Every field is always present, null where unknown. Unknown keys and query parameters are refused by name.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []object{{"url": "/"}, {"url": "/api/v1"}},
		"security":   []object{{"token": []string{}}, {"session": []string{}}, {}},
		"tags":       tags,
		"paths":      paths,
		"components": object{"schemas": g.components, "securitySchemes": security},
	}
	body, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	page, err := render(version, g.components)
	if err != nil {
		return nil, err
	}
	return &Document{JSON: body, Page: page, Style: style}, nil
}

var security = object{
	"token":   object{"type": "http", "scheme": "bearer", "description": "A token of BATUTA_TOKENS_FILE. Without such a file none is needed."},
	"session": object{"type": "apiKey", "in": "cookie", "name": "batuta_session", "description": "Set by POST /session."},
}

var tags = []object{
	{"name": "tasks"}, {"name": "workers"}, {"name": "pools"}, {"name": "queues"}, {"name": "system"}, {"name": "access"},
}

func (g *schemas) operation(op *operation) object {
	out := object{"operationId": op.id, "tags": []string{op.tag}, "summary": op.summary, "responses": g.responses(op)}
	if d := op.text(); d != "" {
		out["description"] = d
	}
	if op.role == "" {
		out["security"] = []object{}
	}
	params := []object{}
	for _, name := range pathParams(op.path) {
		params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range op.query {
		params = append(params, object{"name": p.name, "in": "query", "description": p.text, "schema": p.schema})
	}
	if len(params) > 0 {
		out["parameters"] = params
	}
	if op.body != nil {
		out["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": op.body}}}
	}
	return out
}

func (op *operation) text() string {
	d := op.description
	if op.role != "" {
		d = strings.TrimSpace(d + " Needs the role " + op.role + ".")
	}
	return d
}

func pathParams(path string) (names []string) {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return names
}

func (g *schemas) responses(op *operation) object {
	out := object{}
	for _, a := range op.answers {
		out[strconv.Itoa(a.status)] = g.response(&a)
	}
	problems := append([]int{http.StatusInternalServerError}, op.problems...)
	if op.role != "" {
		problems = append(problems, http.StatusUnauthorized)
	}
	problems = append(problems, http.StatusBadRequest, http.StatusForbidden)
	for _, status := range problems {
		out[strconv.Itoa(status)] = object{
			"description": http.StatusText(status),
			"content":     object{wire.ProblemType: object{"schema": g.of(reflect.TypeFor[wire.Problem]())}},
		}
	}
	return out
}

func (g *schemas) response(a *reply) object {
	text := a.text
	if text == "" {
		text = http.StatusText(a.status)
	}
	out := object{"description": text}
	if a.shape != nil {
		out["content"] = object{"application/json": object{"schema": g.of(reflect.TypeOf(a.shape))}}
	}
	if a.media != "" {
		out["content"] = object{a.media: object{"schema": object{"type": "string"}}}
	}
	if a.file {
		out["content"] = object{"application/json": object{"schema": anyJSON("An OpenAPI 3.1 document.")}}
	}
	if a.location {
		out["headers"] = object{"Location": object{"description": "Where the task is.", "schema": object{"type": "string"}}}
	}
	return out
}
