package readmodel

import (
	"cmp"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// threadTime is the processor time of the calling thread: unlike the clock it says the same on
// a busy machine.
func threadTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	require.NoError(tb, unix.Getrusage(unix.RUSAGE_THREAD, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMillion(b *testing.B) {
	before := heap()
	s := newStore()
	fill(b, s, 1_000_000)
	used := heap() - before
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"all", Query{}},
		{"failed", Query{Filter: Filter{Status: []wire.Status{wire.StatusFailed}}}},
		{"completed by time", Query{Filter: Filter{Status: []wire.Status{wire.StatusCompleted}}, Sort: SortSubmitted}},
		{"family, slowest first", Query{Filter: Filter{Type: []string{"family1.*"}}, Sort: SortExecution, Descending: true}},
		{"two tags", Query{Filter: Filter{Tag: []Tag{{Key: "env", Value: "prod"}, {Key: "customer", Value: "customer-17"}}}}},
		{"common tag", Query{Filter: Filter{Tag: []Tag{{Key: "env", Value: "prod"}}}}},
		{"prefix", Query{Filter: Filter{Prefix: "task-5000"}}},
		{"worker and priority with facets", Query{Filter: Filter{Worker: []string{"worker-3"}, Priority: []wire.Priority{wire.PriorityHigh}}, Facets: true}},
		{"all with facets by priority", Query{Sort: SortPriority, Facets: true, Limit: 1000}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.q.Limit = cmp.Or(c.q.Limit, LimitDefault)
			took := make([]time.Duration, 0, 1000)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				begun := threadTime(b)
				_, err := s.query(&c.q)
				took = append(took, threadTime(b)-begun)
				require.NoError(b, err)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-cpu-µs")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-cpu-µs")
			b.ReportMetric(float64(used)/(1<<20), "MiB-heap")
		})
	}
}
