package stats_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
)

func TestQuantilesAreMeasuredValues(t *testing.T) {
	t.Parallel()
	var hundred []float64
	for i := 100; i > 0; i-- {
		hundred = append(hundred, float64(i))
	}
	require.InDelta(t, 50, stats.Quantile(hundred, 0.5), 0)
	require.InDelta(t, 99, stats.Quantile(hundred, 0.99), 0)
	require.InDelta(t, 100, stats.Quantile(hundred, 1), 0)
	require.InDelta(t, 1, stats.Quantile(hundred, 0), 0)
	require.InDelta(t, 3, stats.Quantile([]float64{3}, 0.99), 0)
	require.InDelta(t, 9, stats.Quantile([]float64{1, 9}, 0.99), 0, "few samples: the worst is not hidden")
	require.Zero(t, stats.Quantile(nil, 0.5))
	require.InDelta(t, 100, hundred[0], 0, "the input stays as it is")
}

func TestMedian(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, stats.Median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 1.5, stats.Median([]float64{2, 1}), 0)
	require.Zero(t, stats.Median(nil))
}
