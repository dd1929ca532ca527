package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
)

func config(seed uint64) plan.Config {
	return plan.Config{
		Seed: seed, Duration: 10 * time.Minute, Faults: 560, Kinds: plan.Kinds(3), Lease: 3 * time.Second, HungAfter: 4 * time.Second,
	}
}

func TestASeedGivesOnePlan(t *testing.T) {
	t.Parallel()
	first := plan.Make(config(7))
	require.Equal(t, first, plan.Make(config(7)))
	require.NotEqual(t, first, plan.Make(config(8)))
}

func TestEveryKindComesAsOftenAsAnyOther(t *testing.T) {
	t.Parallel()
	faults := plan.Make(config(7))
	count := map[plan.Kind]int{}
	last := time.Duration(0)
	for _, f := range faults {
		count[f.Kind]++
		require.GreaterOrEqual(t, f.At, last)
		require.LessOrEqual(t, f.At, 10*time.Minute)
		require.Positive(t, f.For, "%s", f.Kind)
		last = f.At
		switch f.Act {
		case plan.Cut, plan.Isolate, plan.Hang:
			require.Greater(t, f.For, 3*time.Second, "%s", f.Kind)
		default:
			require.LessOrEqual(t, f.For, time.Second, "%s", f.Kind)
		}
	}
	require.Len(t, count, len(plan.Kinds(3)))
	for k, n := range count {
		require.InDelta(t, len(faults)/len(count), n, 1, "%s", k)
	}
}

func TestKindsAreFoundByName(t *testing.T) {
	t.Parallel()
	kinds, err := plan.Parse([]string{"worker.kill", "nats", "worker"}, 1)
	require.NoError(t, err)
	require.Len(t, kinds, 8)
	_, err = plan.Parse([]string{"nats.isolate"}, 1)
	require.ErrorContains(t, err, `there is no fault "nats.isolate"; there are worker.kill, `)
	require.NotContains(t, plan.List(1), "isolate")
}
