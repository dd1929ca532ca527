package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// statsWindow is what averages and percentiles are over.
	statsWindow = 15 * time.Minute
	// recoveringFor is how long a loss makes the system Recovering at least.
	recoveringFor = 15 * time.Second
	// highLoadAfter is how long a backlog may need before the load is high.
	highLoadAfter = 30 * time.Second
	// forgetLoss bounds how long a loss is waited for, should a task of it never be heard of.
	forgetLoss = 30 * time.Minute
)

// losses are the workers and pools that were lost and are not made good for yet.
type losses []*loss

type loss struct {
	at     wire.Time
	reason string
	tasks  map[string]bool // not running again, nor finished
}

func (l *losses) add(reason string, tasks []string) { l.addAt(wire.Now(), reason, tasks) }

func (l *losses) addAt(at wire.Time, reason string, tasks []string) {
	one := &loss{at: at, reason: reason, tasks: map[string]bool{}}
	for _, id := range tasks {
		one.tasks[id] = true
	}
	*l = append(*l, one)
}

// settle notes that a task runs again or has ended.
func (l *losses) settle(r *wire.Record) {
	if r.Status != wire.StatusInProgress && !r.Status.Ended() {
		return
	}
	for _, one := range *l {
		if r.Status.Ended() || r.StartedAt >= one.at {
			delete(one.tasks, r.ID)
		}
	}
}

// open is what is still to be made good for.
func (l *losses) open(now wire.Time, stillLost func(id string, since wire.Time) bool) (reason string, waiting int) {
	kept := (*l)[:0]
	for _, one := range *l {
		for id := range one.tasks {
			if !stillLost(id, one.at) {
				delete(one.tasks, id)
			}
		}
		age := now.Sub(one.at)
		if age < recoveringFor || len(one.tasks) > 0 && age < forgetLoss {
			kept = append(kept, one)
			reason, waiting = one.reason, waiting+len(one.tasks)
		}
	}
	*l = kept
	return reason, waiting
}

// Stats are the global figures, at most half a second old but for the counts.
func (m *Model) Stats() wire.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	if s.SystemStatus == "" {
		s = m.compute()
	}
	s.Tasks = m.store.counts()
	s.Uptime = m.uptime()
	s.UpdatedAt = wire.Now()
	return s
}

func (m *Model) refresh() {
	m.mu.Lock()
	m.status = m.compute()
	now := m.status
	var before wire.SystemStatus
	if m.Ready() == nil {
		before = m.standing.turn(now.UpdatedAt, now.SystemStatus)
	}
	m.mu.Unlock()
	if before != "" {
		m.group.Go("tell the state", func(ctx context.Context) { m.tellStatus(ctx, before, now) })
	}
}

func (m *Model) compute() wire.Stats {
	now := wire.Now()
	s := wire.Stats{Tasks: m.store.counts(), Uptime: m.uptime(), UpdatedAt: now}
	for _, w := range m.workers().Workers {
		switch w.Status {
		case wire.WorkerIdle:
			s.Workers.Idle++
		case wire.WorkerActive, wire.WorkerBusy, wire.WorkerDraining:
			s.Workers.Active++
		case wire.WorkerStarting, wire.WorkerHung:
		}
	}
	before := m.series.totalsAt(now.Add(-statsWindow))
	if d := since(m.totals.DurationMs, before.DurationMs); d.Count > 0 {
		s.AverageExecutionTimeMs = new(int64(math.Round(d.Mean())))
	}
	waits := since(m.totals.WaitMs, before.WaitMs)
	s.QueueLatencyMs = wire.LatencyStats{P50: quantile(waits, 0.5), P99: quantile(waits, 0.99)}
	minute := m.series.totalsAt(now.Add(-time.Minute))
	for _, o := range outcomes {
		s.ThroughputPerMinute += grown(finished(m.totals, o), finished(minute, o))
	}
	s.SystemStatus, s.Reason = m.judge(now, s.Tasks)
	return s
}

func since(now, before wire.Histogram) wire.Histogram {
	if now.Count < before.Count {
		return now // the counts were reset
	}
	return now.Minus(before)
}

func (m *Model) uptime() string {
	began := m.started
	for _, s := range m.fleet.services {
		began = min(began, s.StartedAt)
	}
	seconds := int64(wire.Now().Sub(began) / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// judge is the state of the system with its reason.
func (m *Model) judge(now wire.Time, counts wire.TaskCounts) (wire.SystemStatus, wire.Text) {
	if reason, waiting := m.losses.open(now, m.stillLost); reason != "" {
		if waiting > 0 {
			return wire.SystemRecovering, wire.Text(fmt.Sprintf("%s; %d of its tasks do not run again yet", reason, waiting))
		}
		return wire.SystemRecovering, wire.Text(reason + "; its tasks run again or have ended")
	}
	if reason := m.overload(now, counts); reason != "" {
		return wire.SystemHighLoad, wire.Text(reason)
	}
	if counts.Pending == 0 {
		return wire.SystemStable, "nothing waits"
	}
	return wire.SystemStable, wire.Text(fmt.Sprintf("%d waiting, within the pace of the workers", counts.Pending))
}

// stillLost tells whether a task of a lost worker has not been started anew since.
func (m *Model) stillLost(id string, at wire.Time) bool {
	r := m.store.known(id)
	if r == nil || r.Status.Ended() || r.Status == wire.StatusRetrying || r.Status == wire.StatusScheduled {
		return false
	}
	if r.Status == wire.StatusPending {
		return true
	}
	w := m.fleet.workers[r.Worker]
	return w == nil || w.StartedAt > 0 && m.fleet.ended[r.Worker].EndedAt >= at
}

func (m *Model) overload(now wire.Time, counts wire.TaskCounts) string {
	if counts.Pending == 0 {
		return ""
	}
	var recent, minute float64
	second := int64(now) / 1000
	for _, r := range m.rates {
		for i := range r.at {
			switch age := second - r.at[i]; {
			case age < 5:
				recent, minute = recent+float64(r.out[i])/5, minute+float64(r.out[i])/ratesWindow
			case age < ratesWindow:
				minute += float64(r.out[i]) / ratesWindow
			}
		}
	}
	if rate := max(recent, minute); rate > 0 {
		if need := float64(counts.Pending) / rate; need > highLoadAfter.Seconds() {
			return fmt.Sprintf("%d waiting, %.0f s at the current rate%s", counts.Pending, need, m.atMaximum())
		}
	} else if wait := m.oldestWait(now); wait > highLoadAfter {
		return fmt.Sprintf("%d waiting, the oldest for %.0f s, and nothing is being started%s", counts.Pending, wait.Seconds(), m.atMaximum())
	}
	if full := m.atMaximum(); full != "" {
		return fmt.Sprintf("%d waiting%s", counts.Pending, full)
	}
	return ""
}

func (m *Model) oldestWait(now wire.Time) time.Duration {
	var longest time.Duration
	for _, q := range m.store.queueNames() {
		if _, oldest := m.store.depth(q); oldest > 0 {
			longest = max(longest, now.Sub(oldest))
		}
	}
	return longest
}

// atMaximum names a pool that cannot grow and has no free slot while its queues wait.
func (m *Model) atMaximum() string {
	for _, p := range m.pools() {
		slots, busy := 0, 0
		for _, i := range p.Instances {
			slots, busy = slots+i.Slots, busy+i.BusySlots
		}
		waits := slices.ContainsFunc(p.Queues, func(q string) bool {
			d, _ := m.store.depth(q)
			return d.Critical+d.High+d.Medium+d.Low > 0
		})
		if waits && p.Max > 0 && p.Running >= p.Max && slots > 0 && busy >= slots {
			return fmt.Sprintf("; pool %s at its maximum of %d", p.Name, p.Max)
		}
	}
	return ""
}
