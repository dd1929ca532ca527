package readmodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// seriesFor is how far back series go.
	seriesFor = 24 * time.Hour
	// fineFor is how long every sample is kept; of older ones one a minute is.
	fineFor = time.Hour
	// coarseStep is a little less than a minute: ticks are not exact.
	coarseStep = wire.SampleCoarse - wire.SampleFine
)

// outcomes are the statuses that finished tasks are counted by.
var outcomes = [3]wire.Status{wire.StatusCompleted, wire.StatusFailed, wire.StatusCancelled}

// point is a sample in a form that takes little room.
type point struct {
	at       wire.Time
	finished [3]uint64
	// types counts finished tasks by type, in the numbers of the book's names.
	types            map[uint32]uint64
	durations, waits histogram
	waiting          [4]int64
	// counts of the tasks kept; nil where the sample was taken before this API ran.
	counts  *wire.TaskCounts
	workers []workerPoint
}

type workerPoint struct {
	name        uint32
	cpu, memory float32
}

// seriesBook keeps the samples of the last 24 h, oldest first.
type seriesBook struct {
	mu     sync.Mutex
	points []point
	// whole tells that nothing was sampled before the first point: the counts begin with it.
	whole   bool
	names   []string
	numbers map[string]uint32
	// thinned is how many points at the beginning are one a minute.
	thinned int
}

func (b *seriesBook) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.points, b.whole, b.names, b.numbers, b.thinned = nil, false, nil, map[string]uint32{}, 0
}

func (b *seriesBook) number(name string) uint32 {
	n, known := b.numbers[name]
	if !known {
		if b.numbers == nil {
			b.numbers = map[string]uint32{}
		}
		n = uint32(len(b.names))
		b.names, b.numbers[name] = append(b.names, name), n
	}
	return n
}

// startOfSeries is the first sample that is young enough.
func (m *Model) startOfSeries(ctx context.Context, info *jetstream.StreamInfo) (uint64, error) {
	if info.State.Msgs == 0 || time.Since(info.State.FirstTime) < seriesFor {
		return info.State.FirstSeq, nil
	}
	one, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	msgs, err := jetstreamext.GetBatch(one, m.js, wire.StreamSeries, 1, jetstreamext.GetBatchStartTime(time.Now().Add(-seriesFor)))
	if err != nil {
		return 0, fmt.Errorf("find the first sample: %w", err)
	}
	for msg, err := range msgs {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return info.State.LastSeq + 1, nil
		case err != nil:
			return 0, fmt.Errorf("find the first sample: %w", err)
		}
		return msg.Sequence, nil
	}
	return info.State.LastSeq + 1, nil
}

func (m *Model) takeSamples(batch []message) {
	for _, msg := range batch {
		var s wire.Sample
		if err := json.Unmarshal(msg.Data(), &s); err != nil || s.At == 0 {
			m.log.Warn("a sample cannot be read", obs.KeySeq, msg.seq, obs.KeyErr, err)
			continue
		}
		m.series.add(&s, m.countsOf(&s), msg.seq == 1)
	}
}

// countsOf is what is kept at the time of a sample: nobody samples it, so that of a replayed
// one is not known.
func (m *Model) countsOf(s *wire.Sample) *wire.TaskCounts {
	if wire.Now().Sub(s.At) > wire.SampleFine {
		return nil
	}
	return new(m.Counts())
}

// pointOf makes a point of totals alone.
func pointOf(t *wire.Totals) point {
	p := point{at: t.At, durations: histogramOf(&t.DurationMs), waits: histogramOf(&t.WaitMs)}
	for i, outcome := range outcomes {
		for _, n := range t.Finished[outcome] {
			p.finished[i] += n
		}
	}
	return p
}

func (b *seriesBook) add(s *wire.Sample, counts *wire.TaskCounts, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.points); n > 0 && s.At.Sub(b.points[n-1].at) < time.Second {
		return // the coarse sample of the same tick, or a clock that went back
	}
	p := pointOf(&s.Totals)
	p.at, p.counts = s.At, counts
	for i, name := range wire.Priorities {
		p.waiting[i] = s.Waiting[name]
	}
	p.types = b.typesOf(&s.Totals)
	for id, w := range s.Workers {
		p.workers = append(p.workers, workerPoint{b.number(id), float32(w.CPUPercent), float32(w.MemoryMb)})
	}
	b.whole = b.whole || first && len(b.points) == 0
	b.points = append(b.points, p)
	b.thin(p.at)
}

func (b *seriesBook) typesOf(t *wire.Totals) map[uint32]uint64 {
	out := map[uint32]uint64{}
	for _, outcome := range outcomes {
		for name, n := range t.Finished[outcome] {
			out[b.number(name)] += n
		}
	}
	return out
}

// thin drops what is too old, and all but one sample a minute of what is not recent.
func (b *seriesBook) thin(now wire.Time) {
	old := 0
	for old < len(b.points) && now.Sub(b.points[old].at) > seriesFor+wire.SampleCoarse {
		old++
	}
	if old > 0 {
		b.points, b.whole, b.thinned = b.points[old:], false, max(b.thinned-old, 0)
	}
	// Not at every sample: what stands behind moves each time.
	limit := now.Add(-fineFor - 5*wire.SampleCoarse)
	if b.thinned >= len(b.points) || b.points[b.thinned].at > limit {
		return
	}
	kept := b.points[:b.thinned]
	i := b.thinned
	for ; i < len(b.points) && now.Sub(b.points[i].at) > fineFor; i++ {
		if n := len(kept); n == 0 || b.points[i].at.Sub(kept[n-1].at) >= coarseStep {
			kept = append(kept, b.points[i])
		}
	}
	b.thinned = len(kept)
	rest := append(kept, b.points[i:]...)
	clear(b.points[len(rest):])
	b.points = rest
}

// last is the number of the last point not after t, -1 where there is none.
func (b *seriesBook) last(t wire.Time) int {
	return sort.Search(len(b.points), func(i int) bool { return b.points[i].at > t }) - 1
}

// baseline is the totals at a time, by the nearest sample, and when that was; the zero point
// and 0 where the counts began later.
func (b *seriesBook) baseline(t wire.Time) (point, wire.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.last(t)
	switch {
	case i < 0 && (b.whole || len(b.points) == 0):
		return point{}, 0
	case i < 0 || i+1 < len(b.points) && t.Sub(b.points[i].at) > 2*wire.SampleCoarse:
		i++ // nobody sampled for a while
	}
	return b.points[i], b.points[i].at
}
