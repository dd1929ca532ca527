package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style []byte

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// The page is made once, without a script: it needs nothing from elsewhere.
type pageData struct {
	Version string
	Groups  []pageGroup
	Schemas []pageSchema
}

type pageGroup struct {
	Name       string
	Operations []pageOperation
}

type pageOperation struct {
	Method, Path, ID, Summary, Text string
	Query                           []pageField
	Body                            string
	Answers                         []pageField
}

type pageField struct{ Name, Text string }

type pageSchema struct{ Name, Text string }

func render(version string, components object) ([]byte, error) {
	data := pageData{Version: version}
	for _, tag := range tags {
		name, _ := tag["name"].(string)
		data.Groups = append(data.Groups, groupOf(name))
	}
	for _, name := range slices.Sorted(maps.Keys(components)) {
		b, err := json.MarshalIndent(components[name], "", "  ")
		if err != nil {
			return nil, fmt.Errorf("encode the schema %s: %w", name, err)
		}
		data.Schemas = append(data.Schemas, pageSchema{name, string(b)})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render the API page: %w", err)
	}
	return b.Bytes(), nil
}

func groupOf(tag string) pageGroup {
	g := pageGroup{Name: tag}
	for i := range operations {
		op := &operations[i]
		if op.tag != tag {
			continue
		}
		p := pageOperation{Method: op.method, Path: op.path, ID: op.id, Summary: op.summary, Text: op.text()}
		for _, q := range op.query {
			p.Query = append(p.Query, pageField{q.name, q.text})
		}
		if name, ok := op.body["$ref"].(string); ok {
			p.Body = name[strings.LastIndex(name, "/")+1:]
		} else if op.body != nil {
			p.Body = "Submission"
		}
		for _, a := range op.answers {
			p.Answers = append(p.Answers, pageField{fmt.Sprint(a.status), a.describe()})
		}
		for _, status := range op.problems {
			p.Answers = append(p.Answers, pageField{fmt.Sprint(status), "Problem"})
		}
		g.Operations = append(g.Operations, p)
	}
	return g
}

func (a *reply) describe() string {
	parts := []string{}
	if a.shape != nil {
		parts = append(parts, strings.TrimPrefix(strings.ReplaceAll(fmt.Sprintf("%T", a.shape), "openapi.accepted", "SubmitAnswer or BulkAnswer"), "wire."))
	}
	if a.text != "" {
		parts = append(parts, a.text)
	}
	if a.media != "" {
		parts = append(parts, a.media)
	}
	return strings.Join(parts, ": ")
}
