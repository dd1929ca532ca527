package readmodel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func worker(n int) wire.Worker {
	return wire.Worker{
		ID: fmt.Sprintf("worker-%d", n), Pool: "default", Host: "h", PID: 10 + n, Status: wire.WorkerIdle, Concurrency: 1,
		CPUPercent: new(1.5), MemoryMb: new(20.0), StartedAt: wire.Now(), LastHeartbeat: wire.Now(), Instance: "i1",
	}
}

func instance(running, most int) wire.Instance {
	return wire.Instance{Pool: "default", Instance: "i1", Host: "h", Queues: []string{"default"}, Min: 1, Max: most, Running: running, LastHeartbeat: wire.Now()}
}

func TestWorkersShowTheirTasksByTheRecords(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	for _, n := range []int{10, 2} {
		s.key(wire.BucketWorkers, fmt.Sprintf("worker-%d", n), worker(n))
	}
	young := worker(3)
	young.CPUPercent = nil
	s.key(wire.BucketWorkers, "worker-3", young)
	s.put(record(101, running("worker-2")))
	natstest.Eventually(t, func() error {
		w := m.Workers().Workers
		if len(w) != 2 || w[0].ID != "worker-2" || w[1].ID != "worker-10" || w[0].AssignedTasks != 1 {
			return fmt.Errorf("workers %+v", w)
		}
		return nil
	})
	w := m.Workers().Workers[0]
	require.Equal(t, []string{"task-101"}, w.Tasks)
	require.Equal(t, wire.WorkerBusy, w.Status)
	require.NotNil(t, w.LastHeartbeatAgoMs)
	require.Equal(t, wire.WorkerCounts{Active: 1, Idle: 1}, m.Stats().Workers)
	s.put(record(101, done(wire.StatusCompleted)))
	eventually(t, func() bool { return m.Workers().Workers[0].AssignedTasks == 0 }, "the end of its task is not seen")
}

func TestEndedWorkersAreListedWithTheReason(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	for n := 1; n <= 3; n++ {
		s.key(wire.BucketWorkers, fmt.Sprintf("worker-%d", n), worker(n))
	}
	eventually(t, func() bool { return len(m.Workers().Workers) == 3 }, "the workers are not seen")
	s.tell(wire.Event{Event: wire.EventWorkerStop, WorkerID: "worker-1", Pool: "default", Data: wire.EventData{Reason: "scaled down"}})
	s.drop(wire.BucketWorkers, "worker-1")
	s.drop(wire.BucketWorkers, "worker-2")
	s.tell(wire.Event{Event: wire.EventWorkerLost, WorkerID: "worker-2", Pool: "default", Data: wire.EventData{Reason: "killed by signal 9"}})
	s.key(wire.BucketWorkers, "worker-3", worker(3), wire.HeaderTTL, "1") // its pool dies
	natstest.Eventually(t, func() error {
		e := m.Workers().Ended
		if len(e) != 3 || e[0].Reason != "scaled down" || e[1].Reason != "killed by signal 9" || e[2].Reason != "lost: its heartbeat ended" {
			return fmt.Errorf("ended %+v", e)
		}
		return nil
	})
	require.Equal(t, 12, m.Workers().Ended[1].PID)
	require.Equal(t, wire.SystemRecovering, m.Stats().SystemStatus)
}

func TestPoolsAndQueues(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	s.key(wire.BucketWorkers, wire.InstanceKey("default", "i1"), instance(1, 4))
	two := instance(1, 2)
	two.Instance, two.Queues = "i2", []string{"default", "mail"}
	s.key(wire.BucketWorkers, wire.InstanceKey("default", "i2"), two)
	s.key(wire.BucketWorkers, wire.DesiredKey("default"), wire.Desired{Pool: "default", Desired: 3, Reason: "12 waiting", Instances: map[string]int{"i1": 2, "i2": 1}})
	s.key(wire.BucketWorkers, "worker-1", worker(1))
	s.key(wire.BucketSettings, wire.PoolSettingsKey("default"), wire.PoolSettings{Max: new(9), Paused: true})
	s.key(wire.BucketSettings, wire.QueueSettingsKey("mail"), wire.QueueSettings{Paused: true})
	s.put(record(101), record(102, func(r *wire.Record) { r.Queue, r.Priority = "lonely", wire.PriorityCritical }))
	natstest.Eventually(t, func() error {
		p := m.Pools()
		if len(p) != 1 || len(p[0].Instances) != 2 || p[0].Desired == nil || p[0].Running != 1 || !p[0].Paused || m.Counts().Total != 2 {
			return fmt.Errorf("pools %+v", p)
		}
		return nil
	})
	p := m.Pools()[0]
	require.Equal(t, 2, p.Min)
	require.Equal(t, 9, p.Max)
	require.Equal(t, []string{"default", "mail"}, p.Queues)
	require.Equal(t, 2, *p.Instances[0].Desired)
	natstest.Eventually(t, func() error {
		q := m.Queues()
		if len(q) != 3 || !q[2].Paused {
			return fmt.Errorf("queues %+v", q)
		}
		return nil
	})
	q := m.Queues()
	require.Equal(t, []string{"default"}, q[0].ServedBy)
	require.Equal(t, wire.Depth{Medium: 1}, q[0].Depth)
	require.Equal(t, wire.Depth{Critical: 1}, q[1].Depth)
	require.Equal(t, "lonely", q[1].Name)
	require.Empty(t, q[1].ServedBy)
	require.Nil(t, q[2].OldestWaitMs)
}

func TestRatesOfAQueue(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	for seq := uint64(101); seq <= 110; seq++ {
		s.put(record(seq))
	}
	for seq := uint64(101); seq <= 104; seq++ {
		s.put(record(seq, done(wire.StatusCompleted)))
	}
	natstest.Eventually(t, func() error {
		q := m.Queues()
		if len(q) != 1 || q[0].RateIn == nil || *q[0].RateIn <= *q[0].RateOut || *q[0].RateOut <= 0 {
			return fmt.Errorf("queues %+v", q)
		}
		return nil
	})
}

func TestAveragesAreOfTheLastMinutes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	old, now := &wire.Totals{}, &wire.Totals{}
	for range 100 {
		old.DurationMs.Add(9000)
		old.WaitMs.Add(9000)
		old.CountFinished(wire.StatusCompleted, "hash")
	}
	now = old.Clone()
	for range 150 {
		now.DurationMs.Add(100)
		now.WaitMs.Add(8)
		now.CountFinished(wire.StatusCompleted, "hash")
	}
	at := wire.Now().Add(-15 * time.Minute)
	s.publish(wire.SubjectSeriesCoarse, encode(t, wire.Sample{At: at - 1000, Totals: *old}))
	s.key(wire.BucketTasks, wire.KeyTotals, now)
	s.key(wire.BucketWorkers, wire.ServiceKey("scheduler", "a"), wire.Service{Service: "scheduler", StartedAt: wire.Now().Add(-100*time.Hour - 61*time.Second)})
	m := s.ready()
	st := m.Stats()
	require.Equal(t, int64(100), *st.AverageExecutionTimeMs)
	require.InDelta(t, 8, *st.QueueLatencyMs.P50, 1)
	require.Equal(t, int64(10), st.ThroughputPerMinute)
	require.Regexp(t, `^100:01:\d\d$`, st.Uptime)
	require.Equal(t, wire.SystemStable, st.SystemStatus)
	require.NotEmpty(t, st.Reason)
	require.Equal(t, uint64(250), m.Totals().Finished[wire.StatusCompleted]["hash"])
}

func TestFiguresAreUnknownWhereNothingRan(t *testing.T) {
	t.Parallel()
	m := newSystem(t).ready()
	st := m.Stats()
	require.Nil(t, st.AverageExecutionTimeMs)
	require.Nil(t, st.QueueLatencyMs.P50)
	require.Equal(t, wire.SystemStable, st.SystemStatus)
	require.Regexp(t, `^00:00:\d\d$`, st.Uptime)
}

func TestHighLoadWhereAPoolIsAtItsMaximum(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	s.key(wire.BucketWorkers, wire.InstanceKey("default", "i1"), instance(1, 1))
	s.key(wire.BucketWorkers, "worker-1", worker(1))
	s.put(record(101, running("worker-1")), record(102))
	eventually(t, func() bool { return m.Stats().SystemStatus == wire.SystemHighLoad }, "a busy pool at its maximum with tasks waiting is no high load")
	require.Contains(t, m.Stats().Reason, "maximum")
	s.put(record(102, done(wire.StatusCompleted)))
	eventually(t, func() bool { return m.Stats().SystemStatus == wire.SystemStable }, "nothing waits any more")
}

func TestHighLoadWhereNothingIsStarted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put(record(101, func(r *wire.Record) { r.Meta.DueAt = wire.Now().Add(-time.Minute) }))
	m := s.ready()
	st := m.Stats()
	require.Equal(t, wire.SystemHighLoad, st.SystemStatus)
	require.Contains(t, st.Reason, "none is started")
}

func TestRecoveringUntilTheTasksOfALostWorkerRunAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	m := s.ready()
	s.put(record(101, running("worker-1")))
	s.key(wire.BucketWorkers, "worker-1", worker(1))
	eventually(t, func() bool { return len(m.Workers().Workers) == 1 && m.Counts().InProgress == 1 }, "the worker is not seen")
	s.tell(wire.Event{Timestamp: wire.Now().Add(-20 * time.Second), Event: wire.EventWorkerLost, WorkerID: "worker-1", Data: wire.EventData{Reason: "exit status 2"}})
	natstest.Eventually(t, func() error {
		if st := m.Stats(); st.SystemStatus != wire.SystemRecovering {
			return fmt.Errorf("the system is %s", st.SystemStatus)
		}
		return nil
	})
	require.Contains(t, m.Stats().Reason, "1 of its tasks")
	s.put(record(101, running("worker-2")))
	eventually(t, func() bool { return m.Stats().SystemStatus == wire.SystemStable }, "its task runs again")
}

func TestSeriesSurviveARestart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var totals wire.Totals
	begin := wire.Now().Add(-10 * time.Minute)
	for i := range 110 {
		for range 10 {
			totals.CountFinished(wire.StatusCompleted, "hash")
			totals.WaitMs.Add(5)
		}
		totals.CountFinished(wire.StatusFailed, "http")
		s.publish(wire.SubjectSeriesFine, encode(t, wire.Sample{
			At: begin + wire.Time(i*5000), Totals: *totals.Clone(), Waiting: map[wire.Priority]int64{wire.PriorityHigh: int64(i)},
			Workers: map[string]wire.WorkerSample{"worker-1": {CPUPercent: 12.5, MemoryMb: 30}},
		}))
	}
	s.tell(wire.Event{Event: wire.EventPoolScaled, Pool: "default", Data: wire.EventData{From: new(1), To: new(2)}},
		wire.Event{Event: wire.EventFailed, TaskID: "task-101", Data: wire.EventData{Final: new(true)}},
		wire.Event{Event: wire.EventFailed, TaskID: "task-102", Data: wire.EventData{Final: new(false)}})
	s.key(wire.BucketTasks, wire.KeyTotals, totals)
	m := s.ready()
	for _, c := range []struct{ window, step time.Duration }{
		{15 * time.Minute, 5 * time.Second}, {time.Hour, 7 * time.Second}, {24 * time.Hour, 5 * time.Minute}, {20 * time.Minute, time.Second},
	} {
		out, err := m.Series(t.Context(), c.window, c.step)
		require.NoError(t, err)
		steps := int((c.window + c.step - 1) / c.step)
		for name, want := range map[string]int64{"completed": 1100, "failed": 110, "cancelled": 0} {
			require.Len(t, out.Tasks[name], steps)
			require.Equal(t, want, sum(out.Tasks[name]), "%s of %s by %s", name, c.window, c.step)
		}
		require.Equal(t, map[string]int64{"hash": 1100, "http": 110}, out.Types)
		require.Len(t, out.Waiting["high"], steps)
		require.Len(t, out.QueueLatencyMs.P99, steps)
		require.Len(t, out.Marks, 2)
		at := int((begin + 300_000 - out.From) / wire.Time(c.step.Milliseconds()))
		require.NotNil(t, out.Waiting["high"][at])
		require.NotNil(t, out.Workers["worker-1"].CPUPercent[at], "%s by %s", c.window, c.step)
		require.NotNil(t, out.QueueLatencyMs.P50[at], "%s by %s", c.window, c.step)
		require.InDelta(t, 12.5, *out.Workers["worker-1"].CPUPercent[at], 0.01)
		require.InDelta(t, 5, *out.QueueLatencyMs.P50[at], 1)
		if before := int((begin - 60_000 - out.From) / wire.Time(c.step.Milliseconds())); c.step < time.Minute && before >= 0 {
			require.Nil(t, out.Waiting["high"][before], "nobody measured")
			require.Nil(t, out.QueueLatencyMs.P50[before])
		}
	}
}

func TestSeriesOfWhatIsKeptAndHowLongItRan(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var totals wire.Totals
	s.publish(wire.SubjectSeriesFine, encode(t, wire.Sample{At: wire.Now().Add(-30 * time.Second), Totals: *totals.Clone()}))
	totals.DurationMs.Add(100)
	totals.DurationMs.Add(300)
	s.publish(wire.SubjectSeriesFine, encode(t, wire.Sample{At: wire.Now().Add(-25 * time.Second), Totals: *totals.Clone()}))
	m := s.ready()
	s.put(record(101), record(102, done(wire.StatusFailed)))
	eventually(t, func() bool { return m.Counts().Total == 2 }, "the tasks are not seen")
	s.publish(wire.SubjectSeriesFine, encode(t, wire.Sample{At: wire.Now(), Totals: *totals.Clone()}))
	var out wire.Series
	eventually(t, func() bool {
		var err error
		out, err = m.Series(t.Context(), time.Minute, time.Second)
		require.NoError(t, err)
		return len(known(out.Counts["total"])) > 0
	}, "the sample is not seen")
	require.Len(t, out.Counts, 8)
	require.Equal(t, int64(2), known(out.Counts["total"])[0])
	require.Equal(t, int64(1), known(out.Counts["failed"])[0])
	require.Equal(t, int64(1), known(out.Counts["pending"])[0])
	require.Nil(t, out.Counts["total"][40], "what was kept before this model began is not known")
	require.Len(t, out.AverageExecutionTimeMs, 60)
	require.Contains(t, known(out.AverageExecutionTimeMs), int64(200))
}

func known(values []*int64) (out []int64) {
	for _, v := range values {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out
}

func sum(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}
