package report

import (
	"errors"
	"fmt"
	"html"
	"os"
	"strings"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// Marks around the generated part about growth.
const (
	GrowthBegin = "<!-- growth: begin (make bench-growth writes what stands up to the end) -->"
	GrowthEnd   = "<!-- growth: end -->"
)

// Curve is how figures change as one thing grows.
type Curve struct {
	Name, Of string
	at       []int
	values   map[int]map[string][]float64
}

// Add adds the figures of one run at one size.
func (c *Curve) Add(at int, f workload.Figures) {
	if c.values == nil {
		c.values = map[int]map[string][]float64{}
	}
	if c.values[at] == nil {
		c.values[at] = map[string][]float64{}
		c.at = append(c.at, at)
	}
	for name, v := range f {
		c.values[at][name] = append(c.values[at][name], v)
	}
}

func (c *Curve) value(at int, figure string) (float64, bool) {
	v, ok := c.values[at][figure]
	return stats.Median(v), ok
}

// line is one figure of a curve.
type line struct{ title, figure string }

var lines = map[string][]line{
	"tasks": {
		{"submission, tasks/s", workload.Submission},
		{"dispatch, tasks/s", workload.Dispatch},
		{"filtered first page, p50 ms", workload.PageP50},
		{"filtered first page, p99 ms", workload.PageP99},
		{"memory of `batuta up`, MB", workload.MemoryMB},
	},
	"workers": {
		{"CPU of `batuta up`, % of a core", workload.ServerCPU},
		{"CPU of the pool process, % of a core", workload.PoolCPU},
	},
	"dashboards": {
		{"CPU of `batuta up`, % of a core", workload.ServerCPU},
		{"messages a second to each", workload.Messages},
	},
}

// bound is a target on how a curve ends. Ratio: against where it begins; difference: less that.
type bound struct {
	name, curve, figure string
	at                  int
	ratio, difference   bool
	least, most         float64
	unit                string
}

var bounds = []bound{
	{name: "submission beside 1,000,000 pending tasks, against an empty queue", curve: "tasks", figure: workload.Submission, at: 1_000_000, ratio: true, least: 0.8},
	{name: "dispatch beside 1,000,000 pending tasks, against an empty queue", curve: "tasks", figure: workload.Dispatch, at: 1_000_000, ratio: true, least: 0.8},
	{name: "filtered first page with 1,000,000 pending tasks, p99", curve: "tasks", figure: workload.PageP99, at: 1_000_000, most: 20, unit: " ms"},
	{name: "heartbeats of 1,000 workers, CPU of `batuta up`", curve: "workers", figure: workload.ServerCPU, at: 1_000, most: 10, unit: " % of a core"},
	{name: "200 dashboards, CPU of `batuta up` beyond that without any", curve: "dashboards", figure: workload.ServerCPU, at: 200, difference: true, most: 20, unit: " % of a core"},
}

// GrowthMarkdown is a table for each curve, and one of the targets.
func GrowthMarkdown(curves []Curve, runs int, quick bool) string {
	var b strings.Builder
	kind := fmt.Sprintf("medians of %d runs", runs)
	if quick {
		kind = "one quick run: it shows that everything runs, not how fast"
	}
	fmt.Fprintf(&b, "%s; %s.\n", machine(), kind)
	for i := range curves {
		curves[i].table(&b)
	}
	var rows strings.Builder
	for _, t := range bounds {
		for i := range curves {
			if curves[i].Name == t.curve {
				curves[i].judge(&rows, t)
			}
		}
	}
	if rows.Len() > 0 {
		b.WriteString("\n| figure | Batuta | wanted | |\n|---|---:|---:|---|\n" + rows.String())
	}
	return b.String()
}

func (c *Curve) table(b *strings.Builder) {
	if len(c.at) == 0 {
		return
	}
	heads := make([]string, len(c.at))
	for i, at := range c.at {
		heads[i] = number(float64(at))
		if at < 1000 {
			heads[i] = fmt.Sprint(at)
		}
	}
	fmt.Fprintf(b, "\n| %s |%s\n|---|%s\n", c.Of, cells(heads), strings.Repeat("---:|", len(heads)))
	for _, l := range lines[c.Name] {
		row := make([]string, len(c.at))
		for i, at := range c.at {
			row[i] = "–"
			if v, ok := c.value(at, l.figure); ok {
				row[i] = number(v)
			}
		}
		fmt.Fprintf(b, "| %s |%s\n", l.title, cells(row))
	}
}

func (c *Curve) judge(b *strings.Builder, t bound) {
	v, ok := c.value(t.at, t.figure)
	if !ok {
		return
	}
	base, ok := c.value(c.at[0], t.figure)
	switch {
	case (t.ratio || t.difference) && (!ok || base == 0):
		return
	case t.ratio:
		v /= base
	case t.difference:
		v -= base
	}
	met := "**missed**"
	if t.least > 0 && v >= t.least || t.most > 0 && v <= t.most {
		met = "met"
	}
	fmt.Fprintf(b, "| %s | %s%s | %s | %s |\n", t.name, number(v), t.unit, wanted(target{least: t.least, most: t.most}), met)
}

// drawn are the lines of the chart.
var drawn = []struct{ title, curve, figure string }{
	{"submission beside pending tasks: tasks/s", "tasks", workload.Submission},
	{"dispatch beside pending tasks: tasks/s", "tasks", workload.Dispatch},
	{"filtered first page beside pending tasks: p99 ms", "tasks", workload.PageP99},
	{"heartbeats of workers: % of a core", "workers", workload.ServerCPU},
	{"dashboards: % of a core", "dashboards", workload.ServerCPU},
}

const (
	curveHeight = 130
	axisWidth   = 60
)

// GrowthSVG draws the curves, two side by side. Sizes stand at even distances: they grow by
// about the same factor.
func GrowthSVG(curves []Curve) string {
	var body strings.Builder
	n := 0
	for _, d := range drawn {
		for i := range curves {
			if c := &curves[i]; c.Name == d.curve && len(c.at) > 0 {
				x, y := margin+n%2*(panelWidth+margin), margin+n/2*(curveHeight+titleHeight+2*margin)
				c.draw(&body, d.title, d.figure, x, y)
				n++
			}
		}
	}
	width, height := 2*panelWidth+3*margin, margin+(n+1)/2*(curveHeight+titleHeight+2*margin)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, width, height, width, height, body.String())
}

func (c *Curve) draw(b *strings.Builder, title, figure string, x, y int) {
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="600" fill="#0f172a">%s</text>`+"\n", x, y+14, html.EscapeString(title))
	largest := 0.0
	for _, at := range c.at {
		if v, ok := c.value(at, figure); ok {
			largest = max(largest, v)
		}
	}
	bottom := y + titleHeight + curveHeight - 2*margin
	step := float64(panelWidth-2*axisWidth) / float64(max(len(c.at)-1, 1))
	fmt.Fprintf(b, `<path d="M%d %dH%d" stroke="#cbd5e1"/>`+"\n", x+axisWidth/2, bottom, x+panelWidth-axisWidth/2)
	var points []string
	for i, at := range c.at {
		px := float64(x+axisWidth) + step*float64(i)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#334155">%s</text>`+"\n", px, bottom+16, html.EscapeString(size(at)))
		v, ok := c.value(at, figure)
		if !ok {
			continue
		}
		py := float64(bottom)
		if largest > 0 {
			py -= v / largest * float64(bottom-y-titleHeight-margin)
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/><text x="%.1f" y="%.1f" text-anchor="middle" fill="#334155">%s</text>`+"\n", px, py, colourOurs, px, py-7, number(v))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colourOurs)
}

func size(at int) string {
	if at < 1000 {
		return fmt.Sprint(at)
	}
	return number(float64(at))
}

// WriteGrowth replaces the part about growth in docs and draws the chart; an empty name
// writes none.
func WriteGrowth(docs, chart, text string, curves []Curve) error {
	var failed error
	if chart != "" {
		failed = os.WriteFile(chart, []byte(GrowthSVG(curves)), 0o644) //nolint:gosec // a picture for everybody
	}
	if docs == "" {
		return failed
	}
	return errors.Join(failed, rewrite(docs, GrowthBegin, GrowthEnd, text))
}
