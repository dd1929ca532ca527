package faults

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// mixed are tasks of all kinds: at once, long, delayed, failing at first, urgent.
var mixed = []string{
	nap, `{"type":"nap","payload":300}`, `{"type":"nap","payload":5,"delayMs":600}`,
	`{"type":"flaky","backoff":{"policy":"fixed","baseMs":300}}`, `{"type":"nap","payload":5,"priority":"critical"}`,
}

// requireCompleted closes the books: every accepted task completed, once, and nothing had to
// be repaired.
func (s *system) requireCompleted() {
	s.t.Helper()
	b := s.settle()
	for _, id := range s.ids() {
		require.Equal(s.t, wire.StatusCompleted, b.records[id].Status, "%+v", b.records[id])
	}
	s.requireNoRepairs(b)
}

// requireNoRepairs tells what befell a task that only the audit made run.
func (s *system) requireNoRepairs(b *books) {
	s.t.Helper()
	for _, id := range b.repairs[:min(3, len(b.repairs))] {
		s.t.Logf("%s", strings.Join(b.history[id], "\n"))
	}
	require.Empty(s.t, b.repairs, "the audit had nothing to repair")
}

// The server is killed, and stopped for longer than a lease, under load.
func TestServerKilledAndStopped(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL())
	s.add("scheduler", "state-recorder", "worker-pool")
	stop := s.load(40*time.Millisecond, 3, mixed...)
	for i := range 4 {
		s.wait(time.Second)
		if i%2 == 0 {
			srv.Kill(t)
			srv.StartAgain(t)
		} else {
			srv.Signal(t, syscall.SIGSTOP)
			s.wait(3 * time.Second)
			srv.Signal(t, syscall.SIGCONT)
		}
		for _, p := range s.procs {
			p.awaitReady()
		}
	}
	stop()
	s.requireCompleted()
}

// With BATUTA_SYNC=always the server is killed with SIGKILL straight after it acknowledged:
// everything it acknowledged is there, and runs.
func TestAcknowledgedIsKept(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t, natstest.SyncAlways)
	s := newSystem(t, srv.URL(), srv.URL())
	first := s.add("scheduler", "state-recorder")
	for range 4 {
		for range 50 {
			s.submit(1, nap)
		}
		srv.Kill(t) // the last acknowledgement is microseconds old
		srv.StartAgain(t)
		natstest.Eventually(t, func() error {
			st, err := s.js.Stream(t.Context(), wire.StreamSubmit)
			if err == nil {
				require.GreaterOrEqual(t, st.CachedInfo().State.LastSeq, uint64(len(s.ids())))
			}
			return err
		})
	}
	for _, p := range first {
		p.awaitReady()
	}
	s.add("worker-pool")
	s.requireCompleted()
}

// The network is cut for less and for more than a lease, connections break again and again,
// and every answer comes late.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	proxy := natstest.NewProxy(t, srv.URL())
	s := newSystem(t, srv.URL(), proxy.URL())
	s.add("scheduler", "state-recorder", "worker-pool")
	stop := s.load(40*time.Millisecond, 3, mixed...)
	for _, fault := range []func(){
		func() { proxy.Cut(); s.wait(time.Second); proxy.Heal() },
		func() { proxy.Cut(); s.wait(4 * time.Second); proxy.Heal() },
		func() {
			for range 20 {
				proxy.Break()
				s.wait(50 * time.Millisecond)
			}
		},
		func() { proxy.Delay(300 * time.Millisecond); s.wait(4 * time.Second); proxy.Heal() },
	} {
		s.wait(500 * time.Millisecond)
		fault()
		for _, p := range s.procs {
			p.awaitReady()
		}
	}
	stop()
	s.requireCompleted()
}

// cluster is what both kinds of clusters can do.
type cluster struct {
	url         string
	names       []string
	stop, start func(i int)
	// leader is the name of the server that leads the cluster's own group.
	leader func() string
}

func inProcess(t *testing.T) cluster {
	t.Helper()
	all := natstest.Cluster(t, 3)
	c := cluster{url: all.URL(), leader: all.MetaLeader, stop: func(i int) { all.Server(i).Stop() }, start: func(i int) {
		all.Server(i).StartAgain(t)
		all.WaitReady(t)
	}}
	for i := range 3 {
		c.names = append(c.names, all.Server(i).NATS().Name())
	}
	return c
}

func asProcesses(t *testing.T) cluster {
	t.Helper()
	all := natstest.ClusterProcesses(t, 3)
	c := cluster{stop: func(i int) { all[i].Kill(t) }, start: func(i int) { all[i].StartAgain(t) }}
	var urls []string
	for _, p := range all {
		c.names = append(c.names, p.Name())
		urls = append(urls, p.URL())
	}
	c.url = strings.Join(urls, ",")
	c.leader = func() string {
		for _, p := range all {
			if name := p.MetaLeader(); name != "" {
				return name
			}
		}
		return ""
	}
	return c
}

// Of three servers the one that leads a stream goes, then that of the next, then the one
// that leads the cluster's own group.
func TestClusterLosesLeaders(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) cluster{"in process": inProcess, "as processes": asProcesses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			s := newSystem(t, c.url, c.url, "BATUTA_LEASE=4s")
			s.add("scheduler", "state-recorder", "worker-pool")
			st, err := s.js.Stream(t.Context(), wire.StreamSubmit)
			require.NoError(t, err)
			require.Equal(t, 3, st.CachedInfo().Config.Replicas)
			stop := s.load(60*time.Millisecond, 3, mixed...)
			for _, stream := range []string{wire.StreamReady, wire.StreamTasks, ""} {
				i := s.leader(c, stream)
				c.stop(i)
				s.goesOn()
				c.start(i)
				s.awaitCurrent()
			}
			stop()
			s.requireCompleted()
		})
	}
}

// leader is the number of the server that leads a stream, or the cluster.
func (s *system) leader(c cluster, stream string) int {
	s.t.Helper()
	found := -1
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
		defer cancel()
		leader := ""
		if stream == "" {
			leader = c.leader()
		} else if st, err := s.js.Stream(ctx, stream); err == nil && st.CachedInfo().Cluster != nil {
			leader = st.CachedInfo().Cluster.Leader
		}
		for i, name := range c.names {
			if name == leader {
				found = i
				return nil
			}
		}
		return fmt.Errorf("nobody leads %q", stream)
	})
	return found
}

// awaitCurrent waits until every server has all of every stream: only then may the next one
// go, of three.
func (s *system) awaitCurrent() {
	s.t.Helper()
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		list := s.js.ListStreams(ctx)
		for info := range list.Info() {
			if info.Cluster == nil || info.Cluster.Leader == "" {
				return fmt.Errorf("nobody leads %s", info.Config.Name)
			}
			for _, peer := range info.Cluster.Replicas {
				if !peer.Current || peer.Offline {
					return fmt.Errorf("%s is not current on %s", info.Config.Name, peer.Name)
				}
			}
		}
		return list.Err()
	})
}

// goesOn waits until tasks that are submitted from now on have ended.
func (s *system) goesOn() {
	s.t.Helper()
	before := len(s.ids())
	natstest.Eventually(s.t, func() error {
		ids := s.ids()
		if len(ids) < before+15 {
			return fmt.Errorf("%d tasks are accepted", len(ids)-before)
		}
		left, example, err := s.open(ids[before : before+15])
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d of 15 have not ended, %s", len(left), example)
		}
		return err
	})
}

// The bucket of the living is in memory: it is made anew, and filled again, also where only
// it is gone.
func TestTheBucketOfTheLivingIsGone(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t)
	s := newSystem(t, srv.URL(), srv.URL())
	s.add("scheduler", "state-recorder", "worker-pool")
	stop := s.load(40*time.Millisecond, 3, mixed...)
	for _, fault := range []func(){
		func() { srv.Kill(t); srv.StartAgain(t) },
		func() { require.NoError(t, s.js.DeleteStream(t.Context(), wire.StreamWorkers)) },
	} {
		s.awaitWorkers(2)
		fault()
		s.awaitWorkers(2)
		s.goesOn()
	}
	stop()
	s.requireCompleted()
}

// awaitWorkers waits until so many workers are shown.
func (s *system) awaitWorkers(n int) {
	s.t.Helper()
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
		defer cancel()
		kv, err := s.js.KeyValue(ctx, wire.BucketWorkers)
		if err != nil {
			return err
		}
		keys, err := kv.Keys(ctx)
		if err != nil {
			return err
		}
		found := 0
		for _, k := range keys {
			if !wire.IsOwnKey(k) {
				found++
			}
		}
		if found != n {
			return fmt.Errorf("%d workers: %v", found, keys)
		}
		return nil
	})
}
