package report_test

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/report"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

type system struct{ name, promise string }

func (s system) Name() string    { return s.name }
func (s system) Promise() string { return s.promise }

func filled(t *testing.T) *report.Report {
	t.Helper()
	r := report.New(3, false)
	ours, river, asynq := system{"batuta-1s", "1s"}, system{"river", "always"}, system{"asynq", "1s"}
	for _, s := range []system{ours, river, asynq} {
		r.Describe(s, []string{s.name + " 1.2.3"})
	}
	for _, v := range []float64{60000, 10, 30000} {
		r.Add(ours, "one8", workload.Figures{workload.PerSecond: v}, []string{"sync 1s"})
	}
	r.Add(river, "one8", workload.Figures{workload.PerSecond: 2700}, []string{"fsync on"})
	r.Add(asynq, "one8", workload.Figures{workload.PerSecond: 7000}, nil)
	r.Add(ours, "idle", workload.Figures{workload.P50: 0.9}, []string{"sync 1s"})
	r.Add(asynq, "idle", workload.Figures{workload.P50: 1.2}, nil)
	r.Add(ours, "bulk", workload.Figures{workload.DiskBytes: 750}, nil)
	r.Add(river, "recovery", workload.Figures{workload.First: workload.NotRecovered}, nil)
	return r
}

func TestTheTableHoldsMediansAndRatios(t *testing.T) {
	t.Parallel()
	text := filled(t).Markdown()
	for _, line := range []string{
		"| | batuta-1s | river | asynq |",
		"| one at a time, 8 producers, tasks/s | 30,000 | 2,700 | 7,000 |",
		"| SIGKILL of a worker to the first restart, ms | – | not in time | – |",
		"| `1s`, one at a time, 8 producers | 30,000 tasks/s | 7,000 (asynq) | 4.29 | ≥ 3 | met |",
		"| `1s`, idle, submit to start, p50 | 0.900 ms | 1.20 (asynq) | 0.750 | ≤ 0.6 | **missed** |",
		"| `1s`, disk for a finished task with its history | 750 bytes | – | – | ≤ 800 | met |",
		"- **batuta-1s** (promise: what is acknowledged survives the death of any process, and a power loss but for a second): batuta-1s 1.2.3; sync 1s",
	} {
		require.Contains(t, text, line+"\n")
	}
	require.Contains(t, text, "medians of 3 runs")
	require.NotContains(t, text, "drain", "what was not measured has no line")
}

func TestOnlyThePartBetweenTheMarksIsReplaced(t *testing.T) {
	t.Parallel()
	docs, chart := filepath.Join(t.TempDir(), "B.md"), filepath.Join(t.TempDir(), "c.svg")
	require.NoError(t, os.WriteFile(docs, []byte("before\n"+report.Begin+"\nold\n"+report.End+"\nafter\n"), 0o600))
	require.NoError(t, filled(t).Write(docs, chart))
	b, err := os.ReadFile(docs)
	require.NoError(t, err)
	require.NotContains(t, string(b), "old")
	require.True(t, strings.HasPrefix(string(b), "before\n"))
	require.True(t, strings.HasSuffix(string(b), report.End+"\nafter\n"))
	_, err = report.Replace("no marks", report.Begin, report.End, "x")
	require.Error(t, err)
}

func TestTheChartIsWellFormed(t *testing.T) {
	t.Parallel()
	d := xml.NewDecoder(strings.NewReader(filled(t).SVG()))
	bars := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 1+3+2, bars, "the ground, and a bar for each figure")
}
