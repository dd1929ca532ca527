package workerpool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// parcel records tasks and puts them into their lane as one message.
func (sys *system) parcel(envs ...*wire.Envelope) uint64 {
	sys.t.Helper()
	sys.recorded(envs...)
	return sys.packed(envs...)
}

// recorded tells the fold of tasks that lie in no lane yet.
func (sys *system) recorded(envs ...*wire.Envelope) {
	sys.t.Helper()
	for _, env := range envs {
		sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
			Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt,
		}}))
	}
}

// packed puts tasks into their lane as one message.
func (sys *system) packed(envs ...*wire.Envelope) uint64 {
	sys.t.Helper()
	bodies := make([][]byte, len(envs))
	for i, env := range envs {
		bodies[i] = env.Encode()
	}
	m := nats.NewMsg(wire.ReadySubject(envs[0].Task.Queue, envs[0].Task.Priority, envs[0].Task.Type))
	m.Data = wire.EncodeParcel(bodies...)
	ack, err := sys.js.PublishMsg(sys.t.Context(), m)
	require.NoError(sys.t, err)
	return ack.Sequence
}

// slowFirst is a parcel whose first task runs until it is cancelled; the others take no time.
func (sys *system) slowFirst() (first *wire.Envelope, rest []*wire.Envelope, seq uint64) {
	sys.t.Helper()
	first, rest = sys.task("finishes", nil), sys.tasks(5, "echo", 1)
	return first, rest, sys.parcel(append([]*wire.Envelope{first}, rest...)...)
}

// startsOf counts how often a task was started.
func (sys *system) startsOf(id string) int {
	n := 0
	for _, e := range sys.of(id) {
		if e.Event == wire.EventStarted {
			n++
		}
	}
	return n
}

func TestTheTasksOfAParcelRunLikeOthers(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	envs := sys.tasks(40, "echo", "hello")
	envs[7].Task.Type = "fatal"
	envs[9].Task.Type = "fail" // is tried again, an hour later, by itself
	seq := sys.parcel(envs...)
	sys.pool(size(1, 3))
	for i, env := range envs {
		switch i {
		case 7:
			sys.await(env.ID, wire.StatusFailed)
		case 9:
			rec := sys.await(env.ID, wire.StatusRetrying)
			_, next := sys.scheduled(env.ID, rec.Fence)
			require.Equal(t, 2, next.Attempt)
		default:
			require.JSONEq(t, `"hello"`, string(sys.await(env.ID, wire.StatusCompleted).Result))
		}
		require.Equal(t, 1, sys.startsOf(env.ID))
		require.Equal(t, wire.FirstFence(seq), sys.record(env.ID).Fence)
		require.Equal(t, seq, sys.record(env.ID).Meta.LaneSeq)
	}
	sys.awaitAcknowledged()
}

// Whoever gets a parcel again leaves out what has ended, and goes on with the rest.
func TestAParcelOfADeadPoolIsFinishedByAnother(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, time.Second))
	sys.mover(common)
	dir := t.TempDir()
	envs := sys.tasks(6, "echo", 1)
	for _, env := range envs[3:] {
		env.Task.Type, env.Payload = "file", mustJSON(dir) // runs until a file is there
	}
	seq := sys.parcel(envs...)
	p := sys.poolProcess()
	for _, env := range envs[:3] {
		sys.await(env.ID, wire.StatusCompleted)
	}
	for _, env := range envs[3:] {
		sys.await(env.ID, wire.StatusInProgress)
	}
	require.NoError(t, p.Process.Kill())
	sys.pool(size(1, 4))
	natstest.Eventually(t, func() error { // in any order: suspects of a death run apart
		var open error
		for _, env := range envs[3:] {
			switch rec := sys.record(env.ID); {
			case rec.Status == wire.StatusInProgress && rec.Fence > wire.FirstFence(seq):
				require.NoError(t, os.WriteFile(goFile(dir, rec.Fence), nil, 0o600))
			case rec.Status == wire.StatusCompleted:
				continue
			}
			open = fmt.Errorf("%s", mustJSON(sys.record(env.ID)))
		}
		return open
	})
	for _, env := range envs[:3] {
		require.Equal(t, 1, sys.startsOf(env.ID), "what had ended is left out")
	}
	sys.awaitAcknowledged()
	require.Empty(t, sys.refused)
}

func TestAMemberIsCancelledByItself(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	envs := sys.tasks(3, "finishes", nil)
	sys.parcel(envs...)
	sys.pool(size(1, 3))
	for _, env := range envs {
		sys.awaitRunning(env.ID, "")
	}
	sys.cancel(envs[1].ID) // this handler finishes when it is told to stop
	sys.await(envs[1].ID, wire.StatusCompleted)
	sys.awaitLaneMessages(1)
	for _, env := range []*wire.Envelope{envs[0], envs[2]} {
		require.Equal(t, wire.StatusInProgress, sys.record(env.ID).Status)
		sys.cancel(env.ID)
		sys.await(env.ID, wire.StatusCompleted)
	}
	sys.awaitAcknowledged()
}

// A cancel that nobody remembers, or that was carried out before this pool began, stands in
// the record.
func TestWhatWasCancelledInAParcelDoesNotRun(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []bool{true, false} {
		sys := newSystem(t)
		require.NoError(t, ensureLanes(sys, 10*time.Second))
		envs := sys.tasks(3, "echo", 1)
		sys.recorded(envs...)
		sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventCancelled, TaskID: envs[1].ID, Data: wire.EventData{ControlSeq: 1}}))
		sys.await(envs[1].ID, wire.StatusCancelled)
		if forgotten {
			sys.pool(size(1, 1), workerpool.TrustNoParcel)
		}
		sys.packed(envs...)
		if !forgotten {
			sys.pool(size(1, 1))
		}
		sys.await(envs[0].ID, wire.StatusCompleted)
		sys.await(envs[2].ID, wire.StatusCompleted)
		sys.awaitAcknowledged()
		require.Zero(t, sys.startsOf(envs[1].ID))
		require.Equal(t, wire.StatusCancelled, sys.record(envs[1].ID).Status)
	}
}

// A task of a parcel needs a slot within moments. Where it gets none, since those before it
// take long after all, others may have it.
func TestWhatWaitsInAParcelForLongGoesToOthers(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Minute))
	sys.mover(common)
	first, rest, seq := sys.slowFirst()
	sys.pool(size(1, 1), func(c *workerpool.Config) {
		c.Pool, c.Lease = "slow", 10*time.Minute
		workerpool.WaitInParcels(c, 100*time.Millisecond)
	})
	sys.awaitRunning(first.ID, "")
	sys.awaitLaneMessages(6) // the parcel, and each of the others
	sys.pool(size(1, 1), func(c *workerpool.Config) { c.Pool = "idle" })
	for _, env := range rest {
		rec := sys.await(env.ID, wire.StatusCompleted)
		require.Equal(t, "idle", rec.Pool)
		require.Greater(t, rec.Meta.LaneSeq, seq)
		require.Equal(t, 1, sys.startsOf(env.ID))
	}
	sys.cancel(first.ID)
	sys.await(first.ID, wire.StatusCompleted)
	sys.awaitAcknowledged()
}

// A limit that is set while tasks lie in parcels is kept all the same.
func TestALimitTakesTasksOutOfParcels(t *testing.T) {
	t.Parallel()
	for of, to := range map[string]func(*wire.Envelope) wire.Lane{"gauge": typed, "": common} { // of the type, of the queue
		sys := newSystem(t)
		require.NoError(t, ensureLanes(sys, 10*time.Second))
		sys.mover(to)
		g := natstest.StartGauge(t)
		envs := sys.tasks(8, "gauge", measure(g, "x", 50))
		sys.parcel(envs...)
		sys.limit("default", of, atMost(1))
		sys.pool(size(1, 4))
		for _, env := range envs {
			sys.await(env.ID, wire.StatusCompleted)
		}
		sys.awaitAcknowledged()
		require.Equal(t, 1, g.Most("x"), "by their own word; the events of two may cross")
		require.Len(t, g.Starts("x"), len(envs))
	}
}

func TestAWorkerThatDiesInAParcelTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	sys.mover(common) // a new worker may need long
	envs := sys.tasks(12, "echo", 1)
	envs[4].Task.Type = "exit" // kills its worker each time
	sys.parcel(envs...)
	sys.pool(size(1, 2), func(c *workerpool.Config) { c.MaxCrashes = 2 })
	for i, env := range envs {
		if i == 4 {
			require.Equal(t, wire.CodeCrashed, sys.await(env.ID, wire.StatusFailed).Error.Code)
			continue
		}
		sys.await(env.ID, wire.StatusCompleted)
	}
	sys.awaitAcknowledged()
	require.Empty(t, sys.refused)
}

// A pool that stops gives back what it has not started, also out of a parcel whose other
// tasks still run.
func TestAPoolThatStopsGivesBackTheRestOfAParcel(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	sys.mover(common)
	first, rest, _ := sys.slowFirst()
	leaving := sys.pool(size(1, 1))
	sys.awaitRunning(first.ID, "")
	stopped := make(chan error, 1)
	go func() { stopped <- leaving.Stop(context.Background()) }()
	sys.pool(size(1, 1))
	for _, env := range rest {
		sys.await(env.ID, wire.StatusCompleted)
	}
	sys.cancel(first.ID)
	sys.await(first.ID, wire.StatusCompleted)
	require.NoError(t, <-stopped)
	sys.awaitAcknowledged()
}

// One task of another attempt with an id of the parcel's is with this pool: the parcel comes
// again once it is done.
func TestAParcelComesAgainForAMemberThatRunsHereAlready(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	held := sys.task("finishes", nil)
	sys.submit(held)
	sys.pool(size(1, 2))
	sys.awaitRunning(held.ID, "")
	other := sys.task("echo", 1)
	sys.parcel(held, other)
	sys.await(other.ID, wire.StatusCompleted)
	sys.awaitLaneMessages(2)
	sys.cancel(held.ID)
	sys.await(held.ID, wire.StatusCompleted)
	sys.awaitAcknowledged()
	require.Equal(t, 1, sys.startsOf(other.ID))
	require.Equal(t, 1, sys.startsOf(held.ID))
}

// While a pool has slots it takes parcels one after the other, and never many more tasks than
// it has slots for: what is urgent overtakes the parcels that it has not taken.
func TestAPoolTakesFewParcelsAtOnce(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	require.NoError(t, ensureLanes(sys, 10*time.Second))
	busy := sys.tasks(4, "finishes", nil) // as many as there are slots
	held := append(busy, sys.tasks(20, "echo", 1)...)
	sys.parcel(held...)
	var rest []*wire.Envelope
	for range 8 {
		envs := sys.tasks(wire.MaxParcel, "echo", 1)
		rest = append(rest, envs...)
		sys.parcel(envs...)
	}
	sys.pool(size(1, 4))
	for _, env := range busy {
		sys.awaitRunning(env.ID, "")
	}
	urgent := sys.task("echo", 1, func(e *wire.Envelope) { e.Task.Priority = wire.PriorityCritical })
	sys.submit(urgent)
	for _, env := range busy {
		sys.cancel(env.ID)
	}
	for _, env := range append(append(held, rest...), urgent) {
		sys.await(env.ID, wire.StatusCompleted)
	}
	sys.awaitAcknowledged()
	st, err := sys.js.Consumer(t.Context(), wire.StreamReady, wire.LaneConsumer("default", wire.PriorityMedium))
	require.NoError(t, err)
	require.EqualValues(t, 9, st.CachedInfo().Delivered.Consumer, "each was delivered once")
	order := sys.startOrder(len(held) + len(rest) + 1)
	require.LessOrEqual(t, slices.Index(order, urgent.ID), len(held)+wire.MaxParcel, "but for one that may be the lowest lane's share")
}

func TestAPoolTellsHowLongTasksTake(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(1, 4))
	for _, env := range sys.tasks(5, "echo", 1) {
		sys.run(wire.StatusCompleted, env)
	}
	sys.run(wire.StatusCompleted, sys.task("sleep", 20))
	kv, err := sys.js.KeyValue(t.Context(), wire.BucketWorkers)
	require.NoError(t, err)
	natstest.Eventually(t, func() error {
		for _, key := range sys.ownKeys() {
			if !strings.HasPrefix(key, "instance.") {
				continue
			}
			e, err := kv.Get(context.Background(), key)
			if err != nil {
				return err
			}
			var i wire.Instance
			require.NoError(t, json.Unmarshal(e.Value(), &i))
			if i.ServiceUs["echo"] < 1 || i.ServiceUs["sleep"] < 20_000 {
				return fmt.Errorf("%s", e.Value())
			}
			return nil
		}
		return fmt.Errorf("no pool")
	})
}
