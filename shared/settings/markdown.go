package settings

import (
	"fmt"
	"strings"
)

// Markdown is the table of settings for the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning | rule |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range table {
		fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s | %s |\n", s.Env(), s.Name, s.shown(), s.Help, cell(s.allowed()))
	}
	return b.String()
}

// allowed joins form and rule for people.
func (s Setting) allowed() string {
	if s.Form == "" {
		return s.Rule
	}
	return s.Form + ": " + s.Rule
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
