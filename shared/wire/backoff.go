package wire

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// Backoff says how long a task waits between a failed attempt and the next.
type Backoff struct {
	// Policy is fixed, linear or exponential.
	Policy string `json:"policy"`
	// BaseMs is the wait after the first failure, MaxMs the longest; 1 ms to 24 h.
	BaseMs int64 `json:"baseMs"`
	MaxMs  int64 `json:"maxMs"`
	// Jitter spreads each wait by up to this share of it, up and down; 0 to 1.
	Jitter float64 `json:"jitter"`
}

// The policies.
const (
	BackoffFixed       = "fixed"
	BackoffLinear      = "linear"
	BackoffExponential = "exponential"
)

// DefaultBackoff is what a task gets that does not say.
var DefaultBackoff = Backoff{Policy: BackoffExponential, BaseMs: 1000, MaxMs: 60000, Jitter: 0.2}

// Delay is the wait before retry n (1 for the first) of a task. The jitter is drawn from
// the task's id and n, so that pool and recorder come to the same time.
func (b Backoff) Delay(id string, n int) time.Duration {
	ms := float64(b.BaseMs)
	switch b.Policy {
	case BackoffLinear:
		ms *= float64(n)
	case BackoffExponential:
		ms *= math.Pow(2, float64(n-1))
	}
	ms = math.Min(ms, float64(b.MaxMs))
	ms *= 1 + b.Jitter*(2*draw(id, n)-1)
	return time.Duration(math.Round(math.Max(ms, 0))) * time.Millisecond
}

// draw is a number in [0, 1) that depends on nothing but its arguments.
func draw(id string, n int) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id + "/" + strconv.Itoa(n)))
	x := h.Sum64()
	x ^= x >> 33 // FNV leaves the high bits of short strings alike
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
