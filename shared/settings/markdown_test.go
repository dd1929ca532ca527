package settings_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/settings"
)

var update = flag.Bool("update", false, "write the table of settings into docs/OPERATIONS.md")

const (
	operations = "../../docs/OPERATIONS.md"
	tableBegin = "<!-- settings: begin (go test ./settings -update) -->\n"
	tableEnd   = "<!-- settings: end -->\n"
)

// TestOperationsHasTheTable keeps the documentation equal to the code.
func TestOperationsHasTheTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(operations)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(doc), tableBegin)
	require.True(t, found, "%s has no mark for the table's begin", operations)
	old, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found, "%s has no mark for the table's end", operations)
	if *update {
		text := before + tableBegin + settings.Markdown() + tableEnd + after
		require.NoError(t, os.WriteFile(operations, []byte(text), 0o644))
		return
	}
	require.Equal(t, settings.Markdown(), old)
}
