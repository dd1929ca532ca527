package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proc"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// watcher follows a run: which tasks are open and how many run, by what was accepted and by
// the ledger, which no fault can hold up as it does the records.
type watcher struct {
	js     jetstream.JetStream
	reader *ledger.Reader
	log    *slog.Logger

	mu      sync.Mutex
	entries []ledger.Entry
	running map[execution]struct{}
	// open tasks and since when; ended are the others that the ledger has.
	open  map[string]time.Time
	ended map[string]struct{}
	// totals are the recorder's.
	totals wire.Totals
	// samples of running tasks, for the mean.
	samples, sum int
}

// execution is a handler at work.
type execution struct {
	pid   int
	id    string
	fence uint64
}

func newWatcher(js jetstream.JetStream, dir string, log *slog.Logger) *watcher {
	return &watcher{
		js: js, reader: ledger.NewReader(dir), log: log, running: map[execution]struct{}{}, open: map[string]time.Time{}, ended: map[string]struct{}{},
	}
}

const (
	ledgerEvery = 50 * time.Millisecond
	totalsEvery = 500 * time.Millisecond
	// deadEvery is how often it is asked which workers have died with what they ran.
	deadEvery = 500 * time.Millisecond
	// oldEvery is how often the records of tasks are read that have been open for oldAfter: the
	// ledger does not say of all how they ended.
	oldEvery, oldAfter = 2 * time.Second, 8 * time.Second
	oldMost            = 1000
)

// run follows until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var wg sync.WaitGroup
	every := func(d time.Duration, f func()) {
		wg.Go(func() {
			t := time.NewTicker(d)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					f()
				}
			}
		})
	}
	every(ledgerEvery, func() {
		if err := w.readLedger(); err != nil {
			w.log.Warn("the ledger cannot be read", "err", err)
		}
	})
	every(totalsEvery, func() { w.readTotals(ctx) })
	every(deadEvery, w.forgetDead)
	every(oldEvery, func() { w.readOld(ctx) })
	wg.Wait()
}

func (w *watcher) readLedger() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	entries, err := w.reader.Next()
	if err != nil {
		return err
	}
	for _, e := range entries {
		key := execution{e.PID, e.ID, e.Fence}
		switch e.Kind {
		case ledger.Began:
			w.running[key] = struct{}{}
		case ledger.Succeeded, ledger.Exhausted:
			delete(w.running, key)
			delete(w.open, e.ID)
			w.ended[e.ID] = struct{}{}
		default:
			delete(w.running, key)
		}
	}
	w.entries = append(w.entries, entries...)
	w.samples++
	w.sum += len(w.running)
	return nil
}

func (w *watcher) forgetDead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	alive := map[int]bool{}
	for e := range w.running {
		is, known := alive[e.pid]
		if !known {
			is = proc.Alive(e.pid)
			alive[e.pid] = is
		}
		if !is {
			delete(w.running, e)
		}
	}
}

// accepted hears of a task; it may have ended already.
func (w *watcher) accepted(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ended := w.ended[id]; !ended {
		w.open[id] = time.Now()
	}
}

func (w *watcher) cancelled(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, id)
}

// readOld looks up what has been open for long.
func (w *watcher) readOld(ctx context.Context) {
	w.mu.Lock()
	var subjects []string
	for id, since := range w.open {
		if time.Since(since) > oldAfter && len(subjects) < oldMost {
			subjects = append(subjects, wire.KVSubject(wire.BucketTasks, id))
		}
	}
	w.mu.Unlock()
	if len(subjects) == 0 {
		return
	}
	one, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	found, err := natsx.LastOf(one, w.js, wire.StreamTasks, subjects)
	if err != nil {
		return // NATS is down, as happens here
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range found {
		if r, err := wire.DecodeRecord(m.Data); err == nil && r.Status.Ended() {
			delete(w.open, r.ID)
		}
	}
}

func (w *watcher) readTotals(ctx context.Context) {
	one, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	t, _, err := readTotals(one, w.js)
	if err != nil {
		return // NATS is down, as happens here
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals = t
}

// readTotals reads the recorder's totals and position.
func readTotals(ctx context.Context, js jetstream.JetStream) (wire.Totals, wire.Position, error) {
	var t wire.Totals
	var pos wire.Position
	totals, position := wire.KVSubject(wire.BucketTasks, wire.KeyTotals), wire.KVSubject(wire.BucketTasks, wire.KeyPosition)
	found, err := natsx.LastOf(ctx, js, wire.StreamTasks, []string{totals, position})
	if err != nil {
		return t, pos, fmt.Errorf("read the totals: %w", err)
	}
	for _, m := range found {
		if m.Subject == totals {
			err = json.Unmarshal(m.Data, &t)
		} else {
			pos, err = wire.ParsePosition(string(m.Data))
		}
		if err != nil {
			return t, pos, fmt.Errorf("read the totals: %w", err)
		}
	}
	return t, pos, nil
}

// openNow is how many tasks have not ended, runningNow how many run.
func (w *watcher) openNow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

func (w *watcher) runningNow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.running)
}

// inBooks counts the tasks that have ended in the books.
func (w *watcher) inBooks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := uint64(0)
	for _, byType := range w.totals.Finished {
		for _, m := range byType {
			n += m
		}
	}
	return int(n)
}

// meanRunning is the mean of running tasks so far.
func (w *watcher) meanRunning() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(w.sum) / float64(max(w.samples, 1))
}
