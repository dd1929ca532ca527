package builtin

import (
	"hash/maphash"
	"math"
	"math/bits"
)

const (
	// exactPerColumn is up to how many distinct values a column is counted exactly,
	// exactTotal up to how many all columns together are.
	exactPerColumn = 100_000
	exactTotal     = 400_000
	// sketchTotal bounds the bytes of all sketches.
	sketchTotal = 8 << 20
)

// distinctBudget is shared by the columns of one file.
type distinctBudget struct {
	left      int
	precision uint8
}

// precisionFor makes the sketches of n columns fit sketchTotal: 14 (an error of 0.8 %, 16 KiB)
// up to 512 columns, less beyond.
func precisionFor(n int) uint8 {
	p := uint8(14)
	for p > 4 && n<<p > sketchTotal {
		p--
	}
	return p
}

// distinct counts different values: exactly by the set of their 64-bit hashes (two of
// 100,000 values share one with a chance of 3 in 10,000,000,000), and beyond its budget by
// HyperLogLog, whose memory does not grow.
type distinct struct {
	budget *distinctBudget
	seen   map[uint64]struct{}
	sketch []uint8
}

// One seed for all columns of a process.
var seed = maphash.MakeSeed()

func newDistinct(b *distinctBudget) *distinct {
	return &distinct{budget: b, seen: map[uint64]struct{}{}}
}

func (d *distinct) add(value string) {
	h := maphash.String(seed, value)
	if d.sketch != nil {
		d.observe(h)
		return
	}
	if _, known := d.seen[h]; known {
		return
	}
	if len(d.seen) < exactPerColumn && d.budget.left > 0 {
		d.seen[h] = struct{}{}
		d.budget.left--
		return
	}
	d.sketch = make([]uint8, 1<<d.budget.precision)
	for old := range d.seen {
		d.observe(old)
	}
	d.observe(h)
	d.budget.left += len(d.seen)
	d.seen = nil
}

// observe notes the longest run of leading zeros in each register.
func (d *distinct) observe(h uint64) {
	p := d.budget.precision
	rank := uint8(bits.LeadingZeros64(h<<p|1<<(p-1))) + 1
	i := h >> (64 - p)
	d.sketch[i] = max(d.sketch[i], rank)
}

func (d *distinct) count() int64 {
	if d.sketch == nil {
		return int64(len(d.seen))
	}
	m, sum, empty := float64(len(d.sketch)), 0.0, 0.0
	for _, rank := range d.sketch {
		sum += math.Ldexp(1, -int(rank))
		if rank == 0 {
			empty++
		}
	}
	estimate := alpha(m) * m * m / sum
	if estimate <= 2.5*m && empty > 0 {
		estimate = m * math.Log(m/empty) // linear counting is better where few registers are hit
	}
	return int64(math.Round(estimate))
}

// alpha corrects the bias of the mean of m registers.
func alpha(m float64) float64 {
	switch m {
	case 16:
		return 0.673
	case 32:
		return 0.697
	case 64:
		return 0.709
	}
	return 0.7213 / (1 + 1.079/m)
}
