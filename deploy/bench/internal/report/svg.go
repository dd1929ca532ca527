package report

import (
	"fmt"
	"html"
	"strings"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// panel is one small chart: a bar for each system.
type panel struct {
	title, workload, figure string
}

var panels = []panel{
	{"one at a time, 8 producers: tasks/s", "one8", workload.PerSecond},
	{"one at a time, 64 producers: tasks/s", "one64", workload.PerSecond},
	{"in bulk, live: tasks/s", "bulk", workload.Recorded},
	{"drain of a filled queue: tasks/s", "drain", workload.Recorded},
	{"idle, submit to start: p50 ms (less is better)", "idle", workload.P50},
	{"CPU seconds for 1,000 tasks in bulk (less is better)", "bulk", workload.CPU},
}

const (
	panelWidth, barHeight, barGap = 420, 16, 6
	labelWidth, valueWidth        = 130, 70
	titleHeight, margin           = 26, 16
	colourOurs, colourOthers      = "#0f766e", "#94a3b8"
)

// bar is one system's figure.
type bar struct {
	name  string
	value float64
}

// SVG draws the panels that have figures, two side by side.
func (r *Report) SVG() string {
	var body strings.Builder
	x, y, rowHeight, drawn := margin, margin, 0, 0
	for _, p := range panels {
		bars := r.bars(p)
		if len(bars) == 0 {
			continue
		}
		height := draw(&body, p.title, bars, x, y)
		rowHeight = max(rowHeight, height)
		if drawn++; drawn%2 == 0 {
			x, y, rowHeight = margin, y+rowHeight+margin, 0
		} else {
			x += panelWidth + margin
		}
	}
	width, height := 2*panelWidth+3*margin, y+rowHeight+margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, width, height, width, height, body.String())
}

func (r *Report) bars(p panel) []bar {
	var out []bar
	for _, s := range r.order {
		if v, ok := r.figure(s, p.workload, p.figure); ok {
			out = append(out, bar{s, v})
		}
	}
	return out
}

func draw(b *strings.Builder, title string, bars []bar, x, y int) (height int) {
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="600" fill="#0f172a">%s</text>`+"\n", x, y+14, html.EscapeString(title))
	largest := 0.0
	for _, one := range bars {
		largest = max(largest, one.value)
	}
	room := float64(panelWidth - labelWidth - valueWidth)
	for i, one := range bars {
		top := y + titleHeight + i*(barHeight+barGap)
		width := 1.0
		if largest > 0 {
			width = max(room*one.value/largest, 1)
		}
		colour := colourOthers
		if strings.HasPrefix(one.name, "batuta") {
			colour = colourOurs
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#334155">%s</text>`, x+labelWidth-6, top+12, html.EscapeString(one.name))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`, x+labelWidth, top, width, barHeight, colour)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#334155">%s</text>`+"\n", float64(x+labelWidth)+width+6, top+12, number(one.value))
	}
	return titleHeight + len(bars)*(barHeight+barGap)
}
