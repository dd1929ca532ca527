package model

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// series is the kept samples, oldest first.
type series struct {
	samples []*wire.Sample
	// whole: no sample has expired yet, so what came before the first began at nothing.
	whole bool
}

// keepSeries is how far back charts go.
const keepSeries = 25 * time.Hour

func (m *Model) seriesFeed() *follower {
	return &follower{
		from: everything(jetstream.DeliverAllPolicy),
		reset: func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.series = series{}
		},
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
			var s wire.Sample
			if json.Unmarshal(msg.Data(), &s) != nil {
				return
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if meta.Sequence.Stream == 1 {
				m.series.whole = true
			}
			m.series.add(&s)
		},
	}
}

func (s *series) add(one *wire.Sample) {
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].At >= one.At })
	if i < len(s.samples) && s.samples[i].At == one.At {
		return // the coarse sample of the same moment
	}
	s.samples = slices.Insert(s.samples, i, one)
	oldest := one.At.Add(-keepSeries)
	for len(s.samples) > 0 && s.samples[0].At < oldest {
		s.samples = s.samples[1:]
		s.whole = false
	}
}

// upTo is the last sample not after t; nil where there is none.
func (s *series) upTo(t wire.Time) *wire.Sample {
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].At > t })
	if i == 0 {
		return nil
	}
	return s.samples[i-1]
}

// totalsAt are the totals as of t, from the last sample before it. Where the samples begin
// later, they are nothing, or those of the first sample where earlier ones have expired.
func (s *series) totalsAt(t wire.Time) *wire.Totals {
	if one := s.upTo(t); one != nil {
		return &one.Totals
	}
	if s.whole || len(s.samples) == 0 {
		return &wire.Totals{}
	}
	return &s.samples[0].Totals
}

func finished(t *wire.Totals, s wire.Status) uint64 {
	var n uint64
	for _, one := range t.Finished[s] {
		n += one
	}
	return n
}

// grown is the growth of a count, 0 where it was reset.
func grown(now, before uint64) int64 {
	if now < before {
		return int64(now)
	}
	return int64(now - before)
}

// outcomes are the states that finished tasks are counted by.
var outcomes = []wire.Status{wire.StatusCompleted, wire.StatusFailed, wire.StatusCancelled}

// Series resamples what is kept to the step asked for.
func (m *Model) Series(_ context.Context, window, step time.Duration) (wire.Series, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int(math.Ceil(float64(window) / float64(step)))
	end := wire.Now()
	from := end.Add(-time.Duration(n) * step)
	from -= from % wire.Time(step.Milliseconds())
	out := wire.Series{
		From: from, StepMs: step.Milliseconds(), Tasks: map[string][]int64{}, Types: map[string]int64{},
		Waiting: map[string][]*int64{}, Workers: map[string]wire.WorkerSeries{}, Marks: []wire.EventView{},
	}
	before := m.series.totalsAt(from)
	first := before
	for i := range n {
		at := from.Add(time.Duration(i+1) * step)
		sample := m.sampleIn(at.Add(-step), at, end)
		now := m.series.totalsAt(at)
		if at >= end {
			now = m.totals
		}
		if now.Submitted < before.Submitted && len(m.series.samples) > 0 && m.series.samples[0].At > at {
			now = before
		}
		m.fillStep(&out, i, n, before, now, sample)
		before = now
	}
	for _, o := range outcomes {
		for kind, count := range m.totals.Finished[o] {
			if g := grown(count, first.Finished[o][kind]); g > 0 {
				out.Types[kind] += g
			}
		}
	}
	for _, v := range m.events.marks {
		if v.Timestamp >= from {
			out.Marks = append(out.Marks, v)
		}
	}
	return out, nil
}

// sampleIn is the last sample of a step; nil where nobody measured.
func (m *Model) sampleIn(after, upTo, now wire.Time) *wire.Sample {
	one := m.series.upTo(min(upTo, now))
	reach := max(upTo.Sub(after), wire.SampleFine) // a step finer than the samples shows the last one
	if one == nil || one.At <= upTo.Add(-reach) && one.At <= after {
		return nil
	}
	return one
}

func (m *Model) fillStep(out *wire.Series, i, n int, before, now *wire.Totals, s *wire.Sample) {
	for _, o := range outcomes {
		out.Tasks[string(o)] = append(out.Tasks[string(o)], grown(finished(now, o), finished(before, o)))
	}
	waits := now.WaitMs
	if now.WaitMs.Count >= before.WaitMs.Count {
		waits = now.WaitMs.Minus(before.WaitMs)
	}
	out.QueueLatencyMs.P50 = append(out.QueueLatencyMs.P50, quantile(waits, 0.5))
	out.QueueLatencyMs.P99 = append(out.QueueLatencyMs.P99, quantile(waits, 0.99))
	for _, p := range wire.Priorities {
		var v *int64
		if s != nil {
			v = new(s.Waiting[p])
		}
		out.Waiting[string(p)] = append(out.Waiting[string(p)], v)
	}
	if s == nil {
		return
	}
	for id, w := range s.Workers {
		ws, known := out.Workers[id]
		if !known {
			ws = wire.WorkerSeries{CPUPercent: make([]*float64, n), MemoryMb: make([]*float64, n)}
			out.Workers[id] = ws
		}
		ws.CPUPercent[i], ws.MemoryMb[i] = new(w.CPUPercent), new(w.MemoryMb)
	}
}

func quantile(h wire.Histogram, q float64) *int64 {
	if h.Count == 0 {
		return nil
	}
	return new(int64(math.Round(h.Quantile(q))))
}
