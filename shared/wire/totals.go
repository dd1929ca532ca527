package wire

import (
	"maps"
	"math"
	"sort"
)

// Totals are the recorder's counts since the system began: the value of KeyTotals, changed
// in the same commit as the records they count.
type Totals struct {
	At Time `json:"at"`
	// Submitted tasks, failed attempts that are retried, and hand-outs that were repeated.
	Submitted  uint64 `json:"submitted"`
	Retried    uint64 `json:"retried"`
	Reassigned uint64 `json:"reassigned"`
	Refused    uint64 `json:"refused"`
	// Open tasks: those that have not ended.
	Open int64 `json:"open"`
	// Waiting tasks, which are pending, by queue and priority; see WaitingKey.
	Waiting map[string]int64 `json:"waiting,omitempty"`
	// Finished tasks by outcome (completed, failed, cancelled) and type.
	Finished map[Status]map[string]uint64 `json:"finished"`
	// DurationMs of completed attempts, WaitMs of starts.
	DurationMs Histogram `json:"durationMs"`
	WaitMs     Histogram `json:"waitMs"`
}

// maxCountedTypes bounds Totals.Finished; what comes beyond counts as OtherTypes.
const maxCountedTypes = 1000

// OtherTypes stands for types beyond the number that totals keep apart.
const OtherTypes = "(other)"

// CountFinished adds one finished task.
func (t *Totals) CountFinished(s Status, taskType string) {
	if t.Finished == nil {
		t.Finished = map[Status]map[string]uint64{}
	}
	m := t.Finished[s]
	if m == nil {
		m = map[string]uint64{}
		t.Finished[s] = m
	}
	if _, known := m[taskType]; !known && len(m) >= maxCountedTypes {
		taskType = OtherTypes
	}
	m[taskType]++
}

// WaitingKey is where Totals.Waiting counts the tasks of a queue and priority.
func WaitingKey(queue string, p Priority) string { return queue + "/" + string(p) }

// CountWaiting adds n to what waits. Where nothing does, no entry is left.
func (t *Totals) CountWaiting(r *Record, n int64) {
	key := WaitingKey(r.Queue, r.Priority)
	if n += t.Waiting[key]; n <= 0 { // less than none: they began to wait before they were counted
		delete(t.Waiting, key)
		return
	}
	if t.Waiting == nil {
		t.Waiting = map[string]int64{}
	}
	t.Waiting[key] = n
}

// Clone copies totals so that the copy can be changed.
func (t *Totals) Clone() *Totals {
	c := *t
	c.Waiting = maps.Clone(t.Waiting)
	c.Finished = make(map[Status]map[string]uint64, len(t.Finished))
	for s, m := range t.Finished {
		n := make(map[string]uint64, len(m))
		maps.Copy(n, m)
		c.Finished[s] = n
	}
	c.DurationMs, c.WaitMs = t.DurationMs.Clone(), t.WaitMs.Clone()
	return &c
}

// Histogram counts durations in buckets whose bounds grow by a quarter of a power of two,
// so that a quantile is right within about 10 %.
type Histogram struct {
	Count uint64  `json:"count"`
	SumMs float64 `json:"sumMs"`
	// Buckets by index: i holds what is at most Bound(i) and above Bound(i-1).
	Buckets map[int]uint64 `json:"buckets,omitempty"`
}

// HistogramBound is the upper bound of bucket i in milliseconds: 0.1 × 2^(i/4).
func HistogramBound(i int) float64 { return 0.1 * math.Pow(2, float64(i)/4) }

// Add counts one duration.
func (h *Histogram) Add(ms float64) {
	if h.Buckets == nil {
		h.Buckets = map[int]uint64{}
	}
	i := 0
	if ms > 0.1 {
		i = int(math.Ceil(4*math.Log2(ms/0.1) - 1e-9))
	}
	h.Buckets[i]++
	h.Count++
	h.SumMs += ms
}

// Clone copies a histogram so that the copy can be changed.
func (h Histogram) Clone() Histogram {
	b := make(map[int]uint64, len(h.Buckets))
	maps.Copy(b, h.Buckets)
	h.Buckets = b
	return h
}

// Minus is what was counted since an earlier state of the same histogram.
func (h Histogram) Minus(earlier Histogram) Histogram {
	d := Histogram{Count: h.Count - earlier.Count, SumMs: h.SumMs - earlier.SumMs, Buckets: map[int]uint64{}}
	for i, n := range h.Buckets {
		if n > earlier.Buckets[i] {
			d.Buckets[i] = n - earlier.Buckets[i]
		}
	}
	return d
}

// middle leads from a bucket's bound to its geometric middle, which is within 9 % of all that
// the bucket holds; the bound itself may be 19 % too high.
var middle = math.Pow(2, 1.0/8)

// Quantile is about the duration under which the share q of what was counted lies; 0 where
// nothing was.
func (h Histogram) Quantile(q float64) float64 {
	indexes := make([]int, 0, len(h.Buckets))
	for i := range h.Buckets {
		indexes = append(indexes, i)
	}
	sort.Ints(indexes)
	need := uint64(math.Ceil(q * float64(h.Count)))
	var seen uint64
	for _, i := range indexes {
		if seen += h.Buckets[i]; seen >= need && seen > 0 {
			return HistogramBound(i) / middle
		}
	}
	return 0
}

// Mean of what was counted; 0 where nothing was.
func (h Histogram) Mean() float64 {
	if h.Count == 0 {
		return 0
	}
	return h.SumMs / float64(h.Count)
}

// Sample is one point of the kept series: a message of StreamSeries.
type Sample struct {
	At Time `json:"at"`
	// Totals at that time; figures of a step are differences.
	Totals Totals `json:"totals"`
	// Waiting tasks by priority.
	Waiting map[Priority]int64 `json:"waiting"`
	// Workers by id.
	Workers map[string]WorkerSample `json:"workers"`
}

// WorkerSample is what one worker used.
type WorkerSample struct {
	CPUPercent float64 `json:"cpuPercent"`
	MemoryMb   float64 `json:"memoryMb"`
}
