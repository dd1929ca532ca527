package openapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/openapi"
)

func document(t *testing.T) map[string]any {
	t.Helper()
	d, err := openapi.New("1.2.3")
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(d.JSON, &doc))
	return doc
}

// walk visits every JSON object of a document with its path.
func walk(path string, v any, visit func(path string, o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(path, v)
		for k, one := range v {
			walk(path+"/"+k, one, visit)
		}
	case []any:
		for i, one := range v {
			walk(fmt.Sprintf("%s/%d", path, i), one, visit)
		}
	}
}

func isObject(kind any) bool {
	if all, ok := kind.([]any); ok {
		for _, one := range all {
			if one == "object" {
				return true
			}
		}
	}
	return kind == "object"
}

func TestEveryObjectIsClosedOrADocumentedMap(t *testing.T) {
	t.Parallel()
	seen := 0
	walk("", document(t), func(path string, o map[string]any) {
		if !isObject(o["type"]) || strings.HasSuffix(path, "/properties") {
			return
		}
		seen++
		require.Contains(t, o, "additionalProperties", path)
		if o["additionalProperties"] != false {
			require.NotEmpty(t, o["description"], path)
		}
	})
	require.Greater(t, seen, 40)
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	t.Parallel()
	doc := document(t)
	d, err := openapi.New("1.2.3")
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(d.JSON)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("doc.json", parsed))
	refs := 0
	walk("", doc, func(path string, o map[string]any) {
		if ref, ok := o["$ref"].(string); ok {
			refs++
			_, err := c.Compile("doc.json" + ref)
			require.NoError(t, err, path)
		}
	})
	require.Greater(t, refs, 40)
}

func TestOperationsAreComplete(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	paths, ok := document(t)["paths"].(map[string]any)
	require.True(t, ok)
	for path, methods := range paths {
		for method, one := range methods.(map[string]any) {
			op := one.(map[string]any)
			id, _ := op["operationId"].(string)
			require.NotEmpty(t, id, path)
			require.False(t, ids[id], "%s twice", id)
			ids[id] = true
			responses := op["responses"].(map[string]any)
			for _, status := range []string{"400", "403", "500"} {
				require.Contains(t, responses, status, "%s %s", method, path)
			}
			if method == "get" {
				require.NotContains(t, op, "requestBody", path)
			}
		}
	}
	require.Greater(t, len(ids), 30)
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	d, err := openapi.New("1.2.3")
	require.NoError(t, err)
	page := string(d.Page)
	require.Contains(t, page, "Version 1.2.3")
	require.Contains(t, page, `id="schema-TaskDetail"`)
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "//")
	require.NotContains(t, string(d.Style), "url(")
}
