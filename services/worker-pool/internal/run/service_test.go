package run

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServiceIsAMovingMeanByType(t *testing.T) {
	t.Parallel()
	var s service
	require.Empty(t, s.means(nil))
	s.add("a", 2*time.Millisecond)
	s.add("a", 4*time.Millisecond)
	s.add("b", 100*time.Nanosecond)
	require.Equal(t, map[string]int64{"a": 3000, "b": 1}, s.means(nil), "in microseconds, at least one")

	// What runs now counts as if it ended at this moment, once that is longer than the others took.
	require.EqualValues(t, 3000, s.means(map[string]time.Duration{"a": time.Millisecond})["a"])
	require.EqualValues(t, 12_000, s.means(map[string]time.Duration{"a": 30 * time.Millisecond})["a"])

	for range 1000 {
		s.add("a", time.Millisecond)
	}
	require.InDelta(t, 1000, s.means(nil)["a"], 1, "the past is forgotten")
	s.add("a", 641*time.Millisecond)
	require.InDelta(t, 11_000, s.means(nil)["a"], 10, "and one long task weighs a sixty-fourth")

	s.add("long", time.Second)
	require.NotContains(t, s.means(nil), "long", "nobody needs to know")
}

func TestServiceIsBounded(t *testing.T) {
	t.Parallel()
	var s service
	for i := range 3 * serviceTypes {
		s.add(fmt.Sprint("type-", i), time.Microsecond)
	}
	got := s.means(nil)
	require.Len(t, got, serviceTypes)
	require.Contains(t, got, fmt.Sprint("type-", 3*serviceTypes-1))
	require.NotContains(t, got, "type-0")
}
