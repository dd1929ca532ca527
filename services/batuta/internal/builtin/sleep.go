package builtin

import (
	"context"
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// maxSleepMs is the longest timeout that a task can have: 7 d.
const maxSleepMs = 7 * 24 * 3600 * 1000

type sleepInput struct {
	Ms        *int64 `json:"ms"`
	FailTimes int    `json:"failTimes"`
}

type sleepResult struct {
	SleptMs int64 `json:"sleptMs"`
}

// sleep waits; the first failTimes attempts fail afterwards.
func (b *Types) sleep(ctx context.Context, t *worker.Task) (any, error) {
	var in sleepInput
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Ms == nil:
		return nil, refuse("payload.ms: is missing")
	case *in.Ms < 0 || *in.Ms > maxSleepMs:
		return nil, refuse("payload.ms: %d: must be 0 to %d (7 d)", *in.Ms, maxSleepMs)
	case in.FailTimes < 0:
		return nil, refuse("payload.failTimes: %d: must be 0 or more", in.FailTimes)
	}
	start := time.Now()
	if err := pause(ctx, t, time.Duration(*in.Ms)*time.Millisecond); err != nil {
		return nil, err
	}
	if t.Attempt <= in.FailTimes {
		return nil, fmt.Errorf("failed as asked: attempt %d of %d that fail", t.Attempt, in.FailTimes)
	}
	return sleepResult{time.Since(start).Milliseconds()}, nil
}

// pause waits for d and tells the progress twice a second.
func pause(ctx context.Context, t *worker.Task, d time.Duration) error {
	done := time.NewTimer(d)
	defer done.Stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done.C:
			return nil
		case <-tick.C:
			slept := time.Since(start)
			t.Progress(100*float64(slept)/float64(d), fmt.Sprintf("%s of %s", slept.Round(time.Second/2), d))
		}
	}
}
