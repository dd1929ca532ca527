package cli_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the reference into docs/cli.md")

const (
	manual         = "../../../../docs/cli.md"
	referenceBegin = "<!-- reference: begin (go test ./internal/cli -update) -->\n"
	referenceEnd   = "<!-- reference: end -->\n"
)

// reference is the help of every command, as the manual has it.
func reference() string {
	var b strings.Builder
	for _, name := range commandNames {
		help := runCLI(context.Background(), session{commands: everything()}, name, "--help").out
		about, usage, _ := strings.Cut(help, "\nUsage:\n")
		b.WriteString("\n### batuta " + name + "\n\n")
		if name == "completion" { // cobra's own words, which repeat the title
			about = "Prints a script that completes commands, flags, ids and names in a shell.\n"
		}
		settings := ""
		if name == "up" || name == "worker" {
			usage, _, _ = strings.Cut(usage, "\nFlags:\n")
			settings = "\nIts flags are the [settings](OPERATIONS.md#settings); `batuta " + name + " --help` lists them.\n"
		}
		b.WriteString(strings.TrimSpace(about) + "\n\n```text\nUsage:\n" + strings.TrimRight(trimLines(usage), "\n") + "\n```\n" + settings)
	}
	return b.String() + "\n"
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestTheManualHasTheReference(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(manual)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), referenceBegin)
	require.True(t, found)
	was, after, found := strings.Cut(rest, referenceEnd)
	require.True(t, found)
	want := reference()
	if *update {
		require.NoError(t, os.WriteFile(manual, []byte(before+referenceBegin+want+referenceEnd+after), 0o644))
		return
	}
	require.Equal(t, want, was, "run: go test ./internal/cli -update")
}
