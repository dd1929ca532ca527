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
	// Waiting tasks that nobody has taken, Busy slots in use.
	Waiting, Busy int
	// Running workers, Concurrency of one of them.
	Running, Concurrency int
	// Min and Max are totals over the pool's processes.
	Min, Max int
	// Paused pools take nothing.
	Paused bool
	// ServiceMs is the mean time of a task, 0 where unknown.
	ServiceMs float64
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
	switch {
	case d.Paused:
		return workersFor(d.Busy, concurrency), "the pool is paused"
	case work == 0:
		return 0, "nothing to do"
	case d.ServiceMs <= 0:
		return d.guess(concurrency)
	}
	target := max(float64(d.Target.Milliseconds()), 1)
	// A slot works off target/service tasks in time; none needs more than a slot of its own.
	slots := min(int(math.Ceil(float64(work)*d.ServiceMs/target)), work)
	return workersFor(slots, concurrency), fmt.Sprintf("%d waiting and %d running at %s a task", d.Waiting, d.Busy, roundMs(d.ServiceMs))
}

// guess doubles as long as every slot is in use: nothing is known of how long tasks take.
func (d *demand) guess(concurrency int) (workers int, why string) {
	slots := max(d.Running, 1) * concurrency
	if d.Waiting > 0 && d.Busy >= slots {
		slots = min(2*slots, d.Waiting+d.Busy)
	} else {
		slots = min(slots, d.Waiting+d.Busy)
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

// share splits workers over a pool's processes: in proportion to their own maxima, the rest
// to those who are furthest below their part.
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
