package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestSubjectsOfTheContract(t *testing.T) {
	t.Parallel()
	require.Equal(t, "batuta.submit.image.resize", wire.SubmitSubject("image.resize"))
	require.Equal(t, "batuta.cancel.order-17", wire.CancelSubject("order-17"))
	require.Equal(t, "batuta.retry.order-17", wire.RetrySubject("order-17"))
	require.Equal(t, "batuta.ready.default.high.image.resize", wire.ReadySubject("default", wire.PriorityHigh, "image.resize"))
	require.Equal(t, "batuta.ready.default.high.>", wire.LaneFilter("default", wire.PriorityHigh))
	require.Equal(t, "default_high", wire.LaneConsumer("default", wire.PriorityHigh))
	require.Equal(t, "batuta.later.run.order-17.51201", wire.LaterRunSubject("order-17", 51201))
	require.Equal(t, "batuta.later.deadline.order-17", wire.LaterDeadlineSubject("order-17"))
	require.Equal(t, "batuta.due.run.order-17", wire.DueRunSubject("order-17"))
	require.Equal(t, "batuta.due.deadline.order-17", wire.DueDeadlineSubject("order-17"))
	require.Equal(t, "batuta.events.0", wire.EventsSubject(wire.Shard0))
	require.Equal(t, "batuta.logs.order-17", wire.LogsSubject("order-17"))
	require.Equal(t, "$KV.BATUTA_TASKS.order-17", wire.KVSubject(wire.BucketTasks, "order-17"))
	require.Equal(t, "KV_BATUTA_TASKS", wire.StreamTasks)
}

func TestSubjectsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		task := anyDefinition().Draw(t, "task")
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(t, "id")
		queue, p, taskType, ok := wire.ParseReady(wire.ReadySubject(task.Queue, task.Priority, task.Type))
		require.True(t, ok)
		require.Equal(t, []string{task.Queue, string(task.Priority), task.Type}, []string{queue, string(p), taskType})
		require.True(t, strings.HasPrefix(wire.ReadySubject(task.Queue, task.Priority, task.Type), strings.TrimSuffix(wire.LaneFilter(task.Queue, task.Priority), ">")))
		require.Equal(t, task.Type, wire.SubmitType(wire.SubmitSubject(task.Type)))

		kind, got := wire.ParseDue(wire.DueRunSubject(id))
		require.Equal(t, []string{"run", id}, []string{kind, got})
		kind, got = wire.ParseDue(wire.DueDeadlineSubject(id))
		require.Equal(t, []string{"deadline", id}, []string{kind, got})
		kind, got = wire.ParseCommand(wire.CancelSubject(id))
		require.Equal(t, []string{"cancel", id}, []string{kind, got})
		kind, got = wire.ParseCommand(wire.RetrySubject(id))
		require.Equal(t, []string{"retry", id}, []string{kind, got})
		pool, instance, ok := wire.ParseInstanceKey(wire.InstanceKey(task.Queue, id))
		require.True(t, ok)
		require.Equal(t, []string{task.Queue, id}, []string{pool, instance})
	})
}

func TestSubjectsOfNoTask(t *testing.T) {
	t.Parallel()
	require.Empty(t, wire.SubmitType(wire.SubjectSubmit))
	kind, id := wire.ParseDue(wire.SubjectDueTick)
	require.Equal(t, []string{"tick", ""}, []string{kind, id})
	for subject, command := range map[string]string{
		wire.SubjectRequestCancel: "request.cancel", wire.SubjectRequestRetry: "request.retry", wire.SubjectRequestDelete: "request.delete",
	} {
		got, id := wire.ParseCommand(subject)
		require.Equal(t, []string{command, ""}, []string{got, id})
	}
	for _, wrong := range []string{"", "batuta.ready.default.high", "batuta.ready.default.urgent.a", "x.ready.default.high.a", "batuta.submit.default.high.a"} {
		_, _, _, ok := wire.ParseReady(wrong)
		require.False(t, ok, wrong)
	}
	for _, wrong := range []string{"", "instance.a", "instance.a.b.c", "desired.a.b", "worker-1"} {
		_, _, ok := wire.ParseInstanceKey(wrong)
		require.False(t, ok, wrong)
	}
}

func TestOwnKeysHoldADotAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		wire.KeyPosition, wire.KeyTotals, wire.KeyLease, wire.KeyWorkerNumber, wire.KeyAudit, wire.KeyScale, wire.KeySequences, wire.EpochKey("NABC"),
		wire.PoolSettingsKey("default"), wire.QueueSettingsKey("default"), wire.InstanceKey("default", "h1"), wire.DesiredKey("default"),
		wire.WorkerCommandKey("worker-1"), wire.ServiceKey("api", "h1"),
	} {
		require.True(t, wire.IsOwnKey(key), key)
		require.False(t, wire.ValidID(key), key)
		require.False(t, wire.ValidQueue(key), key)
	}
	require.False(t, wire.IsOwnKey("worker-17"))
	objects := []string{wire.IncomingObject("x"), wire.PayloadObject("x"), wire.ResultObject("x", 7), wire.ResultObject("x", 8), wire.ResultObject("x.7", 8)}
	seen := map[string]bool{}
	for _, name := range objects {
		require.False(t, seen[name])
		seen[name] = true
	}
}

func TestEnums(t *testing.T) {
	t.Parallel()
	for i, p := range wire.Priorities {
		require.Equal(t, i, p.Rank())
		require.True(t, p.Valid())
	}
	require.Equal(t, -1, wire.Priority("").Rank())
	require.False(t, wire.Priority("High").Valid())
	ended := 0
	for _, s := range wire.Statuses {
		require.True(t, s.Valid())
		if s.Ended() {
			ended++
		}
	}
	require.Equal(t, 3, ended)
	require.False(t, wire.Status("done").Valid())
	require.False(t, wire.EventDispatched.Public())
	for _, name := range wire.EventNames {
		require.True(t, name.Public())
	}
	require.Len(t, wire.EventNames, 24, "those of the contract")
}
