package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// How long samples are kept: longer than what is shown of them.
const (
	keepFine   = 2 * time.Hour
	keepCoarse = 25 * time.Hour
)

// series is one of the kept series.
type series struct {
	subject    string
	step, keep time.Duration
	// last is the slot that this process has published.
	last time.Time
}

// samples publishes a point of each series whose time has come. The message id is the slot,
// so that replicas do not double it.
func (t *Tick) samples(ctx context.Context) error {
	now := time.Now()
	var due []*series
	for _, s := range t.series {
		if slot := now.Truncate(s.step); slot.After(s.last) {
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		return nil
	}
	sample, err := t.sample(ctx, now)
	if err != nil {
		return err
	}
	for _, s := range due {
		slot := now.Truncate(s.step)
		m := nats.NewMsg(s.subject)
		m.Data = sample
		m.Header.Set(wire.HeaderTTL, s.keep.String())
		m.Header.Set(wire.HeaderMsgID, s.subject+"."+strconv.FormatInt(slot.Unix(), 10))
		one, cancel := context.WithTimeout(ctx, putTimeout)
		_, err := t.core.JS.PublishMsg(one, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err != nil {
			return fmt.Errorf("publish a sample: %w", err)
		}
		s.last = slot
	}
	return nil
}

func (t *Tick) sample(ctx context.Context, now time.Time) ([]byte, error) {
	s := wire.Sample{At: wire.At(now), Waiting: map[wire.Priority]int64{}, Workers: map[string]wire.WorkerSample{}}
	if _, err := t.value(ctx, wire.BucketTasks, wire.KeyTotals, &s.Totals); err != nil {
		return nil, err
	}
	lanes, err := t.lanes(ctx)
	if err != nil {
		return nil, err
	}
	lanes = inTasks(lanes, s.Totals.Waiting)
	for _, p := range wire.Priorities {
		s.Waiting[p] = 0
	}
	for _, l := range lanes {
		s.Waiting[l.Priority] += int64(l.waiting)
	}
	// A worker's own key is the only one without a dot.
	workers, err := values[wire.Worker](ctx, t, wire.BucketWorkers, "*")
	if err != nil { // also where they are more than one read gives: better a sample without them
		t.core.Log.Debug("a sample without its workers", "err", err)
	}
	for _, w := range workers {
		if w.CPUPercent != nil && w.MemoryMb != nil {
			s.Workers[w.ID] = wire.WorkerSample{CPUPercent: *w.CPUPercent, MemoryMb: *w.MemoryMb}
		}
	}
	b, err := json.Marshal(&s)
	if err != nil {
		return nil, fmt.Errorf("encode a sample: %w", err)
	}
	return b, nil
}
