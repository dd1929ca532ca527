package wire_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string][]time.Duration{
		wire.BackoffFixed:       {1000, 1000, 1000, 1000, 1000},
		wire.BackoffLinear:      {1000, 2000, 3000, 4000, 4500},
		wire.BackoffExponential: {1000, 2000, 4000, 4500, 4500},
	} {
		b := wire.Backoff{Policy: policy, BaseMs: 1000, MaxMs: 4500}
		for i, ms := range want {
			require.Equal(t, ms*time.Millisecond, b.Delay("order-17", i+1), "%s, retry %d", policy, i+1)
		}
		require.Equal(t, b.Delay("a", 100), b.Delay("b", 100), "no jitter, no difference")
	}
	longest := wire.Backoff{Policy: wire.BackoffExponential, BaseMs: 86_400_000, MaxMs: 86_400_000}
	for _, n := range []int{1, 64, 100, 1100, 1 << 30} {
		require.Equal(t, 24*time.Hour, longest.Delay("a", n))
	}
	require.Equal(t, 5*time.Millisecond, wire.Backoff{Policy: wire.BackoffFixed, BaseMs: 70_000, MaxMs: 5}.Delay("a", 1))
}

func TestJitterStaysInItsShareAndIsDrawnOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := anyDefinition().Draw(t, "task").Backoff
		id, n := rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(t, "id"), rapid.IntRange(1, 100).Draw(t, "retry")
		got := b.Delay(id, n)
		require.Equal(t, got, b.Delay(id, n), "pool and recorder come to the same time")
		plain := b
		plain.Jitter = 0
		middle := float64(plain.Delay(id, n))
		require.LessOrEqual(t, plain.Delay(id, n), time.Duration(b.MaxMs)*time.Millisecond)
		require.InDelta(t, middle, float64(got), b.Jitter*middle+float64(time.Millisecond))
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.Zero(t, got%time.Millisecond)
	})
}

// Tasks that failed together do not come back together.
func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	b := wire.Backoff{Policy: wire.BackoffFixed, BaseMs: 10_000, MaxMs: 10_000, Jitter: 1}
	var tenths [21]int
	for i := range 20_000 {
		d := b.Delay("task-"+strconv.Itoa(i), 1)
		tenths[d/time.Second]++
	}
	for second, n := range tenths[:20] {
		require.InDelta(t, 1000, n, 250, "second %d", second)
	}
	require.NotEqual(t, b.Delay("a", 1), b.Delay("a", 2))
}
