package workerpool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestATimedOutAttemptFails(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	rec := sys.run(wire.StatusRetrying, sys.task("sleep", 60_000, timeout(100)))
	require.Equal(t, wire.CodeTimeout, rec.Error.Code)
	rec = sys.run(wire.StatusRetrying, sys.task("finishes", nil, timeout(100)))
	require.Equal(t, wire.CodeTimeout, rec.Error.Code, "a result after the timeout does not count")
	require.Empty(t, sys.eventsOf(wire.EventWorkerLost))
	sys.awaitAcknowledged()
}

func TestAnObstinateTaskIsKilledAndItsNeighbourRunsOn(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env, neighbour := sys.task("obstinate", nil, timeout(300)), sys.task("finishes", nil)
	sys.submit(neighbour)
	sys.awaitRunning(neighbour.ID, "")
	sys.submit(env)
	rec := sys.await(env.ID, wire.StatusRetrying)
	require.Equal(t, wire.CodeTimeout, rec.Error.Code)
	lost := sys.awaitEvent(wire.EventWorkerLost, func(*wire.Event) bool { return true })
	require.Contains(t, lost.Data.Reason, env.ID)
	rec = sys.finishAfter(neighbour.ID, lost.WorkerID)
	require.Equal(t, 0, rec.Meta.Crashes, "it was not its fault")
	require.Equal(t, wire.FirstFence(1)+1, rec.Fence)
	sys.awaitAcknowledged()
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	rec := sys.run(wire.StatusFailed, sys.task("sleep", 60_000, func(e *wire.Envelope) { e.Task.Deadline = wire.Now() + 300 }))
	require.Equal(t, wire.CodeDeadline, rec.Error.Code)
	rec = sys.run(wire.StatusFailed, sys.task("echo", 1, func(e *wire.Envelope) { e.Task.Deadline = wire.Now() - 1 }))
	require.Equal(t, wire.CodeDeadline, rec.Error.Code)
	require.NotContains(t, sys.names(rec.ID), wire.EventStarted)
	sys.awaitAcknowledged()
}

func (sys *system) cancel(id string) {
	sys.t.Helper()
	_, err := sys.js.Publish(sys.t.Context(), wire.CancelSubject(id), nil)
	require.NoError(sys.t, err)
}

func TestACancelReachesARunningTask(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	yields, finishes, obstinate := sys.task("sleep", 60_000), sys.task("finishes", nil), sys.task("obstinate", nil)
	sys.submit(yields, finishes, obstinate)
	for _, env := range []*wire.Envelope{yields, obstinate} {
		sys.await(env.ID, wire.StatusInProgress)
	}
	sys.awaitRunning(finishes.ID, "")
	sys.cancel(yields.ID)
	sys.awaitLaneMessages(2)
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted}, sys.names(yields.ID), "the scheduler tells of the cancel")
	_, err := sys.js.Publish(t.Context(), wire.SubjectRequestCancel, mustJSON(wire.Command{IDs: []string{finishes.ID}}))
	require.NoError(t, err)
	rec := sys.await(finishes.ID, wire.StatusCompleted)
	require.Equal(t, `"finished"`, string(rec.Result), "the fold decides which was first")
	sys.awaitLaneMessages(1)
	sys.cancel(obstinate.ID)
	sys.awaitAcknowledged()
	sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return len(e.Data.Tasks) == 1 })
	require.NotContains(t, sys.names(obstinate.ID), wire.EventReassigned)
}

// A cancel may wait for a scheduler while a pool is started that gets its task.
func TestACancelOfBeforeThePoolsStartIsHeard(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	env := sys.task("sleep", 60_000)
	sys.submit(env)
	sys.cancel(env.ID)
	sys.pool()
	other := sys.task("echo", 1)
	sys.submit(other)
	sys.await(other.ID, wire.StatusCompleted)
	require.NotContains(t, sys.names(env.ID), wire.EventStarted)
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventCancelled, TaskID: env.ID, Data: wire.EventData{ControlSeq: 1}}))
	sys.await(env.ID, wire.StatusCancelled)
	sys.awaitAcknowledged()
	require.NotContains(t, sys.names(env.ID), wire.EventStarted)
}

// A cancel that was heard before its task was taken may take schedulers long. Until they are
// done with it the task is not started, however long that is: nobody would tell its worker.
func TestATaskWaitsForItsCancel(t *testing.T) {
	t.Parallel()
	for _, counts := range []bool{true, false} {
		sys := newSystem(t)
		commands, err := sys.js.CreateOrUpdateConsumer(t.Context(), wire.StreamControl, jetstream.ConsumerConfig{
			Durable: wire.ConsumerControl, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
		})
		require.NoError(t, err)
		sys.pool(workerpool.AskSoonAboutCancels)
		env, witness := sys.task("echo", 1), sys.task("finishes", nil)
		sys.submit(witness)
		sys.awaitRunning(witness.ID, "")
		sys.cancel(env.ID)
		sys.cancel(witness.ID) // once this is heard, so is the other
		sys.await(witness.ID, wire.StatusCompleted)
		sys.submit(env)
		natstest.Eventually(t, func() error { // looked at again and again
			c, err := sys.js.Consumer(t.Context(), wire.StreamReady, wire.LaneConsumer("default", wire.PriorityMedium))
			if err != nil {
				return err
			}
			if n := c.CachedInfo().Delivered.Consumer; n < 6 {
				return fmt.Errorf("%d deliveries", n)
			}
			return nil
		})
		require.Equal(t, wire.StatusPending, sys.record(env.ID).Status)

		batch, err := commands.Fetch(2)
		require.NoError(t, err)
		for m := range batch.Messages() {
			if counts && m.Subject() == wire.CancelSubject(env.ID) {
				sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventCancelled, TaskID: env.ID, Data: wire.EventData{ControlSeq: 1}}))
			}
			require.NoError(t, m.DoubleAck(t.Context()))
		}
		if counts {
			sys.await(env.ID, wire.StatusCancelled)
			sys.awaitAcknowledged()
			require.NotContains(t, sys.names(env.ID), wire.EventStarted)
			continue
		}
		sys.await(env.ID, wire.StatusCompleted) // it was none of its, and is not waited for any more
		sys.awaitAcknowledged()
	}
}

func TestACancelOfAnEarlierRoundIsNotHeard(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("sleep", 500, func(e *wire.Envelope) { e.ControlSeq = 5 })
	sys.submit(env)
	sys.awaitEvent(wire.EventStarted, func(e *wire.Event) bool { return e.TaskID == env.ID })
	sys.cancel(env.ID)
	sys.await(env.ID, wire.StatusCompleted)
}

func TestAKilledWorkersTaskRunsElsewhereAtOnce(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(size(2, 2))
	env := sys.task("finishes", nil)
	sys.submit(env)
	w := sys.workerOf(env.ID)
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGKILL))
	rec := sys.finishAfter(env.ID, w.ID)
	require.NotEqual(t, w.ID, rec.Worker)
	require.Equal(t, wire.FirstFence(1)+1, rec.Fence)
	require.Equal(t, 1, rec.Meta.Crashes)
	require.Equal(t, 0, rec.Retries)
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventReassigned, wire.EventStarted, wire.EventCompleted}, sys.names(env.ID))
	lost := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == w.ID })
	require.Equal(t, "killed", lost.Data.Signal)
	require.Equal(t, []string{env.ID}, lost.Data.Tasks)
	sys.awaitEvent(wire.EventWorkerReady, func(e *wire.Event) bool { return e.WorkerID == "worker-3" })
	sys.awaitAcknowledged()
	natstest.Eventually(t, func() error {
		if _, there := sys.workers()[w.ID]; there {
			return fmt.Errorf("%s is still shown", w.ID)
		}
		return nil
	})
}

func TestAHungWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.HungAfter = 1500 * time.Millisecond })
	env := sys.task("finishes", nil)
	sys.submit(env)
	w := sys.workerOf(env.ID)
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGSTOP))
	sys.awaitEvent(wire.EventWorkerHung, func(e *wire.Event) bool { return e.WorkerID == w.ID })
	rec := sys.finishAfter(env.ID, w.ID)
	require.NotEqual(t, w.ID, rec.Worker)
	sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == w.ID })
	require.ErrorIs(t, syscall.Kill(w.PID, 0), syscall.ESRCH)
}

func TestWorkersThatAreNoneAreReplacedWithPatience(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"garbage", "silent", "exits"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t)
			sys.pool(role(name), func(c *workerpool.Config) {
				if name == "silent" {
					c.HungAfter = 500 * time.Millisecond
				}
			})
			waits := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == "worker-4" })
			require.Contains(t, waits.Data.Reason, "several ended at once")
			first := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == "worker-1" })
			require.Contains(t, first.Data.Reason, map[string]string{"garbage": "protocol", "silent": "hung", "exits": "code 3"}[name])
		})
	}
}

func TestACommandThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.Command = []string{"/nowhere/at-all"} })
	e := sys.awaitEvent(wire.EventWorkerLost, func(*wire.Event) bool { return true })
	require.Contains(t, e.Data.Reason, "/nowhere/at-all")
}

func TestAPoisonousTaskEndsAndItsNeighboursComplete(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	var good []*wire.Envelope
	for range 3 {
		good = append(good, sys.task("sleep", 3000))
	}
	sys.submit(good...)
	for _, env := range good {
		sys.await(env.ID, wire.StatusInProgress)
	}
	poison := sys.task("exit", nil)
	rec := sys.run(wire.StatusFailed, poison)
	require.Equal(t, wire.CodeCrashed, rec.Error.Code)
	require.Equal(t, 3, rec.Meta.Crashes)
	require.Equal(t, 0, rec.Retries)
	for _, env := range good {
		rec := sys.await(env.ID, wire.StatusCompleted)
		require.LessOrEqual(t, rec.Meta.Crashes, 2, "what has one crash left runs alone")
		require.Equal(t, 1, rec.Attempt)
	}
	sys.awaitAcknowledged()
}

func TestCrashesOfEarlierAttemptsCount(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.MaxCrashes = 2 })
	env := sys.task("crash-once", filepath.Join(t.TempDir(), "crashed"))
	sys.run(wire.StatusCompleted, env)
	require.Equal(t, 1, sys.record(env.ID).Meta.Crashes)

	env = sys.task("exit", nil, func(e *wire.Envelope) { e.Task.Backoff.BaseMs = 1 })
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt,
	}}))
	// Its first attempt crashed once and then failed, elsewhere.
	start := wire.EventData{SubmitSeq: env.SubmitSeq, Fence: 10, Task: &env.Task}
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventStarted, TaskID: env.ID, Attempt: 1, Data: start}))
	start.Fence = 11
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventStarted, TaskID: env.ID, Attempt: 1, Data: start}))
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventFailed, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
		Fence: 11, Final: new(false), Error: &wire.TaskError{At: wire.Now(), Attempt: 1, Code: wire.CodeHandler}, NextAttemptAt: wire.Now(),
	}}))
	env.Attempt, env.Retries, env.After = 2, 1, 11
	sys.lane(env)
	rec := sys.await(env.ID, wire.StatusFailed)
	require.Equal(t, wire.CodeCrashed, rec.Error.Code)
	require.Equal(t, 2, rec.Meta.Crashes)
	starts := 0
	for _, n := range sys.names(env.ID) {
		if n == wire.EventStarted {
			starts++
		}
	}
	require.Equal(t, 3, starts, "one crash before, one here")
	sys.awaitAcknowledged()
}

func TestARedeliveredMessageOfAnEndedTaskIsNotRun(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("echo", 1)
	rec := sys.run(wire.StatusCompleted, env)
	sys.awaitAcknowledged()
	sys.lane(env, wire.HeaderCheck) // as after a server that forgot
	sys.awaitAcknowledged()
	require.Equal(t, rec, sys.record(env.ID))
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventCompleted}, sys.names(env.ID))
}

func TestACheckedTaskThatIsPendingRuns(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("fence", 1)
	seq := sys.lane(env, wire.HeaderCheck)
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt,
	}})) // after its lane message: it must not be dropped for want of a record
	rec := sys.await(env.ID, wire.StatusCompleted)
	require.GreaterOrEqual(t, rec.Fence, wire.FirstFence(seq)+1)
	require.Equal(t, string(mustJSON(rec.Fence)), string(rec.Result))
	sys.awaitAcknowledged()
}

func TestACheckedTaskThatIsRetryingIsScheduledAgain(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("fail", nil)
	rec := sys.run(wire.StatusRetrying, env)
	sys.awaitAcknowledged()
	st, err := sys.js.Stream(t.Context(), wire.StreamLater)
	require.NoError(t, err)
	require.NoError(t, st.Purge(t.Context()))
	sys.lane(env, wire.HeaderCheck)
	sys.awaitAcknowledged()
	require.Equal(t, rec, sys.record(env.ID))
}

func TestATaskThatRunsElsewhereIsLeftAlone(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.Queues = []string{"other"} })
	sys.pool()
	env := sys.task("finishes", nil)
	sys.submit(env)
	sys.workerOf(env.ID)
	twin := *env
	twin.Task.Queue = "other"
	sys.lane(&twin, wire.HeaderCheck)
	natstest.Eventually(t, func() error {
		c, err := sys.js.Consumer(context.Background(), wire.StreamReady, wire.LaneConsumer("other", wire.PriorityMedium))
		if err == nil && c.CachedInfo().Delivered.Consumer < 3 {
			err = fmt.Errorf("delivered %d times", c.CachedInfo().Delivered.Consumer)
		}
		return err
	})
	rec := sys.finishAfter(env.ID, "")
	sys.awaitAcknowledged()
	require.Equal(t, rec, sys.record(env.ID))
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventCompleted}, sys.names(env.ID))
}

func TestATaskOfADeadWorkerRunsAnew(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	env := sys.task("fence", nil)
	sys.submit(env)
	_, err := sys.js.Publish(t.Context(), wire.KVSubject(wire.BucketWorkers, "worker-77"), []byte("{}"))
	require.NoError(t, err)
	kv, err := sys.js.KeyValue(t.Context(), wire.BucketWorkers)
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), "worker-77"))
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventStarted, TaskID: env.ID, WorkerID: "worker-77", Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt, Fence: wire.FirstFence(1), LaneSeq: 1,
	}}))
	// Its pool took the message and died.
	msg, err := natsPull(sys)
	require.NoError(t, err)
	require.NotEmpty(t, msg.Reply)
	sys.pool()
	rec := sys.await(env.ID, wire.StatusCompleted)
	require.Equal(t, wire.FirstFence(1)+1, rec.Fence)
	require.Equal(t, 1, rec.Meta.Crashes)
	sys.awaitAcknowledged()
}

// A pool that was cut off may have had an outcome under way, that is stored after the next
// holder has read the record and before it stores its start: the outcome counts, so the start
// must not run.
func TestAStartThatAnOutcomeHasOvertakenRunsNothing(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	env := sys.task("fence", nil)
	data := func(fence uint64) wire.EventData {
		return wire.EventData{Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt, Fence: fence, LaneSeq: 1}
	}
	sys.mu.Lock()
	sys.overtake = func(e *wire.Event) []wire.Event {
		if e.Event != wire.EventStarted || e.Data.Fence != wire.FirstFence(1)+1 {
			return nil
		}
		d := data(wire.FirstFence(1))
		d.Final, d.NextAttemptAt, d.Error = new(false), wire.Now()+3_600_000, &wire.TaskError{At: wire.Now(), Attempt: 1, Code: wire.CodeHandler}
		return []wire.Event{wire.NewEvent(wire.Event{Event: wire.EventFailed, TaskID: env.ID, WorkerID: "worker-77", Attempt: 1, Data: d})}
	}
	sys.mu.Unlock()
	sys.submit(env)
	sys.publishEvent(wire.NewEvent(wire.Event{
		Event: wire.EventStarted, TaskID: env.ID, WorkerID: "worker-77", Attempt: 1, Data: data(wire.FirstFence(1)),
	}))
	_, err := natsPull(sys) // its pool took the message
	require.NoError(t, err)
	sys.pool(func(c *workerpool.Config) { c.Lease = time.Second })
	sys.awaitAcknowledged()
	rec := sys.await(env.ID, wire.StatusRetrying)
	require.Equal(t, wire.FirstFence(1), rec.Fence)
	_, next := sys.scheduled(env.ID, rec.Fence)
	require.Equal(t, 2, next.Attempt, "whoever finds the outcome stored sees to the next attempt")
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventFailed, wire.EventStarted}, sys.names(env.ID))
	require.Empty(t, sys.refused)
}

// Two pools may hold one message: a server that was killed forgets a delivery, and both wait
// for the recorder, read the same record and make the same fence of it. Whose start is
// stored first runs the task; the other one leaves it alone.
func TestOfTwoPoolsWithOneFenceOneRunsTheTask(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	env := sys.task("fence", nil)
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: env.ID, Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt,
	}}))
	seq := sys.lane(env, wire.HeaderCheck)
	fence := wire.FirstFence(seq) + 1
	// The other's start, as a pool sees it that has read the record before: not folded yet.
	m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
	m.Header.Set(wire.HeaderMsgID, wire.StartID(env.ID, fence))
	m.Data = []byte("[]")
	_, err := sys.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)

	sys.pool(func(c *workerpool.Config) { c.Lease = time.Second })
	lane := func() *jetstream.ConsumerInfo {
		c, err := sys.js.Consumer(context.Background(), wire.StreamReady, wire.LaneConsumer("default", wire.PriorityMedium))
		require.NoError(t, err)
		return c.CachedInfo()
	}
	natstest.Eventually(t, func() error { // taken, and after a lease delivered again
		if info := lane(); info.Delivered.Consumer < 2 {
			return fmt.Errorf("delivered %d times", info.Delivered.Consumer)
		}
		return nil
	})
	require.Equal(t, wire.StatusPending, sys.record(env.ID).Status)
	sys.publishEvent(wire.NewEvent(wire.Event{Event: wire.EventStarted, TaskID: env.ID, WorkerID: "worker-77", Attempt: 1, Data: wire.EventData{
		Task: &env.Task, SubmitSeq: env.SubmitSeq, SubmittedAt: env.SubmittedAt, Fence: fence, LaneSeq: seq,
	}}))
	rec := sys.await(env.ID, wire.StatusCompleted) // worker-77 is nowhere: the task is handed out anew
	require.Greater(t, rec.Fence, fence)
	require.Equal(t, string(mustJSON(rec.Fence)), string(rec.Result))
	sys.awaitAcknowledged()
}

// natsPull takes one message of the default queue's medium lane, and keeps it for a second.
func natsPull(sys *system) (*nats.Msg, error) {
	nc := sys.s.Conn(sys.t)
	if err := ensureLanes(sys, time.Second); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return nc.RequestWithContext(ctx, "$JS.API.CONSUMER.MSG.NEXT."+wire.StreamReady+"."+wire.LaneConsumer("default", wire.PriorityMedium),
		[]byte(`{"batch":1,"expires":10000000000}`))
}

func TestTasksAreHandedBackWhenThePoolStops(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	first := sys.pool(func(c *workerpool.Config) { c.Drain = 5 * time.Second })
	short, long := sys.task("sleep", 1000), sys.task("sleep", 60_000)
	sys.submit(short, long)
	sys.awaitEvent(wire.EventStarted, func(e *wire.Event) bool { return e.TaskID == short.ID })
	w := sys.workerOf(long.ID)
	require.NoError(t, first.Stop(t.Context()))
	require.Equal(t, wire.FirstFence(1), sys.await(short.ID, wire.StatusCompleted).Fence)
	rec := sys.await(long.ID, wire.StatusPending)
	require.Equal(t, 0, rec.Meta.Crashes)
	require.Contains(t, sys.names(long.ID), wire.EventReassigned)
	require.ErrorIs(t, syscall.Kill(w.PID, 0), syscall.ESRCH)
	require.Empty(t, sys.workers())
	keys := sys.ownKeys()
	require.Empty(t, keys)
	require.Error(t, first.Ready())

	sys.pool(func(c *workerpool.Config) { c.Drain = 0 })
	rec = sys.await(long.ID, wire.StatusInProgress)
	require.Equal(t, wire.FirstFence(2)+1, rec.Fence)
}

func TestALostLeaseStopsTheTask(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.Lease = time.Second })
	env := sys.task("sleep", 3000)
	sys.submit(env)
	rec := sys.await(env.ID, wire.StatusInProgress)
	sys.s.Stop()
	never := time.NewTimer(1500 * time.Millisecond)
	<-never.C // an outage of NATS that outlasts the lease
	sys.s.StartAgain(t)
	rec = sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > rec.Fence })
	require.Equal(t, 0, rec.Meta.Crashes)
	reassigned := sys.awaitEvent(wire.EventReassigned, func(e *wire.Event) bool { return e.TaskID == env.ID })
	require.Equal(t, wire.ReasonLease, reassigned.Data.Reason)
	sys.await(env.ID, wire.StatusCompleted)
	sys.awaitAcknowledged()
}

func TestAShortOutageOfNATSDisturbsNothing(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := sys.pool(func(c *workerpool.Config) { c.Lease = 20 * time.Second })
	env := sys.task("finishes", nil)
	sys.submit(env)
	sys.awaitRunning(env.ID, "")
	sys.s.Restart(t)
	natstest.Eventually(t, func() error { return p.Ready() })
	rec := sys.finishAfter(env.ID, "")
	require.Equal(t, wire.FirstFence(1), rec.Fence)
	sys.awaitAcknowledged()
	rec = sys.run(wire.StatusCompleted, sys.task("echo", 1))
	require.Equal(t, "1", string(rec.Result))
}

func TestLongTasksKeepTheirLease(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool(func(c *workerpool.Config) { c.Lease = 5 * time.Second })
	rec := sys.run(wire.StatusCompleted, sys.task("sleep", 8000))
	require.Equal(t, wire.FirstFence(1), rec.Fence)
	require.Equal(t, []wire.EventName{wire.EventSubmitted, wire.EventStarted, wire.EventCompleted}, sys.names(rec.ID))
}

func (sys *system) put(key string, value any) {
	sys.t.Helper()
	require.NoError(sys.t, natsx.PutFor(sys.t.Context(), sys.js, wire.BucketWorkers, key, mustJSON(value), time.Minute))
}

// set changes what operators set.
func (sys *system) set(key string, value any) {
	sys.t.Helper()
	kv, err := sys.js.KeyValue(sys.t.Context(), wire.BucketSettings)
	require.NoError(sys.t, err)
	_, err = kv.Put(sys.t.Context(), key, mustJSON(value))
	require.NoError(sys.t, err)
}

func (sys *system) awaitWorkers(what string, ok func(map[string]wire.Worker) bool) {
	sys.t.Helper()
	natstest.Eventually(sys.t, func() error {
		if w := sys.workers(); !ok(w) {
			return fmt.Errorf("%s: %s", what, mustJSON(w))
		}
		return nil
	})
}

func TestThePoolFollowsTheDesiredSize(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := sys.pool(size(1, 1), func(c *workerpool.Config) { c.CancelGrace = patience }) // no worker is killed here
	desire := func(n int) {
		sys.put(wire.DesiredKey("default"), wire.Desired{Pool: "default", Desired: n, Instances: map[string]int{p.Instance(): n}})
	}
	desire(3)
	sys.awaitWorkers("grow", func(w map[string]wire.Worker) bool { return len(w) == 3 && w["worker-3"].Status == wire.WorkerIdle })
	var busy []*wire.Envelope
	for range 2 {
		busy = append(busy, sys.task("finishes", nil))
	}
	sys.submit(busy...)
	for _, env := range busy {
		sys.awaitRunning(env.ID, "")
	}
	desire(0)
	sys.awaitWorkers("only idle ones go", func(w map[string]wire.Worker) bool { return len(w) == 2 })
	gone := wire.Now()
	sys.awaitWorkers("those that have something to do are not even told to go", func(w map[string]wire.Worker) bool {
		for _, one := range w { // as a heartbeat of after that says
			if one.Status != wire.WorkerBusy || one.LastHeartbeat <= gone+600 {
				return false
			}
		}
		return len(w) == 2
	})
	for _, env := range busy {
		sys.cancel(env.ID)
		require.Equal(t, 0, sys.await(env.ID, wire.StatusCompleted).Meta.Crashes)
	}
	sys.awaitWorkers("shrink", func(w map[string]wire.Worker) bool { return len(w) == 0 })
	require.Empty(t, sys.eventsOf(wire.EventWorkerLost))
	for _, id := range []string{"worker-1", "worker-2", "worker-3"} {
		sys.awaitEvent(wire.EventWorkerStop, func(e *wire.Event) bool { return e.WorkerID == id })
	}

	desire(1)
	sys.awaitWorkers("grow again", func(w map[string]wire.Worker) bool { return w["worker-4"].Status == wire.WorkerIdle })
}

// A pool follows its settings at once, and knows them before it claims anything.
func TestAPausedPoolClaimsNothing(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	set := func(paused bool) { sys.set(wire.PoolSettingsKey("default"), wire.PoolSettings{Paused: paused}) }
	set(true)
	first := sys.task("echo", 1)
	sys.submit(first)
	sys.pool()
	// waits tells that a task was not claimed for as long as a few heartbeats take.
	waits := func(id string) bool {
		t.Helper()
		sys.awaitWorkers("some heartbeats", func(w map[string]wire.Worker) bool {
			return sys.record(id).Status != wire.StatusPending || w["worker-1"].LastHeartbeat > sys.record(id).SubmittedAt+600
		})
		return sys.record(id).Status == wire.StatusPending
	}
	require.True(t, waits(first.ID))
	set(false)
	sys.await(first.ID, wire.StatusCompleted)
	set(true)
	waiting := ""
	for waiting == "" {
		next := sys.task("echo", 2)
		sys.submit(next)
		if waits(next.ID) { // the settings reach the pool after the first ones
			waiting = next.ID
		}
	}
	set(false)
	sys.await(waiting, wire.StatusCompleted)
}

func TestOperatorsDrainAndKillWorkers(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	sys.pool()
	env := sys.task("finishes", nil)
	sys.submit(env)
	first := sys.workerOf(env.ID)
	sys.put(wire.WorkerCommandKey(first.ID), wire.WorkerCommand{Command: wire.CommandDrain, At: wire.Now()})
	sys.awaitRunning(env.ID, "")
	sys.awaitWorkers("draining", func(w map[string]wire.Worker) bool { return w[first.ID].Status == wire.WorkerDraining })
	require.Equal(t, first.ID, sys.finishAfter(env.ID, "").Worker)
	sys.awaitEvent(wire.EventWorkerStop, func(e *wire.Event) bool { return e.WorkerID == first.ID })

	env = sys.task("finishes", nil)
	sys.submit(env)
	second := sys.workerOf(env.ID)
	require.NotEqual(t, first.ID, second.ID)
	sys.put(wire.WorkerCommandKey(second.ID), wire.WorkerCommand{Command: wire.CommandKill, At: wire.Now()})
	lost := sys.awaitEvent(wire.EventWorkerLost, func(e *wire.Event) bool { return e.WorkerID == second.ID })
	require.Contains(t, lost.Data.Reason, "operator")
	require.Equal(t, 1, sys.finishAfter(env.ID, second.ID).Meta.Crashes)
}

func TestPresence(t *testing.T) {
	t.Parallel()
	sys := newSystem(t)
	p := sys.pool(size(1, 2))
	sys.awaitWorkers("idle", func(w map[string]wire.Worker) bool {
		one := w["worker-1"]
		return one.Status == wire.WorkerIdle && one.MemoryMb != nil && *one.MemoryMb > 1 && one.CPUPercent != nil && one.Concurrency == 2
	})
	env := sys.task("finishes", nil)
	sys.submit(env)
	sys.awaitWorkers("active", func(w map[string]wire.Worker) bool {
		one := w["worker-1"]
		return one.Status == wire.WorkerActive && one.AssignedTasks == 1 && one.Tasks[0] == env.ID && one.Instance == p.Instance()
	})
	second := sys.task("finishes", nil)
	sys.submit(second)
	sys.awaitWorkers("busy", func(w map[string]wire.Worker) bool { return w["worker-1"].Status == wire.WorkerBusy })
	sys.finishAfter(env.ID, "")
	sys.finishAfter(second.ID, "")
	sys.awaitWorkers("counted", func(w map[string]wire.Worker) bool { return w["worker-1"].Completed == 2 })
	kv, err := sys.js.KeyValue(t.Context(), wire.BucketWorkers)
	require.NoError(t, err)
	natstest.Eventually(t, func() error {
		e, err := kv.Get(context.Background(), wire.InstanceKey("default", p.Instance()))
		if err != nil {
			return err
		}
		var in wire.Instance
		if err := json.Unmarshal(e.Value(), &in); err != nil {
			return err
		}
		if in.Running != 1 || in.Slots != 2 || in.Finished != 2 || in.BusyMs < 100 || in.Concurrency != 2 || in.ScaleTargetMs != 5000 {
			return fmt.Errorf("instance: %s", e.Value())
		}
		return nil
	})
}
