// Package tick is what happens once a second, on whichever replica gets the tick: sizes of
// pools, samples, trimming, the audit and the sweep of objects.
package tick

import (
	"context"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Intervals of what need not be done each second.
const (
	trimEvery  = 10 * time.Second
	sweepEvery = time.Minute
	// followEvery is how long a lane may stand otherwise than its queue is set.
	followEvery = 2 * time.Second
)

// Config of a Tick.
type Config struct {
	// ScaleTarget and ScaleDownAfter hold where a pool's processes do not say.
	ScaleTarget, ScaleDownAfter time.Duration
	// AuditAfter is how long an open task must have been untouched before it is looked at.
	AuditAfter time.Duration
	// ObjectAge is how old an object must be before the sweep looks at it; 0 is 10 minutes.
	ObjectAge time.Duration
}

// Tick is the duty of the ticks.
type Tick struct {
	core   *core.Core
	cfg    Config
	due    chan struct{}
	series []*series
	burst  *burst
	// scaling keeps the loops of ticks and bursts from deciding at the same moment.
	scaling sync.Mutex

	trims trims

	trimmed, swept, followed time.Time
	sweepFrom                uint64
	strand                   stranded
}

// New makes the duty.
func New(c *core.Core, cfg Config) *Tick {
	if cfg.ObjectAge == 0 {
		cfg.ObjectAge = objectAge
	}
	return &Tick{
		core: c, cfg: cfg, due: make(chan struct{}, 1), burst: newBurst(), trims: trims{due: make(chan struct{}, 1)},
		series: []*series{
			{subject: wire.SubjectSeriesFine, step: wire.SampleFine, keep: keepFine},
			{subject: wire.SubjectSeriesCoarse, step: wire.SampleCoarse, keep: keepCoarse},
		},
		// Not all at the start, when a system that was down has the most to do.
		swept: time.Now(),
	}
}

// Due takes a tick; it is dropped where one waits already.
func (t *Tick) Due() {
	select {
	case t.due <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. It is several loops, so that what takes long keeps neither pools
// nor producers waiting.
func (t *Tick) Run(ctx context.Context) {
	rest := make(chan struct{}, 1)
	var others sync.WaitGroup
	others.Go(func() { t.loop(ctx, rest, t.rest) })
	others.Go(func() {
		t.loop(ctx, t.trims.due, func(ctx context.Context) { t.try(ctx, "trim the streams", t.trim) })
	})
	others.Go(func() { t.onBurst(ctx) })
	t.loop(ctx, t.due, func(ctx context.Context) {
		select {
		case rest <- struct{}{}:
		default:
		}
		t.try(ctx, "scale the pools", t.scale)
		t.try(ctx, "take back permits", t.reclaim)
	})
	others.Wait()
}

func (t *Tick) loop(ctx context.Context, due <-chan struct{}, work func(context.Context)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			work(ctx)
		}
	}
}

func (t *Tick) rest(ctx context.Context) {
	t.try(ctx, "take a sample", t.samples)
	t.try(ctx, "audit the tasks", t.audit)
	if time.Since(t.followed) >= followEvery {
		t.followed = time.Now()
		t.try(ctx, "follow the pauses", t.followPauses)
		t.try(ctx, "follow the limits", t.followLimits)
	}
	if time.Since(t.trimmed) >= trimEvery {
		t.trimmed = time.Now()
		t.trims.ask()
		t.try(ctx, "note the sequences", t.core.NoteSequences)
		t.try(ctx, "remove stranded lane messages", t.removeStranded)
	}
	if time.Since(t.swept) >= sweepEvery {
		t.swept = time.Now()
		t.try(ctx, "sweep the objects", t.sweep)
		t.try(ctx, "drop limits that were lifted", t.dropLifted)
	}
}

func (t *Tick) try(ctx context.Context, what string, work func(context.Context) error) {
	if err := work(ctx); err != nil && ctx.Err() == nil {
		t.core.Log.Warn("a tick's work is left to the next", "what", what, "err", err)
	}
}
