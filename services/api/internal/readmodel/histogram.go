package readmodel

import (
	"math"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// histogram is a wire.Histogram in a form that takes little room: thousands are kept.
type histogram struct {
	count uint64
	sum   float64
	// first is the number of the first bucket.
	first   int32
	buckets []uint64
}

func histogramOf(h *wire.Histogram) histogram {
	out := histogram{count: h.Count, sum: h.SumMs}
	low, high := math.MaxInt, math.MinInt
	for i, n := range h.Buckets {
		if n > 0 {
			low, high = min(low, i), max(high, i)
		}
	}
	if high < low {
		return out
	}
	out.first, out.buckets = int32(low), make([]uint64, high-low+1)
	for i, n := range h.Buckets {
		if n > 0 {
			out.buckets[i-low] = n
		}
	}
	return out
}

func (h *histogram) at(bucket int32) uint64 {
	if i := int(bucket - h.first); i >= 0 && i < len(h.buckets) {
		return h.buckets[i]
	}
	return 0
}

// minus is what was counted since an earlier state; all of it where the count began anew.
func (h *histogram) minus(earlier *histogram) histogram {
	if earlier.count > h.count {
		return *h
	}
	out := histogram{count: h.count - earlier.count, sum: max(h.sum-earlier.sum, 0), first: h.first, buckets: make([]uint64, len(h.buckets))}
	for i, n := range h.buckets {
		if before := earlier.at(h.first + int32(i)); before < n {
			out.buckets[i] = n - before
		}
	}
	return out
}

func (h *histogram) mean() float64 { return h.sum / float64(h.count) }

// quantile is the bound, in whole ms, below which the share q lies; nil where nothing was counted.
func (h *histogram) quantile(q float64) *int64 {
	need, seen := max(uint64(math.Ceil(q*float64(h.count))), 1), uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen >= need {
			return new(int64(math.Round(wire.HistogramBound(int(h.first) + i))))
		}
	}
	return nil
}
