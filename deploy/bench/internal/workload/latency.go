package workload

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
)

const (
	// highEvery is the time between two urgent tasks.
	highEvery = 8 * time.Millisecond
	// idlePause is the shortest rest between two tasks of an idle system; up to as much again
	// is added at random, so that nothing beats in step.
	idlePause = 5 * time.Millisecond
	// warmUp tasks are not counted: connections and caches are theirs.
	warmUp = 10
)

func latencies(ms []float64) Figures {
	return Figures{P50: stats.Quantile(ms, 0.5), P99: stats.Quantile(ms, 0.99)}
}

// steps makes a producer submit n tasks in even times.
func (b *bench) steps(ctx context.Context, p *proc.Process, n int, every time.Duration) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for range n {
		if err := p.Say(role.OpStep); err != nil {
			return err
		}
		if _, err := p.Hear(ctx, role.OpDone); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// asItComes is implemented by systems that also run without tuning.
type asItComes interface{ Default() bool }

// idle measures from the call that submits to the start of the handler, where nothing else
// is to do: each task is submitted some time after the one before has started.
func (b *bench) idle(ctx context.Context) (Figures, error) {
	n, tuned := b.size.Idle, true
	if d, ok := b.sys.(asItComes); ok && d.Default() {
		n, tuned = b.size.IdleSlow, false
	}
	if err := b.start(ctx, role.Worker{Expect: n + warmUp, Echo: true, Tuned: tuned}); err != nil {
		return nil, err
	}
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.producer(ctx, role.Producer{Mode: role.ModeStep})
	if err != nil {
		return nil, err
	}
	var waits, calls []float64
	for i := range n + warmUp {
		if err := p.Say(role.OpStep); err != nil {
			return nil, err
		}
		call, err := p.Hear(ctx, role.OpDone)
		if err != nil {
			return nil, err
		}
		start, err := w.Hear(ctx, role.OpStart)
		if err != nil {
			return nil, err
		}
		if i >= warmUp {
			waits = append(waits, float64(start.At-start.From)/1e6)
			calls = append(calls, float64(call.To-call.From)/1e6)
		}
		if err := rest(ctx, idlePause+rand.N(idlePause)); err != nil {
			return nil, err
		}
	}
	if b.server.Recorded != nil {
		if _, err := b.server.Recorded(ctx, n+warmUp); err != nil {
			return nil, err
		}
	}
	if _, err := b.verify(ctx, n+warmUp, w); err != nil {
		return nil, err
	}
	f := latencies(waits)
	f[CallP50] = stats.Quantile(calls, 0.5)
	return f, nil
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
