package scheduler_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestCancelTakesBackWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	waiting := wire.MakeID(b.submit(`{"type":"a","deadline":"2199-01-01T00:00:00Z"}`), 0)
	other := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	delayed := wire.MakeID(b.submit(`{"type":"a","delayMs":3600000}`), 0)
	b.dispatched(waiting)
	b.dispatched(other)
	b.submitted()
	seq := b.cancel(waiting)
	b.cancel(delayed)
	rec := b.status(waiting, wire.StatusCancelled)
	require.Equal(t, seq, rec.Meta.ControlSeq)
	require.Equal(t, "ana", b.event(waiting, wire.EventCancelled).Data.Reason)
	b.status(delayed, wire.StatusCancelled)
	b.commanded()
	require.Empty(t, b.lane(waiting))
	require.Len(t, b.lane(other), 1)
	require.Empty(t, b.schedules(wire.LaterRunSubject(delayed, 0)))
	require.Empty(t, b.schedules(wire.LaterDeadlineSubject(waiting)))
}

func TestCancelOfARunningTaskLeavesItsLaneMessageToThePool(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	b.emit(began(m, wire.FirstFence(m.seq)))
	b.status(id, wire.StatusInProgress)
	b.cancel(id)
	b.status(id, wire.StatusCancelled)
	b.commanded()
	require.Len(t, b.lane(id), 1)
}

func TestCancelWaitsForASubmissionThatIsNotProcessed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.submit(`{"id":"chosen","type":"a"}`)
	b.cancel(made)
	b.cancel("chosen")
	b.cancel("task-999999")
	b.cancel("unknown")
	b.hold(2) // nobody will process them for a while
	b.start()
	b.status(made, wire.StatusCancelled)
	b.status("chosen", wire.StatusCancelled)
	b.commanded()
	require.Empty(t, b.stored(wire.StreamReady))
}

func TestManualRetryBeginsANewRound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	seq := b.submit(`[{"type":"a"},{"type":"b","payload":{"k":[1]},"maxRetries":0}]`)
	id := wire.MakeID(seq, 2)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	fence := wire.FirstFence(m.seq)
	b.emit(began(m, fence), failedAttempt(m, fence, 0))
	b.ackLane(m)
	b.status(id, wire.StatusFailed)
	command := b.retry(id)
	got := b.run(id, 2, 1)
	require.JSONEq(t, `{"k":[1]}`, string(got.Payload))
	require.Equal(t, command, got.ControlSeq)
	require.Zero(t, got.Retries)
	require.Equal(t, "1", got.header.Get(wire.HeaderCheck))
	rec := b.dispatched(id)
	require.Equal(t, 2, rec.Attempt)
	require.Equal(t, 1, rec.Meta.Round)
	require.Nil(t, rec.Error)
	require.Equal(t, wire.ReasonManual, b.event(id, wire.EventScheduled).Data.Reason)

	b.retry(id) // not while it is open
	b.commanded()
	require.Len(t, b.lane(id), 1)
	b.cancel(id)
	b.status(id, wire.StatusCancelled)
	b.retry(id)
	b.run(id, 2, 2)
	b.commanded()
	require.Len(t, b.lane(id), 1)
}

func TestRetryWithoutPayloadDoesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	b.submitted()
	b.cancel(id)
	b.status(id, wire.StatusCancelled)
	s, err := b.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeKeep(0)))
	b.retry(id)
	b.commanded()
	require.Empty(t, b.lane(id))
	require.Equal(t, wire.StatusCancelled, b.fold.record(id).Status)
}

func TestBulkCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	const n = 200
	seq := b.submit(group(n, `{"type":"a"}`))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = wire.MakeID(seq, i+1)
		b.dispatched(ids[i])
	}
	b.submitted()
	b.bulk(wire.SubjectRequestCancel, ids...)
	for _, id := range ids {
		b.status(id, wire.StatusCancelled)
	}
	b.commanded()
	require.Empty(t, b.stored(wire.StreamReady))
	b.bulk(wire.SubjectRequestRetry, ids[:100]...)
	for _, id := range ids[:100] {
		b.dispatched(id)
	}
	b.commanded()
	require.Len(t, b.stored(wire.StreamReady), 100)
	b.bulk(wire.SubjectRequestDelete, ids...)
	b.commanded()
	b.folded()
	for _, id := range ids[100:] {
		b.event(id, wire.EventDeleted)
		require.Nil(t, b.fold.record(id))
	}
	require.NotNil(t, b.fold.record(ids[0]), "open tasks stay")
}

func TestMalformedCommandsAreDropped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.bulk(wire.SubjectRequestCancel)
	b.bulk("batuta.request.dance", "task-001")
	b.commanded()
}
