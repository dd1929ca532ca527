package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/report"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

func curves() []report.Curve {
	tasks := report.Curve{Name: "tasks", Of: "pending tasks"}
	for _, run := range []float64{1, 3, 2} {
		tasks.Add(0, workload.Figures{workload.Submission: 1000 * run, workload.Dispatch: 5000})
		tasks.Add(1_000_000, workload.Figures{workload.Submission: 900 * run, workload.Dispatch: 3000, workload.PageP99: 8 * run})
	}
	boards := report.Curve{Name: "dashboards", Of: "dashboards"}
	boards.Add(0, workload.Figures{workload.ServerCPU: 4})
	boards.Add(200, workload.Figures{workload.ServerCPU: 23, workload.Messages: 4})
	return []report.Curve{tasks, boards}
}

func TestGrowthIsJudgedAgainstItsBeginning(t *testing.T) {
	t.Parallel()
	text := report.GrowthMarkdown(curves(), 3, false)
	for _, line := range []string{
		"| pending tasks | 0 | 1,000,000 |",
		"| submission, tasks/s | 2,000 | 1,800 |",
		"| filtered first page, p99 ms | – | 16.0 |",
		"| submission beside 1,000,000 pending tasks, against an empty queue | 0.900 | ≥ 0.8 | met |",
		"| dispatch beside 1,000,000 pending tasks, against an empty queue | 0.600 | ≥ 0.8 | **missed** |",
		"| filtered first page with 1,000,000 pending tasks, p99 | 16.0 ms | ≤ 20 | met |",
		"| 200 dashboards, CPU of `batuta up` beyond that without any | 19.0 % of a core | ≤ 20 | met |",
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "heartbeats", "what was not measured is not judged")
}

func TestGrowthIsWrittenBetweenItsMarks(t *testing.T) {
	t.Parallel()
	docs, chart := filepath.Join(t.TempDir(), "page.md"), filepath.Join(t.TempDir(), "chart.svg")
	require.NoError(t, os.WriteFile(docs, []byte(report.Begin+"\nfigures\n"+report.End+"\n"+report.GrowthBegin+"\nold\n"+report.GrowthEnd+"\n"), 0o600))
	require.NoError(t, report.WriteGrowth(docs, chart, "new", curves()))
	b, err := os.ReadFile(docs)
	require.NoError(t, err)
	require.Equal(t, report.Begin+"\nfigures\n"+report.End+"\n"+report.GrowthBegin+"\n\nnew\n\n"+report.GrowthEnd+"\n", string(b))
	b, err = os.ReadFile(chart)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(b), "<polyline"), "a line for each figure that was measured")
}
