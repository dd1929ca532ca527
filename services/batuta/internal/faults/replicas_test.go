package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	nap = `{"type":"nap","payload":30}`
	// manyDeaths is for tests that kill pools so often that a task would pass for their cause.
	manyDeaths = "BATUTA_MAX_CRASHES=100"
)

// Every process of every service is replaced under load, one after the other, in order. No
// task fails, none runs twice, and there is never a lease without an end of a task.
func TestRollingRestart(t *testing.T) {
	srv := natstest.Start(t)
	s := newSystem(t, srv.URL(), srv.URL(), "BATUTA_LEASE=5s")
	s.racing()
	s.add("scheduler", "state-recorder", "worker-pool", "api", "scheduler", "state-recorder", "worker-pool", "api")
	stop := s.load(50*time.Millisecond, 2, nap, `{"type":"nap","payload":5,"priority":"high"}`, `{"type":"nap","payload":1500}`)
	for _, p := range s.procs {
		p.terminate()
		p.start()
		p.awaitReady()
	}
	stop()
	b := s.settle()
	began, did := s.executions()
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, b.records[id].Status)
		require.Equal(t, 1, b.records[id].Attempt)
		require.Equal(t, 1, began[id], "%s began so often", id)
		require.Equal(t, 1, did[id], "%s was done so often", id)
	}
	require.Zero(t, b.events[wire.EventReassigned])
	require.Empty(t, b.repairs)
	slices.SortFunc(b.ended, time.Time.Compare)
	for i := 1; i < len(b.ended); i++ {
		require.Less(t, b.ended[i].Sub(b.ended[i-1]), 5*time.Second, "throughput was zero for longer than a lease")
	}
}

// Two of each service, each of them killed, stopped for longer than a lease, or restarted,
// at any time: also while it starts and while it drains.
func TestAnyReplicaAtAnyTime(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL(), manyDeaths)
	s.add("scheduler", "state-recorder", "worker-pool", "scheduler", "state-recorder", "worker-pool")
	stop := s.load(40*time.Millisecond, 3, nap, `{"type":"nap","payload":400}`, `{"type":"nap","payload":5,"delayMs":700}`,
		`{"type":"flaky","backoff":{"policy":"fixed","baseMs":300}}`, `{"type":"nap","payload":5,"priority":"critical"}`)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 18 {
		p := s.procs[i%len(s.procs)]
		s.fault(p, r)
		s.moment(r, 400)
	}
	stop()
	b := s.settle()
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, b.records[id].Status, "%+v", b.records[id])
	}
	s.requireNoRepairs(b)
	_, did := s.executions()
	for _, id := range s.ids() {
		require.Positive(t, did[id], "%s completed, but its handler never did", id)
	}
}

// The same, of tasks that take no time and come in groups: they lie in lane messages together.
func TestParcelsWhateverDies(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	// So many slots that a task counts as short on any machine: what a pool starts within a
	// millisecond goes together.
	s := newSystem(t, srv.URL(), srv.URL(), envConcurrency+"=64", manyDeaths)
	s.add("scheduler", "state-recorder", "worker-pool", "scheduler", "state-recorder", "worker-pool")
	stop := s.load(150*time.Millisecond, 30, `{"type":"instant"}`, `{"type":"instant","priority":"low"}`)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	pools := []*proc{s.procs[2], s.procs[5], s.procs[2], s.procs[0], s.procs[5], s.procs[4]}
	for i := range 12 {
		s.fault(pools[i%len(pools)], r)
		s.moment(r, 400)
	}
	stop()
	s.requireCompleted()
	b := s.fold()
	require.Greater(t, b.parcels, 20, "of %d tasks", len(s.ids()))
	_, did := s.executions()
	again := 0
	for _, id := range s.ids() {
		require.Positive(t, did[id], "%s completed, but its handler never did", id)
		again += did[id] - 1
	}
	t.Logf("%d tasks, %d parcels, %d executions more than one", len(s.ids()), b.parcels, again)
}

// fault does something to a process and leaves one running in its place.
func (s *system) fault(p *proc, r *rand.Rand) {
	s.t.Helper()
	kind := r.IntN(5)
	s.t.Logf("%s %s (pid %d): %s", wire.Now(), p.name, p.cmd.Process.Pid, []string{
		"killed", "killed while it starts", "killed while it drains", "stopped for longer than a lease", "restarted",
	}[kind])
	switch kind {
	case 0:
		p.kill()
		p.start()
	case 1:
		p.kill()
		p.start()
		s.moment(r, 150)
		p.kill()
		p.start()
	case 2:
		p.signal(syscall.SIGTERM)
		s.moment(r, 60)
		p.kill()
		p.start()
	case 3:
		p.signal(syscall.SIGSTOP)
		s.wait(2500 * time.Millisecond)
		p.signal(syscall.SIGCONT)
	case 4: // in order
		p.terminate()
		p.start()
	}
	p.awaitReady()
}

// moment waits for up to most milliseconds.
func (s *system) moment(r *rand.Rand, most int) {
	s.wait(time.Duration(r.IntN(most)) * time.Millisecond)
}

// wait lets time pass, which is what some faults are made of.
func (s *system) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// Of two recorders the one that folds is killed, or stopped: the other goes on within one
// lease, and when the first is back nothing was skipped and nothing counted twice.
func TestARecorderFailsOverWithinALease(t *testing.T) {
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL(), "BATUTA_LEASE=5s")
	s.add("scheduler", "state-recorder", "state-recorder")
	s.add("worker-pool")
	stop := s.load(20*time.Millisecond, 5, `{"type":"nap","payload":1}`)
	for _, fault := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGSTOP, syscall.SIGKILL} {
		folding := s.folding()
		at, began := s.position(), time.Now()
		folding.signal(fault)
		natstest.Eventually(t, func() error {
			if s.position() <= at+20 { // what it had in hand may still arrive
				return errors.New("the position stands still")
			}
			return nil
		})
		require.Less(t, time.Since(began), 5*time.Second)
		if fault == syscall.SIGKILL {
			_ = folding.cmd.Wait()
			folding.start()
		} else {
			folding.signal(syscall.SIGCONT)
		}
		folding.awaitReady()
	}
	stop()
	b := s.settle()
	require.Zero(t, b.totals.Open)
	require.Empty(t, b.repairs)
}

// folding is the one recorder that folds, by what each says of itself.
func (s *system) folding() *proc {
	s.t.Helper()
	var found []*proc
	natstest.Eventually(s.t, func() error {
		found = nil
		for _, p := range s.procs {
			if p.name == "state-recorder" && p.says("batuta_recorder_folding 1") {
				found = append(found, p)
			}
		}
		if len(found) != 1 {
			return fmt.Errorf("%d recorders fold", len(found))
		}
		return nil
	})
	return found[0]
}

// position is how far events are folded.
func (s *system) position() uint64 {
	s.t.Helper()
	kv, err := s.js.KeyValue(s.t.Context(), wire.BucketTasks)
	require.NoError(s.t, err)
	e, err := kv.Get(s.t.Context(), wire.KeyPosition)
	require.NoError(s.t, err)
	pos, err := wire.ParsePosition(string(e.Value()))
	require.NoError(s.t, err)
	return pos.Seq
}
