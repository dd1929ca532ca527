package readmodel

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// statsWindow is what averages and percentiles are taken over.
const statsWindow = 15 * time.Minute

// Stats are the global figures.
func (m *Model) Stats() wire.Stats {
	now := wire.Now()
	out := wire.Stats{Tasks: m.Counts(), UpdatedAt: now}
	workers := m.Workers()
	for _, w := range workers.Workers {
		switch w.Status {
		case wire.WorkerActive, wire.WorkerBusy:
			out.Workers.Active++
		case wire.WorkerIdle:
			out.Workers.Idle++
		case wire.WorkerStarting, wire.WorkerDraining, wire.WorkerHung: // take nothing
		}
	}
	started := m.oldestService()
	out.Uptime = uptime(now.Sub(started))
	m.addAverages(&out, now, started)
	out.SystemStatus, out.Reason = m.systemStatus(&out, workers.Workers, now)
	return out
}

// oldestService is when the longest running service began: this one is one of them.
func (m *Model) oldestService() wire.Time {
	m.workers.mu.Lock()
	defer m.workers.mu.Unlock()
	oldest := m.began
	for _, s := range m.workers.services {
		if s.StartedAt > 0 {
			oldest = min(oldest, s.StartedAt)
		}
	}
	return oldest
}

func uptime(d time.Duration) string {
	s := max(int64(d/time.Second), 0)
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// addAverages compares the totals of now with those of 15 minutes ago.
func (m *Model) addAverages(out *wire.Stats, now, started wire.Time) {
	totals := m.Totals()
	base, since := m.series.baseline(now.Add(-statsWindow))
	if since == 0 { // the system is younger
		since = max(started, now.Add(-statsWindow))
	}
	last := pointOf(totals)
	durations, waits := last.durations.minus(&base.durations), last.waits.minus(&base.waits)
	if durations.count > 0 {
		out.AverageExecutionTimeMs = new(int64(math.Round(durations.mean())))
	}
	if waits.count > 0 {
		out.QueueLatencyMs.P50, out.QueueLatencyMs.P99 = waits.quantile(0.5), waits.quantile(0.99)
	}
	minutes := max(now.Sub(since), 10*time.Second).Minutes()
	run := sub(last.finished[0], base.finished[0]) + sub(last.finished[1], base.finished[1])
	out.ThroughputPerMinute = int64(math.Round(float64(run) / minutes))
}

// sub is a minus b, or a where the count has begun anew.
func sub(a, b uint64) uint64 {
	if a < b {
		return a
	}
	return a - b
}

const (
	// highLoadAfter is how long the backlog may need at the current rate.
	highLoadAfter = 30 * time.Second
	// judgeAfter is how long a backlog must have been there for its rate to say something.
	judgeAfter = 3 * time.Second
)

// systemStatus says how the system is, and why.
func (m *Model) systemStatus(s *wire.Stats, workers []wire.WorkerView, now wire.Time) (wire.SystemStatus, wire.Text) {
	if reason := m.recovering(now); reason != "" {
		return wire.SystemRecovering, wire.Text(reason)
	}
	if reason := m.highLoad(s, workers, now); reason != "" {
		return wire.SystemHighLoad, wire.Text(reason)
	}
	return wire.SystemStable, wire.Text(fmt.Sprintf("%d waiting, %d running", s.Tasks.Pending, s.Tasks.InProgress))
}

// recovering says which loss the system recovers from; empty where from none.
func (m *Model) recovering(now wire.Time) string {
	b := &m.workers
	b.mu.Lock()
	defer b.mu.Unlock()
	reason, waiting := "", 0
	for i := range b.losses {
		l := &b.losses[i]
		l.tasks = slices.DeleteFunc(l.tasks, func(id string) bool { return m.settled(id, l.worker) })
		waiting += len(l.tasks)
		if ago := now.Sub(l.at); ago < lossFor || len(l.tasks) > 0 && ago < lossMost {
			reason = fmt.Sprintf("%s was lost at %s", l.what, l.at.Time().Format("15:04:05 UTC"))
		}
	}
	if reason != "" && waiting > 0 {
		reason += fmt.Sprintf("; %d of its tasks are not running again yet", waiting)
	}
	return reason
}

// settled tells whether a task that a lost worker had runs elsewhere or has ended.
func (m *Model) settled(id, worker string) bool {
	r := m.Get(id)
	return r == nil || r.Status != wire.StatusPending && (r.Status != wire.StatusInProgress || r.Worker != worker)
}

// highLoad says why the load is high; empty where it is not.
func (m *Model) highLoad(s *wire.Stats, workers []wire.WorkerView, now wire.Time) string {
	if s.Tasks.Pending == 0 {
		return ""
	}
	for _, p := range m.Pools() {
		if pending := m.pendingIn(p.Queues); pending > 0 && p.Max > 0 && p.Running >= p.Max && allBusy(workers, p.Name) {
			return fmt.Sprintf("%d waiting; all %d workers of pool %s are busy, and that is its maximum", pending, p.Running, p.Name)
		}
	}
	longest := m.longestWait(now)
	if rate := m.currentRate(); rate > 0 {
		if needs := float64(s.Tasks.Pending) / rate; needs > highLoadAfter.Seconds() && longest >= judgeAfter {
			return fmt.Sprintf("%d waiting, %.0f s at the current rate of %.4g a second", s.Tasks.Pending, needs, rate)
		}
		return ""
	}
	if longest > highLoadAfter {
		return fmt.Sprintf("%d waiting, the oldest for %d s, and none is started", s.Tasks.Pending, int64(longest/time.Second))
	}
	return ""
}

func allBusy(workers []wire.WorkerView, pool string) bool {
	some := false
	for i := range workers {
		if workers[i].Pool != pool {
			continue
		}
		if workers[i].Status == wire.WorkerIdle || workers[i].Status == wire.WorkerActive {
			return false
		}
		some = true
	}
	return some
}

func (m *Model) pendingIn(queues []string) int64 {
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := int64(0)
	for _, q := range queues {
		if number, known := s.queues.numbers[q]; known && int(number) < len(s.depth) {
			for _, depth := range s.depth[number] {
				n += depth
			}
		}
	}
	return n
}

// currentRate is how many tasks a second are started: by the best of the last 2, 10 and 59
// seconds, so that a system that has just been given work is not taken for a slow one.
func (m *Model) currentRate() float64 {
	s := m.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	best := 0.0
	for _, seconds := range []int64{2, 10, rateSeconds - 1} {
		out := uint64(0)
		for _, r := range s.rates {
			shown := *r
			shown.forward(s.now().Unix())
			_, n := shown.over(seconds)
			out += n
		}
		best = max(best, float64(out)/float64(seconds))
	}
	return best
}

func (m *Model) longestWait(now wire.Time) time.Duration {
	longest := time.Duration(0)
	for _, due := range m.store.oldest() {
		longest = max(longest, now.Sub(due))
	}
	return longest
}
