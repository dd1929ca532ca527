package tick

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// demand is what one pool has to do and to do it with.
type demand struct {
	// Waiting tasks that nobody has taken, Runnable those of them that limits would let run
	// at once, Busy slots in use.
	Waiting, Runnable, Busy int
	// count gives Waiting and Runnable where a task takes so long; may be nil.
	count func(serviceMs float64) (waiting, runnable int)
	// Running workers, Concurrency of one of them.
	Running, Concurrency int
	// Min and Max are totals over the pool's processes.
	Min, Max int
	// Paused pools take nothing.
	Paused bool
	// ServiceMs is the mean time of a task, 0 where unknown; StalledMs is since when none
	// has finished although some run.
	ServiceMs, StalledMs float64
	// Target is the time to drain a backlog in, DownAfter that before shrinking.
	Target, DownAfter time.Duration
}

// need is how many workers a pool needed at a time.
type need struct {
	At      wire.Time `json:"at"`
	Workers int       `json:"workers"`
}

// decide says how many workers a pool should have and why: up at once, down to the most
// that was needed within DownAfter. The needs it returns go into the next decision.
func decide(d demand, now wire.Time, past []need) (desired int, reason string, needs []need) {
	raw, why := d.need()
	needs = remember(past, need{now, raw}, d.DownAfter)
	most := needs[0].Workers // the largest stands first
	limited := min(max(most, d.Min), d.Max)
	switch {
	case limited < most:
		return limited, fmt.Sprintf("%s; the maximum is %d", why, d.Max), needs
	case limited > most:
		return limited, fmt.Sprintf("%s; the minimum is %d", why, d.Min), needs
	case most > raw:
		return limited, fmt.Sprintf("the most that was needed in the last %s", d.DownAfter), needs
	}
	return limited, why, needs
}

// remember keeps the needs that can still be the largest, largest first.
func remember(past []need, latest need, window time.Duration) []need {
	kept := slices.DeleteFunc(slices.Clone(past), func(n need) bool {
		return latest.At.Sub(n.At) > window || n.Workers <= latest.Workers
	})
	return append(kept, latest)
}

// need is the number of workers for what there is to do now.
func (d *demand) need() (workers int, why string) {
	concurrency := max(d.Concurrency, 1)
	work := d.Waiting + d.Busy
	target := max(float64(d.Target.Milliseconds()), 1)
	switch {
	case d.Paused:
		return workersFor(d.Busy, concurrency), "the pool is paused"
	case work == 0:
		return 0, "nothing to do"
	case d.ServiceMs <= 0:
		return d.guess(concurrency, target)
	}
	// A slot works off target/service tasks in time; none needs more than a slot of its own,
	// and what a limit holds back needs none.
	slots := min(int(math.Ceil(float64(work)*d.ServiceMs/target)), work)
	why = fmt.Sprintf("%d waiting and %d running at %s a task", d.Waiting, d.Busy, roundMs(d.ServiceMs))
	if most := d.Runnable + d.Busy; slots > most {
		return workersFor(most, concurrency), fmt.Sprintf("%s; limits let %d of them run at once", why, most)
	}
	return workersFor(slots, concurrency), why
}

// guess doubles as long as every slot is in use, and no further than what is known already
// asks for: that a task takes at least as long as none has finished.
func (d *demand) guess(concurrency int, target float64) (workers int, why string) {
	now := max(d.Running, 1) * concurrency
	slots := min(now, d.Waiting+d.Busy)
	if d.Waiting > 0 && d.Busy >= now {
		asked := int(math.Ceil(float64(d.Waiting+d.Busy) * d.StalledMs / target))
		slots = min(2*now, d.Runnable+d.Busy, max(asked, slots))
	}
	return workersFor(slots, concurrency), fmt.Sprintf("%d waiting and %d running, time a task takes unknown", d.Waiting, d.Busy)
}

func workersFor(slots, concurrency int) int { return (slots + concurrency - 1) / concurrency }

func roundMs(ms float64) time.Duration {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// share splits workers over a pool's processes: to each its own minimum as far as there are
// enough, then to those who are furthest below their part, which is in proportion to their
// own maxima.
func share(desired int, instances []wire.Instance) map[string]int {
	out := make(map[string]int, len(instances))
	var takers []wire.Instance
	total := 0
	for _, i := range instances {
		out[i.Instance] = 0
		if !i.Draining {
			takers = append(takers, i)
			total += max(i.Max, 1)
		}
	}
	if len(takers) == 0 {
		return out
	}
	slices.SortFunc(takers, func(a, b wire.Instance) int { return compareText(a.Instance, b.Instance) })
	for _, i := range takers {
		out[i.Instance] = min(i.Min, desired)
		desired -= out[i.Instance]
	}
	for range desired {
		next := takers[0]
		best := math.Inf(1)
		for _, i := range takers {
			if fill := (float64(out[i.Instance]) + 1) / float64(max(i.Max, 1)); fill < best {
				next, best = i, fill
			}
		}
		out[next.Instance]++
	}
	return out
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
