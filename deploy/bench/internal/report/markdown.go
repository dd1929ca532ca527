package report

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// Marks around the generated part of a Markdown file.
const (
	Begin = "<!-- figures: begin (make bench writes what stands up to the end) -->"
	End   = "<!-- figures: end -->"
)

// row is a line of the table of figures.
type row struct {
	title, workload, figure, unit string
}

var rows = []row{
	{"one at a time, 8 producers, tasks/s", "one8", workload.PerSecond, ""},
	{"one at a time, 8 producers, until recorded", "one8", workload.Recorded, ""},
	{"one at a time, 64 producers, tasks/s", "one64", workload.PerSecond, ""},
	{"one at a time, 64 producers, until recorded", "one64", workload.Recorded, ""},
	{"one at a time over HTTP, 64 clients, tasks/s", "api64", workload.PerSecond, ""},
	{"in bulk, live, tasks/s", "bulk", workload.PerSecond, ""},
	{"in bulk, live, until recorded", "bulk", workload.Recorded, ""},
	{"drain of a filled queue, tasks/s", "drain", workload.PerSecond, ""},
	{"drain of a filled queue, until recorded", "drain", workload.Recorded, ""},
	{"idle, submit to start, p50 ms", "idle", workload.P50, ""},
	{"idle, submit to start, p99 ms", "idle", workload.P99, ""},
	{"idle, the submitting call, p50 ms", "idle", workload.CallP50, ""},
	{"`high` over a backlog, p50 ms", "high", workload.P50, ""},
	{"`high` over a backlog, p99 ms", "high", workload.P99, ""},
	{"SIGKILL of a worker to the first restart, ms", "recovery", workload.First, ""},
	{"SIGKILL of a worker to the last restart, ms", "recovery", workload.Last, ""},
	{"CPU s for 1,000 tasks, one at a time, 64", "one64", workload.CPU, ""},
	{"CPU s for 1,000 tasks, in bulk", "bulk", workload.CPU, ""},
	{"CPU s for 1,000 tasks, drain", "drain", workload.CPU, ""},
	{"memory of all processes after bulk, MB", "bulk", workload.MemoryMB, ""},
	{"disk for a task after bulk, bytes", "bulk", workload.DiskBytes, ""},
}

// Markdown is the report: figures, ratios, versions and settings.
func (r *Report) Markdown() string {
	var b strings.Builder
	kind := fmt.Sprintf("medians of %d runs", r.runs)
	if r.quick {
		kind = "one quick run: it shows that everything runs, not how fast"
	}
	fmt.Fprintf(&b, "%s; %s.\n\n", machine(), kind)
	r.table(&b)
	r.ratios(&b)
	b.WriteString("\nVersions, and settings as read back from the servers:\n\n")
	for _, s := range r.order {
		parts := append(append([]string(nil), r.versions[s]...), r.settings[s]...)
		fmt.Fprintf(&b, "- **%s** (promise: %s): %s\n", s, promises[r.promise[s]], strings.Join(parts, "; "))
	}
	return b.String()
}

var promises = map[string]string{
	"always": "what is acknowledged survives power loss",
	"1s":     "what is acknowledged survives the death of any process, and a power loss but for a second",
}

func (r *Report) table(b *strings.Builder) {
	fmt.Fprintf(b, "| |%s\n|---|%s\n", cells(r.order), strings.Repeat("---:|", len(r.order)))
	for _, w := range rows {
		line, any := make([]string, len(r.order)), false
		for i, s := range r.order {
			line[i] = "–"
			if v, ok := r.figure(s, w.workload, w.figure); ok {
				line[i], any = number(v), true
			}
		}
		if any {
			fmt.Fprintf(b, "| %s |%s\n", w.title, cells(line))
		}
	}
}

func (r *Report) ratios(b *strings.Builder) {
	all := r.outcomes()
	if len(all) == 0 {
		return
	}
	b.WriteString("\n| figure | Batuta | best of the others | ratio | wanted | |\n|---|---:|---:|---:|---:|---|\n")
	for _, o := range all {
		best, ratio := "–", "–"
		if o.whose != "" {
			best, ratio = fmt.Sprintf("%s (%s)", number(o.best), o.whose), number(o.ratio)
		}
		met := "**missed**"
		if o.met {
			met = "met"
		}
		fmt.Fprintf(b, "| %s | %s %s | %s | %s | %s | %s |\n", o.name, number(o.ours), o.unit, best, ratio, wanted(o.target), met)
	}
}

func wanted(t target) string {
	if t.least > 0 {
		return "≥ " + strconv.FormatFloat(t.least, 'f', -1, 64)
	}
	return "≤ " + strconv.FormatFloat(t.most, 'f', -1, 64)
}

func cells(s []string) string { return " " + strings.Join(s, " | ") + " |" }

// number shows three digits that count; more of what is above a thousand.
func number(v float64) string {
	switch {
	case v == workload.NotRecovered:
		return "not in time"
	case v >= 1000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// Write replaces the generated part of docs and draws the chart; an empty name writes none.
func (r *Report) Write(docs, chart string) error {
	if chart != "" {
		if err := os.WriteFile(chart, []byte(r.SVG()), 0o644); err != nil { //nolint:gosec // a picture for everybody
			return err
		}
	}
	if docs == "" {
		return nil
	}
	return rewrite(docs, Begin, End, r.Markdown())
}

// rewrite replaces the part of a file between two marks.
func rewrite(name, begin, end, text string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	whole, err := Replace(string(old), begin, end, text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(whole), 0o644) //nolint:gosec // a document for everybody
}

// Replace puts generated text between two marks.
func Replace(old, begin, end, generated string) (string, error) {
	before, rest, ok := strings.Cut(old, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("the marks %q and %q are not there", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimRight(generated, "\n") + "\n\n" + end + after, nil
}
