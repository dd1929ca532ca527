package readmodel

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Series are figures over time, of steps that end with the one of now. Steps begin at
// multiples of their length, so that they stay the same from one call to the next.
func (m *Model) Series(ctx context.Context, window, step time.Duration) (wire.Series, error) {
	if err := ctx.Err(); err != nil {
		return wire.Series{}, err
	}
	now, stepMs := wire.Now(), max(step.Milliseconds(), 1)
	steps := int((window.Milliseconds() + stepMs - 1) / stepMs)
	end := wire.Time((int64(now)/stepMs + 1) * stepMs)
	r := &resampler{from: end - wire.Time(int64(steps)*stepMs), step: wire.Time(stepMs), steps: steps, now: now}
	r.take(&m.series, m.Totals())
	out := wire.Series{From: r.from, StepMs: stepMs, Tasks: r.tasks(), Types: r.types(), Waiting: r.waiting(), Workers: r.workers()}
	out.Counts, out.QueueLatencyMs, out.AverageExecutionTimeMs = r.counts(), r.latency(), r.averages()
	out.Marks = m.events.marked(r.from)
	return out, nil
}

// resampler answers for steps from samples taken at other times.
type resampler struct {
	from, step, now wire.Time
	steps           int
	// points from the one before the window to the present.
	points []point
	// sampled is the number of points that were sampled: a zero point before them and the
	// present after them have totals only.
	first, sampled int
	names          []string
	current        map[uint32]uint64
}

func (r *resampler) take(b *seriesBook, totals *wire.Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	begin := max(b.last(r.from), 0)
	if begin == 0 && b.whole && len(b.points) > 0 {
		r.points = append(r.points, point{at: b.points[0].at.Add(-wire.SampleFine)})
	}
	r.first = len(r.points)
	r.points = append(r.points, b.points[min(begin, len(b.points)):]...)
	r.sampled = len(r.points)
	r.current = b.typesOf(totals)
	r.names = slices.Clip(b.names)
	present := pointOf(totals)
	present.at, present.types = r.now, r.current
	if n := len(r.points); n == 0 || r.points[n-1].at < r.now {
		r.points = append(r.points, present)
	}
}

// steps calls f with the bounds of each step.
func (r *resampler) each(f func(i int, from, to wire.Time)) {
	for i := range r.steps {
		at := r.from + wire.Time(i)*r.step
		f(i, at, at+r.step)
	}
}

// cursor walks along points in time.
type cursor struct {
	points []point
	i      int
}

// before is the last point not after t; -1 where there is none. T must not go back.
func (c *cursor) before(t wire.Time) int {
	for c.i < len(c.points) && c.points[c.i].at <= t {
		c.i++
	}
	return c.i - 1
}

// tasks counts what finished in each step: counts grow evenly between two samples.
func (r *resampler) tasks() map[string][]int64 {
	out := map[string][]int64{}
	for k, outcome := range outcomes {
		counts := make([]int64, r.steps)
		c := cursor{points: r.points}
		last := r.countAt(&c, k, r.from)
		r.each(func(i int, _, to wire.Time) {
			next := r.countAt(&c, k, min(to, r.now))
			counts[i] = max(next-last, 0)
			last = next
		})
		out[string(outcome)] = counts
	}
	return out
}

func (r *resampler) countAt(c *cursor, outcome int, t wire.Time) int64 {
	i := max(c.before(t), 0)
	a := &r.points[i]
	if i+1 >= len(r.points) || t <= a.at {
		return int64(a.finished[outcome])
	}
	b := &r.points[i+1]
	share := float64(t-a.at) / float64(b.at-a.at)
	grown := int64(b.finished[outcome]) - int64(a.finished[outcome])
	return int64(a.finished[outcome]) + int64(math.Round(share*float64(max(grown, 0))))
}

// types counts what finished in the window by type.
func (r *resampler) types() map[string]int64 {
	out := map[string]int64{}
	c := cursor{points: r.points}
	i := max(c.before(r.from), 0)
	a := &r.points[i]
	share := 0.0
	var b *point
	if i+1 < len(r.points) && r.from > a.at {
		b = &r.points[i+1]
		share = float64(r.from-a.at) / float64(b.at-a.at)
	}
	for name, n := range r.current {
		base := a.types[name]
		if b != nil && b.types[name] > base {
			base += uint64(math.Round(share * float64(b.types[name]-base)))
		}
		if n > base {
			out[r.names[name]] = int64(n - base)
		}
	}
	return out
}

// hold is how long a sample speaks for what follows it.
func (r *resampler) hold(t wire.Time) wire.Time {
	if r.now.Sub(t) > fineFor {
		return wire.Time((wire.SampleCoarse * 3 / 2).Milliseconds())
	}
	return wire.Time((wire.SampleFine * 3).Milliseconds())
}

// measured calls f for each step with the sample that speaks for it.
func (r *resampler) measured(f func(i int, p *point)) {
	c := cursor{points: r.points[r.first:r.sampled]}
	r.each(func(i int, _, to wire.Time) {
		if k := c.before(min(to, r.now)); k >= 0 && c.points[k].at > to-max(r.step, r.hold(to)) {
			f(i, &c.points[k])
		}
	})
}

func (r *resampler) waiting() map[string][]*int64 {
	out := map[string][]*int64{}
	for _, p := range wire.Priorities {
		out[string(p)] = make([]*int64, r.steps)
	}
	r.measured(func(i int, p *point) {
		for k, name := range wire.Priorities {
			out[string(name)][i] = &p.waiting[k]
		}
	})
	return out
}

func (r *resampler) workers() map[string]wire.WorkerSeries {
	out := map[string]wire.WorkerSeries{}
	r.measured(func(i int, p *point) {
		for _, w := range p.workers {
			name := r.names[w.name]
			s, known := out[name]
			if !known {
				s = wire.WorkerSeries{CPUPercent: make([]*float64, r.steps), MemoryMb: make([]*float64, r.steps)}
				out[name] = s
			}
			s.CPUPercent[i], s.MemoryMb[i] = shown(w.cpu), shown(w.memory)
		}
	})
	return out
}

// shown is a figure without the digits that its storage adds.
func shown(v float32) *float64 { return new(math.Round(float64(v)*100) / 100) }

// counts are those of the tasks kept, under the names that wire.TaskCounts has.
func (r *resampler) counts() map[string][]*int64 {
	out := map[string][]*int64{}
	for _, name := range countNames {
		out[name] = make([]*int64, r.steps)
	}
	r.measured(func(i int, p *point) {
		if p.counts == nil {
			return
		}
		for k, n := range countsInOrder(p.counts) {
			out[countNames[k]][i] = new(int64(n))
		}
	})
	return out
}

var countNames = [...]string{
	string(wire.StatusPending), string(wire.StatusInProgress), string(wire.StatusCompleted), string(wire.StatusFailed),
	string(wire.StatusScheduled), string(wire.StatusRetrying), string(wire.StatusCancelled), "total",
}

func countsInOrder(c *wire.TaskCounts) [len(countNames)]int {
	return [...]int{c.Pending, c.InProgress, c.Completed, c.Failed, c.Scheduled, c.Retrying, c.Cancelled, c.Total}
}

// latency are the quantiles of how long what was started in each step had waited.
func (r *resampler) latency() wire.LatencySeries {
	out := wire.LatencySeries{P50: make([]*int64, r.steps), P99: make([]*int64, r.steps)}
	r.counted(func(i int, a, b *point) {
		d := b.waits.minus(&a.waits)
		out.P50[i], out.P99[i] = d.quantile(0.5), d.quantile(0.99)
	})
	return out
}

// averages are the mean times of what ended in each step.
func (r *resampler) averages() []*int64 {
	out := make([]*int64, r.steps)
	r.counted(func(i int, a, b *point) {
		if d := b.durations.minus(&a.durations); d.count > 0 {
			out[i] = new(int64(math.Round(d.mean())))
		}
	})
	return out
}

// counted calls f for each step with the samples around it, whose difference is what was
// counted in between: the nearest ones outside of it, where they are near.
func (r *resampler) counted(f func(i int, a, b *point)) {
	low, high := cursor{points: r.points}, cursor{points: r.points}
	r.each(func(i int, from, to wire.Time) {
		a, b, hold := low.before(from), high.before(to), r.hold(to)
		if a < 0 || from-r.points[a].at > hold {
			a++
		}
		if b >= 0 && r.points[b].at < to && b+1 < len(r.points) && r.points[b+1].at-to < hold {
			b++
		}
		if b > a && from <= r.now {
			f(i, &r.points[a], &r.points[b])
		}
	})
}
