package run

import (
	"time"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// progressEvery is the most often that a task's progress is published.
const progressEvery = 250 * time.Millisecond

// progress is what a task said last of how far it is; the latest word wins. It is guarded
// by the runner's lock.
type progress struct {
	sent    time.Time
	percent *float64
	waits   *wire.EventData // what was not published yet
	timer   *time.Timer
}

// end stops what is still to be published, and returns it.
func (p *progress) end() *wire.EventData {
	d := p.waits
	p.waits = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	return d
}

func (r *Runner) progressed(a *attempt, w *fleet.Worker, l *wire.LineFromWorker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.phase != running || a.worker != w || a.stop == stopLease {
		return
	}
	p := &a.progress
	if l.Percent != nil {
		p.percent = l.Percent
	}
	p.waits = &wire.EventData{Percent: p.percent, Message: l.Message}
	if wait := progressEvery - time.Since(p.sent); wait <= 0 {
		r.publishProgress(a)
	} else if p.timer == nil {
		handOut := a.handOut
		p.timer = time.AfterFunc(wait, func() { r.progressDue(a, handOut) })
	}
}

// publishProgress needs the lock.
func (r *Runner) publishProgress(a *attempt) {
	if d := a.progress.end(); d != nil {
		a.progress.sent = time.Now()
		r.cfg.Events.PublishAsync(nil, a.event(wire.EventProgress, *d))
	}
}

func (r *Runner) progressDue(a *attempt, handOut int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.phase == running && a.handOut == handOut {
		r.publishProgress(a)
	}
}
