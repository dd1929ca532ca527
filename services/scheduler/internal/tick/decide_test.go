package tick

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	base := demand{Running: 1, Concurrency: 4, Min: 1, Max: 8, ServiceMs: 10, Target: 5 * time.Second, DownAfter: 10 * time.Second}
	with := func(change func(*demand)) demand {
		d := base
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		d      demand
		want   int
		reason string
	}{
		"nothing to do":        {base, 1, "nothing to do; the minimum is 1"},
		"two short tasks":      {with(func(d *demand) { d.Waiting = 2 }), 1, "2 waiting and 0 running at 10ms a task"},
		"a deep backlog":       {with(func(d *demand) { d.Waiting = 6000 }), 3, "6000 waiting and 0 running at 10ms a task"},
		"deeper than the pool": {with(func(d *demand) { d.Waiting = 100000 }), 8, "100000 waiting and 0 running at 10ms a task; the maximum is 8"},
		"long tasks":           {with(func(d *demand) { d.Waiting, d.Busy, d.ServiceMs = 5, 4, 60000 }), 3, "5 waiting and 4 running at 1m0s a task"},
		"paused":               {with(func(d *demand) { d.Waiting, d.Busy, d.Paused = 9000, 5, true }), 2, "the pool is paused"},
		"unknown, slots free":  {with(func(d *demand) { d.Waiting, d.Busy, d.ServiceMs = 2, 0, 0 }), 1, "2 waiting and 0 running, time a task takes unknown"},
		"unknown, all in use":  {with(func(d *demand) { d.Waiting, d.Busy, d.ServiceMs, d.StalledMs = 100, 4, 0, 900 }), 2, "100 waiting and 4 running, time a task takes unknown"},
		"unknown, one more":    {with(func(d *demand) { d.Waiting, d.Busy, d.ServiceMs, d.StalledMs = 1, 4, 0, 6000 }), 2, "1 waiting and 4 running, time a task takes unknown"},
		"unknown, two tasks": {
			with(func(d *demand) { d.Waiting, d.Busy, d.Concurrency, d.ServiceMs, d.StalledMs = 1, 1, 1, 0, 1000 }), 1,
			"1 waiting and 1 running, time a task takes unknown",
		},
		"limited": {
			with(func(d *demand) { d.Waiting, d.Runnable, d.Busy, d.ServiceMs = 1000, 5, 4, 60000 }), 3,
			"1000 waiting and 4 running at 1m0s a task; limits let 9 of them run at once",
		},
		"closed":                 {with(func(d *demand) { d.Waiting, d.Min, d.Max = 100, 0, 0 }), 0, "100 waiting and 0 running at 10ms a task; the maximum is 0"},
		"concurrency never told": {with(func(d *demand) { d.Waiting, d.Concurrency, d.ServiceMs = 3, 0, 9000 }), 3, "3 waiting and 0 running at 9s a task"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.d.Runnable == 0 {
				c.d.Runnable = c.d.Waiting
			}
			got, reason, _ := decide(c.d, 1000, nil)
			require.Equal(t, c.want, got)
			require.Equal(t, c.reason, reason)
		})
	}
}

func TestUpAtOnceDownSlowly(t *testing.T) {
	t.Parallel()
	d := demand{Running: 1, Concurrency: 1, Min: 1, Max: 10, ServiceMs: 1000, Target: time.Second, DownAfter: 10 * time.Second}
	var past []need
	at := func(second, waiting int) (int, string) {
		d.Waiting, d.Runnable = waiting, waiting
		var n int
		var why string
		n, why, past = decide(d, wire.Time(second*1000), past)
		return n, why
	}
	for _, step := range []struct{ second, waiting, want int }{
		{0, 0, 1}, {1, 6, 6}, {2, 2, 6}, {5, 4, 6}, {11, 0, 6}, {12, 0, 4}, {15, 0, 4}, {16, 0, 1}, {17, 9, 9},
	} {
		got, why := at(step.second, step.waiting)
		require.Equal(t, step.want, got, "second %d", step.second)
		require.NotEmpty(t, why)
	}
	require.Len(t, past, 1, "what can no longer be the largest is forgotten")
}

func TestShares(t *testing.T) {
	t.Parallel()
	a := wire.Instance{Instance: "a", Max: 4}
	b := wire.Instance{Instance: "b", Max: 8}
	gone := wire.Instance{Instance: "c", Max: 8, Draining: true}
	require.Equal(t, map[string]int{"a": 2, "b": 4, "c": 0}, share(6, []wire.Instance{b, a, gone}))
	require.Equal(t, map[string]int{"a": 0, "b": 1, "c": 0}, share(1, []wire.Instance{a, b, gone}))
	require.Equal(t, map[string]int{"a": 5, "b": 10}, share(15, []wire.Instance{a, b}), "an operator's maximum outranks the processes'")
	require.Equal(t, map[string]int{"c": 0}, share(3, []wire.Instance{gone}))
	a.Min, b.Min = 3, 1
	require.Equal(t, map[string]int{"a": 3, "b": 2}, share(5, []wire.Instance{a, b}), "to each its own minimum first")
	require.Equal(t, map[string]int{"a": 2, "b": 0}, share(2, []wire.Instance{a, b}), "an operator's maximum outranks that too")
}

func TestRate(t *testing.T) {
	t.Parallel()
	r := rate{}
	at := func(ms int64, i wire.Instance) float64 {
		i.Instance = "a"
		r.measure(wire.Time(ms), []wire.Instance{i})
		service, _ := r.estimate(wire.Time(ms))
		return service
	}
	require.Zero(t, at(1000, wire.Instance{BusySlots: 4}), "nothing has finished yet")
	require.InDelta(t, 100, at(2000, wire.Instance{BusySlots: 4, Finished: 10, BusyMs: 1000}), 0.1)
	require.InDelta(t, 150, at(3000, wire.Instance{BusySlots: 4, Finished: 20, BusyMs: 3000}), 0.1)
	require.InDelta(t, 4000, at(7000, wire.Instance{BusySlots: 4, Finished: 20, BusyMs: 3000}), 0.1, "nothing finishes any more")
	require.InDelta(t, 150, at(8000, wire.Instance{BusySlots: 0, Finished: 20, BusyMs: 3000}), 0.1)
	require.InDelta(t, 100, at(9000, wire.Instance{BusySlots: 0, Finished: 2, BusyMs: 100}), 0.1, "a process that began anew")
}

func TestQueuesAreSharedByThoseWhoServeThem(t *testing.T) {
	t.Parallel()
	all := []wire.Instance{
		{Pool: "a", Max: 2, Queues: []string{"x", "y"}},
		{Pool: "b", Max: 6, Queues: []string{"x"}},
		{Pool: "c", Max: 6, Queues: []string{"x", "y"}, Draining: true},
	}
	lanes := []lane{
		{Lane: wire.Lane{Queue: "x", Priority: wire.PriorityHigh}, waiting: 40},
		{Lane: wire.Lane{Queue: "y", Priority: wire.PriorityLow}, waiting: 5},
		{Lane: wire.Lane{Queue: "y", Priority: wire.PriorityHigh}, waiting: 100, paused: true},
		{Lane: wire.Lane{Queue: "z"}, waiting: 1000},
	}
	waiting := func(pool string) int {
		n, _ := waitingFor(pool, all, lanes)
		return n
	}
	require.Equal(t, 15, waiting("a"))
	require.Equal(t, 30, waiting("b"))
	require.Zero(t, waiting("c"))
}

func TestStepSaysWhatChanges(t *testing.T) {
	t.Parallel()
	own := []wire.Instance{{Pool: "p", Instance: "a", Min: 1, Max: 5, Running: 3, Concurrency: 1}}
	d := demand{Running: 3, Concurrency: 1, Min: 1, Max: 5, Target: time.Second, DownAfter: 10 * time.Second}
	first, word, events := step(nil, "p", own, d, 1000)
	require.Empty(t, events, "what runs when a pool is first seen is kept")
	require.Equal(t, 3, word.Desired)
	require.Equal(t, map[string]int{"a": 3}, word.Instances)
	second, word, events := step(first, "p", own, d, 12000)
	require.Equal(t, 1, word.Desired)
	require.Len(t, events, 1)
	require.Equal(t, []int{3, 1}, []int{*events[0].Data.From, *events[0].Data.To})
	require.Equal(t, wire.Time(12000), word.ScaledAt)
	require.Equal(t, "nothing to do; the minimum is 1", word.Reason)
	_, word, events = step(second, "p", own, d, 13000)
	require.Empty(t, events)
	require.Equal(t, wire.Time(12000), word.ScaledAt)
}

func TestLimitsBoundWhatAPoolIsSizedFor(t *testing.T) {
	t.Parallel()
	ledger := func(taskType string, l wire.Limits, held int) core.Ledger {
		return core.Ledger{Queue: "x", Type: taskType, Permits: wire.Permits{Limits: l, Held: map[string]int{"h": held}}}
	}
	lanes := []lane{
		{Lane: wire.Lane{Queue: "x", Priority: wire.PriorityLow, Type: "a"}, waiting: 50},
		{Lane: wire.Lane{Queue: "x", Priority: wire.PriorityHigh, Type: "a"}, waiting: 2},
		{Lane: wire.Lane{Queue: "x", Priority: wire.PriorityHigh, Type: "b"}, waiting: 70},
		{Lane: wire.Lane{Queue: "x", Priority: wire.PriorityMedium}, waiting: 30},
		{Lane: wire.Lane{Queue: "y", Priority: wire.PriorityMedium}, waiting: 9},
	}
	runnable := func(ledgers ...core.Ledger) map[string]int {
		out := map[string]int{}
		for _, l := range bounded(lanes, ledgers, 2000) {
			out[l.Consumer()] = l.runnable
		}
		return out
	}
	require.Equal(t, map[string]int{"x_low=a": 50, "x_high=a": 2, "x_high=b": 70, "x_medium": 30, "y_medium": 9},
		runnable(ledger("a", wire.Limits{}, 3)), "a limit that was lifted")
	require.Equal(t, map[string]int{"x_low=a": 3, "x_high=a": 2, "x_high=b": 20, "x_medium": 30, "y_medium": 9},
		runnable(ledger("a", wire.Limits{MaxConcurrent: new(7)}, 2), ledger("b", wire.Limits{RatePerSecond: new(10.0)}, 0)))
	require.Equal(t, map[string]int{"x_low=a": 0, "x_high=a": 2, "x_high=b": 8, "x_medium": 0, "y_medium": 9},
		runnable(ledger("", wire.Limits{MaxConcurrent: new(10)}, 0), ledger("a", wire.Limits{MaxConcurrent: new(7)}, 2)))
}

// A parcel is one lane message with several tasks. How many wait is what the recorder has
// counted, as far as the lanes allow for it: it may lag.
func TestWhatWaitsIsCountedInTasks(t *testing.T) {
	t.Parallel()
	low := func(queue, taskType string, messages int) lane {
		return lane{Lane: wire.Lane{Queue: queue, Priority: wire.PriorityLow, Type: taskType}, waiting: messages}
	}
	for name, c := range map[string]struct {
		lanes   []lane
		counted int64
		want    []int
	}{
		"no parcels":                      {[]lane{low("q", "", 5)}, 5, []int{5}},
		"parcels":                         {[]lane{low("q", "", 5)}, 300, []int{300}},
		"the recorder lags, all is taken": {[]lane{low("q", "", 0)}, 300, []int{0}},
		"the recorder lags, most is":      {[]lane{low("q", "", 1)}, 300, []int{64}},
		"the recorder lags behind":        {[]lane{low("q", "", 5)}, 0, []int{5}},
		"a limited type of the queue":     {[]lane{low("q", "", 5), low("q", "t", 100)}, 300, []int{200, 100}},
		"another queue":                   {[]lane{low("other", "", 5)}, 300, []int{5}},
	} {
		got := inTasks(c.lanes, map[string]int64{"q/low": c.counted})
		for i, want := range c.want {
			require.Equal(t, want, got[i].waiting, name)
		}
		require.NotSame(t, &c.lanes[0], &got[0])
	}
}
