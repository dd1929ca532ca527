package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// joined is a run on a system that runs already, seen and broken through its API.
type joined struct {
	*run
	c *apiclient.Client

	mu    sync.Mutex
	tasks []check.Task
	// asked workers were killed or drained; lacking found no worker.
	asked, lacking int
}

const (
	// joinEvery is the time between two submissions, joinOpen how many tasks are kept open for
	// each slot, joinMost how many are submitted at once.
	joinEvery = 250 * time.Millisecond
	joinOpen  = 2
	joinMost  = 50
	// joinRetention is how long the tasks are kept after their end.
	joinRetention = 10 * time.Minute
	// joinRetries is the limit of the tasks.
	joinRetries = 2
)

func (j *joined) drive(ctx context.Context) (*Report, error) {
	j.say("seed %d: %d faults over %s on the system at %s", j.opts.Seed, j.opts.Faults, j.opts.Duration, j.c.URL())
	if _, err := j.c.Stats(ctx); err != nil {
		return nil, err
	}
	begun := time.Now()
	faults := plan.Make(plan.Config{
		Seed: j.opts.Seed, Duration: j.opts.Duration, Faults: j.opts.Faults, Kinds: j.opts.Kinds, Lease: j.opts.Lease, HungAfter: j.opts.HungAfter,
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, f := range faults {
			if !sleepUntil(ctx, begun.Add(f.At)) {
				return
			}
			j.hit(ctx, f)
		}
	})
	err := j.submitAll(ctx, begun)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	rep := &Report{Seed: j.opts.Seed, StressedFor: time.Since(begun), Faults: j.asked, Skipped: j.lacking}
	return rep, j.judge(ctx, rep)
}

// hit kills or drains a worker.
func (j *joined) hit(ctx context.Context, f plan.Fault) {
	command := apiclient.CommandKill
	if f.Act == plan.Restart {
		command = apiclient.CommandDrain
	}
	workers, err := j.c.Workers(ctx)
	if err == nil && len(workers.Workers) > 0 {
		_, err = j.c.Command(ctx, command, workers.Workers[f.Pick%uint64(len(workers.Workers))].Value.ID)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil || len(workers.Workers) == 0 {
		j.lacking++
		return
	}
	j.asked++
}

// submitAll keeps the system busy until the duration is over and the tasks asked for are in.
func (j *joined) submitAll(ctx context.Context, begun time.Time) error {
	r := rand.New(rand.NewPCG(j.opts.Seed, 2))
	for time.Since(begun) < j.opts.Duration || len(j.tasks) < j.opts.Tasks {
		n, err := j.room(ctx)
		if err != nil {
			return err
		}
		if j.opts.Tasks > 0 {
			n = min(n, j.opts.Tasks-len(j.tasks))
		}
		if n > 0 {
			if err := j.submit(ctx, r, n); err != nil {
				return err
			}
		}
		if !sleepUntil(ctx, time.Now().Add(joinEvery)) {
			return errors.New("stopped before its end")
		}
	}
	return nil
}

// room is how many tasks may be submitted now.
func (j *joined) room(ctx context.Context) (int, error) {
	workers, err := j.c.Workers(ctx)
	if err != nil {
		return 0, err
	}
	slots := 0
	for _, w := range workers.Workers {
		slots += w.Value.Concurrency
	}
	page, err := j.c.Tasks(ctx, apiclient.Filter{"tag": j.tag(), "status": openStates}, apiclient.Page{Limit: 1})
	if err != nil {
		return 0, err
	}
	return min(max(joinOpen*max(slots, 4)-page.Total, 0), joinMost), nil
}

const openStates = "scheduled,pending,inProgress,retrying"

func (j *joined) tag() string { return "chaos:" + strconv.FormatUint(j.opts.Seed, 10) }

func (j *joined) submit(ctx context.Context, r *rand.Rand, n int) error {
	group := make([]map[string]any, n)
	for i := range group {
		work := map[string]any{"ms": 50 + r.IntN(1000)}
		if r.IntN(10) == 0 {
			work["failTimes"] = 1
		}
		group[i] = map[string]any{
			"type": "sleep", "payload": work, "priority": wire.Priorities[r.IntN(len(wire.Priorities))], "maxRetries": joinRetries,
			"backoff":     map[string]any{"policy": "fixed", "baseMs": 200, "maxMs": 1000, "jitter": 0.5},
			"retentionMs": joinRetention.Milliseconds(), "tags": map[string]string{"chaos": strconv.FormatUint(j.opts.Seed, 10)},
		}
		if r.IntN(10) == 0 {
			group[i]["delayMs"] = r.IntN(2000)
		}
	}
	body, err := json.Marshal(group)
	if err != nil {
		return fmt.Errorf("encode tasks: %w", err)
	}
	got, err := j.c.SubmitAll(ctx, body)
	if err != nil {
		return err
	}
	for _, one := range got.Results {
		j.tasks = append(j.tasks, check.Task{
			ID: one.ID, Kind: "sleep", MaxRetries: joinRetries, Ends: []wire.Status{wire.StatusCompleted},
		})
	}
	return nil
}

// judge waits until all tasks have ended, and reads each.
func (j *joined) judge(ctx context.Context, rep *Report) error {
	from := time.Now()
	err := eventually(ctx, settleTimeout, func(ctx context.Context) error {
		page, err := j.c.Tasks(ctx, apiclient.Filter{"tag": j.tag(), "status": openStates}, apiclient.Page{Limit: 1})
		if err == nil && page.Total > 0 {
			err = fmt.Errorf("%d tasks have not ended", page.Total)
		}
		return err
	})
	if err != nil {
		rep.Broken = append(rep.Broken, err.Error())
	}
	rep.SettledAfter = time.Since(from)
	c := check.New(check.Config{Tasks: j.tasks, Lease: j.opts.Lease, NoLedger: true})
	for _, t := range j.tasks {
		got, err := j.c.Task(ctx, t.ID)
		switch {
		case apiclient.IsStatus(err, http.StatusNotFound): // the checker says so
		case err != nil:
			return err
		default:
			c.Shown(&got.Value)
		}
	}
	rep.Report = c.Finish()
	return nil
}
