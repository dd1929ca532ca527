package check

import (
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// recoveries measures how long it took after each kind of fault. Where workers were taken
// away: from the fault to the new start of each task that ran in them. Else: from the fault
// to the first start of a task that was submitted after it.
func (c *Checker) recoveries() []Recovery {
	samples, faults := map[string][]time.Duration{}, map[string]int{}
	running := c.byWorker()
	fresh := c.freshStarts()
	for i := range c.cfg.Faults {
		f := &c.cfg.Faults[i]
		faults[f.Kind]++
		if !f.Measure {
			if d, ok := fresh.after(f.Begun); ok {
				samples[f.Kind] = append(samples[f.Kind], d)
			}
			continue
		}
		for _, pid := range f.Workers {
			for _, id := range running[c.workerOf(pid, f.Begun)] {
				if d, ok := c.tasks[id].restarted(c.workerOf(pid, f.Begun), f.Begun); ok {
					samples[f.Kind] = append(samples[f.Kind], d)
				}
			}
		}
	}
	out := make([]Recovery, 0, len(faults))
	for kind, n := range faults {
		out = append(out, recoveryOf(kind, n, samples[kind]))
	}
	slices.SortFunc(out, func(a, b Recovery) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	})
	return out
}

func recoveryOf(kind string, faults int, samples []time.Duration) Recovery {
	r := Recovery{Kind: kind, Faults: faults, Samples: len(samples)}
	if len(samples) == 0 {
		return r
	}
	slices.Sort(samples)
	at := func(percent int) time.Duration {
		rank := (percent*len(samples) + 99) / 100
		return samples[max(rank, 1)-1]
	}
	r.Median, r.P99, r.Worst = at(50), at(99), at(100)
	return r
}

// byWorker lists the tasks that ever started in each worker.
func (c *Checker) byWorker() map[string][]string {
	out := map[string][]string{}
	for _, id := range c.order {
		for i := range c.tasks[id].events {
			if e := &c.tasks[id].events[i]; e.name == wire.EventStarted && !slices.Contains(last(out[e.worker]), id) {
				out[e.worker] = append(out[e.worker], id)
			}
		}
	}
	return out
}

func last(ids []string) []string { return ids[max(len(ids)-1, 0):] }

// workerOf is the worker that a process was at a time.
func (c *Checker) workerOf(pid int, at time.Time) string {
	worker := ""
	for _, l := range c.workers[pid] {
		if !l.at.Time().After(at) {
			worker = l.worker
		}
	}
	return worker
}

// restarted says how long after a time a task was started anew that ran in a worker then.
func (h *history) restarted(worker string, at time.Time) (time.Duration, bool) {
	if worker == "" {
		return 0, false
	}
	from := wire.At(at)
	fence := uint64(0)
	for i := range h.events {
		e := &h.events[i]
		switch {
		case e.at <= from && e.name == wire.EventStarted:
			fence = 0
			if e.worker == worker {
				fence = e.fence
			}
		case e.at <= from && fence != 0 && endsRun(e) && (e.fence == fence || e.name == wire.EventCancelled):
			fence = 0
		case e.at > from && fence != 0:
			switch {
			case e.name == wire.EventStarted && e.fence > fence:
				return e.at.Time().Sub(at), true
			case endsRun(e) && e.name != wire.EventReassigned:
				return 0, false // it had yielded in time, or was not to run again
			}
		}
	}
	return 0, false
}

func endsRun(e *event) bool {
	switch e.name {
	case wire.EventCompleted, wire.EventFailed, wire.EventReassigned, wire.EventCancelled:
		return true
	}
	return false
}

// fresh are first starts of tasks by the time of their submission.
type fresh []freshStart

type freshStart struct{ submitted, started wire.Time }

func (c *Checker) freshStarts() fresh {
	var out fresh
	for _, id := range c.order {
		h := c.tasks[id]
		if h.record == nil || h.record.Meta.Round != 0 {
			continue
		}
		for i := range h.events {
			if e := &h.events[i]; e.name == wire.EventStarted {
				out = append(out, freshStart{h.record.SubmittedAt, e.at})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b freshStart) int { return int(a.submitted - b.submitted) })
	// From the back: the earliest start among all that were submitted later.
	for i := len(out) - 2; i >= 0; i-- {
		out[i].started = min(out[i].started, out[i+1].started)
	}
	return out
}

// after is how long after a time the first task was started that was submitted after it.
func (f fresh) after(at time.Time) (time.Duration, bool) {
	i, _ := slices.BinarySearchFunc(f, wire.At(at)+1, func(s freshStart, t wire.Time) int { return int(s.submitted - t) })
	if i == len(f) {
		return 0, false
	}
	return f[i].started.Time().Sub(at), true
}
