package wire_test

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestQuantilesAreNearThoseOfTheData(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Map(rapid.Float64Range(-1, 8), func(x float64) float64 { return math.Pow(10, x) }), 1, 200).Draw(t, "ms")
		var h wire.Histogram
		sum := 0.0
		for _, ms := range data {
			h.Add(ms)
			sum += ms
		}
		sort.Float64s(data)
		require.Equal(t, uint64(len(data)), h.Count)
		require.InEpsilon(t, sum/float64(len(data)), h.Mean(), 1e-9)
		q := rapid.Float64Range(0.001, 1).Draw(t, "q")
		want := data[int(math.Ceil(q*float64(len(data))))-1]
		require.InEpsilon(t, want, h.Quantile(q), 0.1, "q=%v", q)
	})
}

func TestBucketsHoldWhatTheirBoundsSay(t *testing.T) {
	t.Parallel()
	for i := range 200 {
		var h wire.Histogram
		h.Add(wire.HistogramBound(i))
		require.Equal(t, map[int]uint64{i: 1}, h.Buckets, "the bound itself")
		h = wire.Histogram{}
		h.Add(wire.HistogramBound(i) * 1.001)
		require.Equal(t, map[int]uint64{i + 1: 1}, h.Buckets)
	}
	var h wire.Histogram
	for _, ms := range []float64{0, -5, 0.05, 0.1} {
		h.Add(ms)
	}
	require.Equal(t, map[int]uint64{0: 4}, h.Buckets)
	require.LessOrEqual(t, h.Quantile(0.99), 0.1)
}

func TestAnEmptyHistogramSaysNothing(t *testing.T) {
	t.Parallel()
	var h wire.Histogram
	require.Zero(t, h.Quantile(0.5))
	require.Zero(t, h.Mean())
	require.Zero(t, h.Minus(wire.Histogram{}).Quantile(0.99))
}

func TestDifferencesOfHistograms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.SliceOf(rapid.Float64Range(0, 1e6))
		first, second := ms.Draw(t, "first"), ms.Draw(t, "second")
		var all, later wire.Histogram
		for _, x := range first {
			all.Add(x)
		}
		earlier := all.Clone()
		kept := string(encoded(t, earlier))
		for _, x := range second {
			all.Add(x)
			later.Add(x)
		}
		require.Equal(t, kept, string(encoded(t, earlier)), "a clone stands for itself")
		d := all.Minus(earlier)
		require.Equal(t, later.Count, d.Count)
		require.InDelta(t, later.SumMs, d.SumMs, 1e-3)
		for _, q := range []float64{0.01, 0.5, 0.99, 1} {
			require.InDelta(t, later.Quantile(q), d.Quantile(q), 1e-9)
		}
	})
}

func TestTotalsCountByOutcomeAndType(t *testing.T) {
	t.Parallel()
	var totals wire.Totals
	totals.CountFinished(wire.StatusCompleted, "a")
	totals.CountFinished(wire.StatusCompleted, "a")
	totals.CountFinished(wire.StatusFailed, "b")
	require.Equal(t, map[wire.Status]map[string]uint64{wire.StatusCompleted: {"a": 2}, wire.StatusFailed: {"b": 1}}, totals.Finished)

	c := totals.Clone()
	totals.CountFinished(wire.StatusCompleted, "a")
	totals.DurationMs.Add(5)
	require.Equal(t, uint64(2), c.Finished[wire.StatusCompleted]["a"])
	require.Zero(t, c.DurationMs.Count)

	var back wire.Totals
	b, err := json.Marshal(totals)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, totals.Finished, back.Finished)
	require.Equal(t, totals.DurationMs, back.DurationMs)
}

func TestTypesBeyondABoundAreCountedTogether(t *testing.T) {
	t.Parallel()
	var totals wire.Totals
	for i := range 3000 {
		totals.CountFinished(wire.StatusCompleted, fmt.Sprintf("type-%d", i))
	}
	totals.CountFinished(wire.StatusCompleted, "type-5")
	got := totals.Finished[wire.StatusCompleted]
	require.Len(t, got, 1001)
	require.Equal(t, uint64(2000), got[wire.OtherTypes])
	require.Equal(t, uint64(2), got["type-5"])
	require.False(t, wire.ValidType(wire.OtherTypes), "no task can have it")
}
