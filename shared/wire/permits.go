package wire

import (
	"maps"
	"math"
	"strings"
	"time"
)

// Limits bound what runs of a queue, or of a type in a queue; nil is no limit.
type Limits struct {
	MaxConcurrent *int     `json:"maxConcurrent,omitempty"`
	RatePerSecond *float64 `json:"ratePerSecond,omitempty"`
}

// None tells whether nothing is limited.
func (l Limits) None() bool { return l.MaxConcurrent == nil && l.RatePerSecond == nil }

// Equal compares the limits, not where they lie.
func (l Limits) Equal(o Limits) bool {
	return equalValue(l.MaxConcurrent, o.MaxConcurrent) && equalValue(l.RatePerSecond, o.RatePerSecond)
}

func equalValue[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// Bounds of limits.
const (
	MaxConcurrentLimit = 1_000_000
	MaxRateLimit       = 1_000_000
	// MinRateLimit is one start in about 12 days.
	MinRateLimit = 0.000001
	// MaxLimitedTypes bounds the types of a queue that have limits of their own: each has
	// lanes of its own.
	MaxLimitedTypes = 32
)

// Permits is the ledger of one limit: a value of BucketPermits, changed by revision only.
// A task of the limit runs while its pool process holds one permit of it.
type Permits struct {
	Limits
	// Settling: the limit is new, and pool processes are still telling what they run of it.
	// Nothing is given out meanwhile.
	Settling bool `json:"settling,omitempty"`
	// Held counts the permits by holder. A holder is as good as its lease: the key
	// PermitLeaseKey in the same bucket.
	Held map[string]int `json:"held,omitempty"`
	// Tokens for starts that were left At that time.
	Tokens float64 `json:"tokens,omitempty"`
	At     Time    `json:"at,omitempty"`
	// LiftedAt is since when nothing is limited any more; the lanes of the limit stay a while.
	LiftedAt Time `json:"liftedAt,omitempty"`
}

// Clone copies a ledger so that the copy can be changed.
func (p *Permits) Clone() *Permits {
	c := *p
	c.Held = make(map[string]int, len(p.Held))
	maps.Copy(c.Held, p.Held)
	return &c
}

// Total is how many permits are held.
func (p *Permits) Total() int {
	n := 0
	for _, held := range p.Held {
		n += held
	}
	return n
}

// Over tells whether more permits are held than there are: the limit was lowered.
func (p *Permits) Over() bool { return p.MaxConcurrent != nil && p.Total() > *p.MaxConcurrent }

// Free is how many more permits can be given out; math.MaxInt where none are counted.
func (p *Permits) Free() int {
	switch {
	case p.Settling:
		return 0
	case p.MaxConcurrent == nil:
		return math.MaxInt
	}
	return max(*p.MaxConcurrent-p.Total(), 0)
}

// RateBurst is how many starts may come at once under a rate, after a pause: a tenth of a
// second's, at least one. In any time t there are at most rate × t + burst starts.
func RateBurst(rate float64) float64 { return max(rate/10, 1) }

// TokensAt are the starts that the rate allows at a time; +Inf without a rate. Clocks that
// are behind the ledger's last one add nothing: time counts once, whoever looks.
func (p *Permits) TokensAt(now Time) float64 {
	if p.RatePerSecond == nil {
		return math.Inf(1)
	}
	burst := RateBurst(*p.RatePerSecond)
	if p.At == 0 {
		return burst
	}
	return min(p.Tokens+*p.RatePerSecond*max(now.Sub(p.At).Seconds(), 0), burst)
}

// TakeTokens uses up n starts at a time; a negative n gives back.
func (p *Permits) TakeTokens(n int, now Time) {
	if p.RatePerSecond == nil {
		p.Tokens, p.At = 0, 0
		return
	}
	left := p.TokensAt(now) - float64(n)
	p.Tokens, p.At = min(left, RateBurst(*p.RatePerSecond)), max(now, p.At)
}

// NextToken is how long it takes until one start is allowed.
func (p *Permits) NextToken(now Time) time.Duration {
	left := p.TokensAt(now)
	if left >= 1 {
		return 0
	}
	wait := time.Duration((1 - left) / *p.RatePerSecond * float64(time.Second))
	if behind := p.At.Sub(now); behind > 0 {
		wait += behind
	}
	return wait + time.Millisecond // times are whole milliseconds
}

// PermitsKey in BucketPermits holds the Permits of a queue, or of a type in a queue.
func PermitsKey(queue, taskType string) string {
	if taskType == "" {
		return prefixLimit + queue
	}
	return prefixLimit + queue + "." + taskType
}

// PermitsKeyAll matches the ledgers of a queue's types.
func PermitsKeyAll(queue string) string { return prefixLimit + queue + ".>" }

// ParsePermitsKey is the inverse of PermitsKey.
func ParsePermitsKey(key string) (queue, taskType string, ok bool) {
	rest, found := strings.CutPrefix(key, prefixLimit)
	queue, taskType, _ = strings.Cut(rest, ".")
	return queue, taskType, found && queue != ""
}

// PermitLeaseKey in BucketPermits lives as long as a holder of permits.
func PermitLeaseKey(holder string) string { return prefixLease + holder }

// PermitsSubject is where the ledger of a queue is repeated; those of its types below it.
func PermitsSubject(queue string) string { return prefixPermits + queue }

// PermitsOf takes queue and type from a subject of SubjectPermitsAll.
func PermitsOf(subject string) (queue, taskType string, ok bool) {
	rest, found := strings.CutPrefix(subject, prefixPermits)
	queue, taskType, _ = strings.Cut(rest, ".")
	return queue, taskType, found && queue != ""
}

const (
	prefixLimit   = "limit."
	prefixLease   = "lease."
	prefixPermits = "batuta.permits."

	// KeyPermitsAll matches the keys of all ledgers.
	KeyPermitsAll = prefixLimit + ">"
	// KeyPermitLeases matches the keys of all holders.
	KeyPermitLeases = prefixLease + "*"
	// SubjectPermitsAll is where the server repeats each ledger once it is stored.
	SubjectPermitsAll = prefixPermits + ">"
)

// PermitMargin is by how much a holder's key outlives the lease that the holder itself
// counts: in that time it ends the work that it may no longer do.
const PermitMargin = 2 * time.Second
