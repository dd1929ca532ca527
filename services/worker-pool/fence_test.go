package workerpool_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func shortLease(c *workerpool.Config) { c.Lease = 2 * time.Second }

// runsBehind starts a pool behind a proxy, lets it begin a task, and starts a second pool
// beside it.
func (sys *system) runsBehind(p *proxy) (cutOff *workerpool.Pool, env *wire.Envelope, dir string, first *wire.Record) {
	sys.t.Helper()
	dir = sys.t.TempDir()
	cutOff = sys.poolThrough(p, shortLease)
	env = sys.task("file", dir)
	sys.submit(env)
	sys.awaitRunning(env.ID, "")
	sys.pool(shortLease)
	return cutOff, env, dir, sys.record(env.ID)
}

func awaitFile(t testing.TB, name string) {
	t.Helper()
	natstest.Eventually(t, func() error { _, err := os.Stat(name); return err })
}

func letGo(t testing.TB, dir string, fence uint64) {
	t.Helper()
	require.NoError(t, os.WriteFile(goFile(dir, fence), nil, 0o600))
}

func TestAPoolThatIsCutOffStopsItsTasksAndSaysNothingLater(t *testing.T) {
	t.Parallel()
	everything := func(s []said) []said { return s }
	// The network may deliver extensions that were sent before the pool noticed: they harm nobody.
	noExtensions := func(s []said) []said {
		return slices.DeleteFunc(s, func(one said) bool { return one.body == "+WPI" })
	}
	for _, how := range []struct {
		name string
		cut  func(*proxy)
		late func([]said) []said
	}{{"the connection breaks", (*proxy).Cut, everything}, {"packets are dropped", (*proxy).Stall, noExtensions}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t)
			p := newProxy(t, sys.url)
			cutOff, env, dir, first := sys.runsBehind(p)
			how.cut(p)
			awaitFile(t, stoppedFile(dir, first.Fence)) // by the pool's own clock: nobody can tell it
			second := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence && r.Progress != nil })
			require.NotEqual(t, first.Worker, second.Worker)
			natstest.Eventually(t, cutOffFrom(cutOff))
			p.Heal()
			natstest.Eventually(t, cutOff.Ready)
			sys.awaitEvent(wire.EventReassigned, func(e *wire.Event) bool { return e.TaskID == env.ID && e.Data.Fence == first.Fence })
			require.Empty(t, how.late(p.Said("$JS.ACK.")), "its lease was over before the connection was back")
			sys.awaitLaneMessages(1)
			letGo(t, dir, second.Fence)
			done := sys.await(env.ID, wire.StatusCompleted)
			require.Equal(t, second.Fence, done.Fence)
			require.Equal(t, 1, done.Meta.Crashes)
			sys.awaitAcknowledged()
		})
	}
}

// cutOffFrom waits until a pool has noticed that its server is gone: what it wrote before
// lies in the network, not in the pool.
func cutOffFrom(p *workerpool.Pool) func() error {
	return func() error {
		if p.Ready() == nil {
			return fmt.Errorf("the pool believes to be connected")
		}
		return nil
	}
}

// Its worker lives and has nothing more to do: without a word from the pool, the next holder
// would take the task for one that runs there.
func TestAPoolSaysWhenItCouldNotStoreAResult(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := newProxy(t, sys.url)
	pool := sys.poolThrough(p, shortLease)
	p.StallAfter("$O." + wire.BucketObjects)
	env := sys.task("big", 100_000)
	id := env.ID
	sys.submit(env)
	p.awaitStalled(t)
	first := sys.awaitThat(id, func(r *wire.Record) bool { return r.Fence > 0 })
	p.Cut() // what is on its way will not arrive later
	sys.pool(shortLease)
	done := sys.awaitThat(id, func(r *wire.Record) bool { return r.Fence > first.Fence && r.Status == wire.StatusCompleted })
	require.NotEqual(t, first.Worker, done.Worker)
	p.Heal()
	natstest.Eventually(t, pool.Ready)
	sys.awaitEvent(wire.EventReassigned, func(e *wire.Event) bool { return e.TaskID == id && e.Data.Fence == first.Fence })
	sys.awaitAcknowledged()
}

func TestALateOutcomeIsRefusedAndAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := newProxy(t, sys.url)
	cutOff, env, dir, first := sys.runsBehind(p)
	p.Cut()
	letGo(t, dir, first.Fence) // it ends while the lease lasts, but nobody hears of it
	second := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence && r.Progress != nil })
	p.Heal()
	natstest.Eventually(t, cutOff.Ready)
	natstest.Eventually(t, func() error {
		sys.mu.Lock()
		defer sys.mu.Unlock()
		if len(sys.refused) == 0 {
			return fmt.Errorf("nothing was refused")
		}
		return nil
	})
	require.Equal(t, []string{env.ID + ": the task was handed out again since"}, sys.refused)
	require.Empty(t, p.Said("$JS.ACK."))
	sys.awaitLaneMessages(1)
	require.Equal(t, wire.StatusInProgress, sys.record(env.ID).Status)
	letGo(t, dir, second.Fence)
	done := sys.await(env.ID, wire.StatusCompleted)
	require.Equal(t, second.Fence, done.Fence)
	require.Equal(t, string(mustJSON(second.Fence)), string(done.Result))
	sys.awaitAcknowledged()
}

func TestAShortCutKeepsTheLease(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := newProxy(t, sys.url)
	cutOff := sys.poolThrough(p, func(c *workerpool.Config) { c.Lease = 20 * time.Second })
	dir := t.TempDir()
	env := sys.task("file", dir)
	sys.submit(env)
	sys.awaitRunning(env.ID, "")
	p.Cut()
	natstest.Eventually(t, cutOffFrom(cutOff))
	letGo(t, dir, sys.record(env.ID).Fence)
	p.Heal()
	rec := sys.await(env.ID, wire.StatusCompleted)
	require.Equal(t, wire.FirstFence(1), rec.Fence)
	require.Equal(t, 0, rec.Meta.Crashes)
	sys.awaitAcknowledged()
}

func TestWhatIsHeldIsExtendedFirstAfterAReconnection(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := newProxy(t, sys.url)
	cutOff := sys.poolThrough(p, noHelp)
	var all []*wire.Envelope
	for range 4 {
		all = append(all, sys.task("finishes", nil))
	}
	sys.submit(all...)
	for _, env := range all {
		sys.awaitRunning(env.ID, "")
	}
	p.Cut()
	natstest.Eventually(t, cutOffFrom(cutOff))
	p.Heal()
	natstest.Eventually(t, cutOff.Ready)
	acks := p.Said("$JS.ACK.")
	extended := map[string]bool{}
	for _, one := range acks {
		require.Equal(t, "+WPI", one.body)
		extended[one.subject] = true
	}
	require.Len(t, extended, len(all))
	for _, env := range all {
		sys.cancel(env.ID)
	}
	sys.awaitAcknowledged()
}

// A consumer that changes its leader may forget an extension and give the message to another
// pool, while the first goes on: its extensions and acknowledgements are answered as ever. Its outcome is
// refused then, and must not take the message along: the other may die.
func TestARefusedOutcomeLeavesTheMessageToItsHolder(t *testing.T) {
	t.Parallel()
	c := natstest.Cluster(t, 3)
	nc, err := nats.Connect(c.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	sys := newSystemOn(t, c.URL(), nc)
	require.NoError(t, topology.Ensure(t.Context(), sys.js, topology.Options{Replicas: 3}))
	sys.pool(func(c *workerpool.Config) { c.Replicas, c.Lease = 3, 2*time.Second })
	dir := t.TempDir()
	env := sys.task("file", dir)
	sys.submit(env)
	sys.awaitRunning(env.ID, "")
	first := sys.record(env.ID)
	held := time.Now()
	natstest.Eventually(t, func() error { // its message has been extended
		if time.Since(held) < 2*time.Second {
			return errors.New("it is not held for long")
		}
		return nil
	})
	other := wire.Event{Event: wire.EventStarted, TaskID: env.ID, Pool: "other", WorkerID: "worker-of-another", Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt, LaneSeq: 1, Fence: wire.NextFence(1, first.Fence),
	}}
	sys.publishEvent(wire.NewEvent(other))
	second := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence })
	letGo(t, dir, first.Fence)
	third := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > second.Fence }) // the other was never there
	require.Equal(t, []string{env.ID + ": the task was handed out again since"}, sys.refused)
	letGo(t, dir, third.Fence)
	require.Equal(t, third.Fence, sys.await(env.ID, wire.StatusCompleted).Fence)
	sys.awaitAcknowledged()
}

// A connection may come back within a moment, and nothing answer on it yet.
func TestAReconnectionInVainIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := sys.pool()
	p.ReconnectInVain()
	sys.run(wire.StatusCompleted, sys.task("echo", "again"))
}
