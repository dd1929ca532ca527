package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// sizes are the worker processes of each process of the pool, ascending, and the scheduler's
// last word on them with its revision.
func (s *system) sizes() (running []int, word wire.Desired, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	found, err := natsx.LastOf(ctx, s.js, wire.StreamWorkers, []string{
		wire.KVSubject(wire.BucketWorkers, wire.InstanceKey("default", "*")), wire.KVSubject(wire.BucketWorkers, wire.DesiredKey("default")),
	})
	if err != nil {
		return nil, word, 0, err
	}
	for _, m := range found {
		if strings.HasSuffix(m.Subject, wire.DesiredKey("default")) {
			if revision = m.Seq; len(m.Data) > 0 {
				err = json.Unmarshal(m.Data, &word)
			}
		} else if len(m.Data) > 0 {
			var i wire.Instance
			err = json.Unmarshal(m.Data, &i)
			running = append(running, i.Running)
		}
		if err != nil {
			return nil, word, 0, err
		}
	}
	slices.Sort(running)
	return running, word, revision, nil
}

// awaitSizes waits until the pool's processes have so many workers, and so many are desired.
func (s *system) awaitSizes(want ...int) {
	s.t.Helper()
	total := 0
	for _, n := range want {
		total += n
	}
	natstest.Eventually(s.t, func() error {
		running, word, _, err := s.sizes()
		if err == nil && (!slices.Equal(running, want) || word.Desired != total) {
			err = fmt.Errorf("%v run, and the word is %+v; wanted %v", running, word, want)
		}
		return err
	})
}

// awaitDecisions waits until the autoscaler has decided n more times.
func (s *system) awaitDecisions(n int) {
	s.t.Helper()
	var last uint64
	left := n + 1
	natstest.Eventually(s.t, func() error {
		_, _, revision, err := s.sizes()
		if err != nil {
			return err
		}
		if revision != last {
			last = revision
			left--
		}
		if left > 0 {
			return fmt.Errorf("%d of %d decisions are left", left, n)
		}
		return nil
	})
}

// awaitHeld waits until so many handlers wait for the test.
func awaitHeld(t *testing.T, g *natstest.Gauge, n int) {
	t.Helper()
	natstest.Eventually(t, func() error {
		if now := g.Held("x"); now != n {
			return fmt.Errorf("%d run, wanted %d", now, n)
		}
		return nil
	})
}

// A pool of two processes grows to its most over a backlog, split over both, and back when that
// is gone, while a scheduler and one of the two are killed. Two short tasks change nothing; no
// worker that is busy is ever stopped; sizes stay within their bounds, and each change is told.
func TestAPoolGrowsAndShrinksWhateverDies(t *testing.T) {
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL(), "BATUTA_POOL_MIN=1", "BATUTA_POOL_MAX=3", "BATUTA_SCALE_TARGET=1s",
		"BATUTA_SCALE_DOWN_AFTER=2s", envConcurrency+"=1")
	s.add("scheduler", "state-recorder", "worker-pool", "scheduler", "worker-pool")
	s.awaitSizes(1, 1)
	s.submit(2, `{"type":"nap","payload":5}`)
	s.awaitEnd()
	s.awaitDecisions(2)
	for _, e := range s.fold().scaled { // one process came before the other
		require.LessOrEqual(t, *e.Data.To, 2, "two short tasks are no backlog: %+v", e.Data)
	}

	g := natstest.StartGauge(t)
	s.submit(20, gaugeTask(g, "x", held, wire.PriorityMedium))
	s.awaitSizes(3, 3)
	awaitHeld(t, g, 6)
	s.procs[0].kill()
	s.procs[2].kill()
	s.awaitSizes(3) // the other has its own most already
	awaitHeld(t, g, 3)
	for _, p := range []*proc{s.procs[2], s.procs[0]} {
		p.start()
		p.awaitReady()
	}
	s.awaitSizes(3, 3)
	awaitHeld(t, g, 6)

	for left := 20; left > 5; {
		g.Release("x", 1)
		left--
		awaitHeld(t, g, min(left, 6))
	}
	natstest.Eventually(t, func() error { // where the idle one is in the process whose share it is, it stays
		running, word, _, err := s.sizes()
		if err == nil && (len(running) != 2 || running[0]+running[1] < 5 || word.Desired != 5) {
			err = fmt.Errorf("five are busy, one is not: %v run, and the word is %+v", running, word)
		}
		return err
	})
	s.awaitDecisions(3)
	require.Equal(t, 5, g.Held("x"), "all that were busy are")
	g.Release("x", 5)
	s.awaitSizes(1, 1)

	b := s.settle()
	crashes := 0
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, b.records[id].Status, "%+v", b.records[id])
		crashes += b.records[id].Meta.Crashes
	}
	require.LessOrEqual(t, crashes, 3, "more than the killed process had in hand")
	require.Equal(t, 6, g.Most("x"))
	size := *b.scaled[0].Data.From
	for _, e := range b.scaled {
		require.Equal(t, size, *e.Data.From, "each change begins where the last one ended: %+v", e.Data)
		size = *e.Data.To
		require.GreaterOrEqual(t, size, 1, "%+v", e.Data)
		require.LessOrEqual(t, size, 6, "%+v", e.Data)
		require.NotEmpty(t, e.Data.Reason)
	}
	require.Equal(t, 2, size)
}
