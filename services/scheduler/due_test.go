package scheduler_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const wireLease = time.Second

// schedules reads what is stored for later under a subject.
func (b *bench) schedules(subject string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	var out []*jetstream.RawStreamMsg
	for _, m := range b.stored(wire.StreamLater) {
		if m.Subject == subject {
			out = append(out, m)
		}
	}
	return out
}

func (b *bench) dueDone() { b.t.Helper(); b.settled(wire.StreamLater, wire.ConsumerDue) }

func TestDelayedTaskRunsAtItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	for _, delay := range []string{"150", "1200"} {
		id := wire.MakeID(b.submit(`{"type":"a","payload":7,"delayMs":`+delay+`}`), 0)
		rec := b.record(id, func(*wire.Record) bool { return true })
		require.NotZero(t, rec.ScheduledFor)
		m := b.run(id, 1, 0)
		ready := wire.Now()
		require.GreaterOrEqual(t, ready, rec.ScheduledFor)
		require.Equal(t, rec.ScheduledFor, m.DueAt)
		require.Equal(t, "7", string(m.Payload))
		b.dispatched(id)
		require.Equal(t, rec.ScheduledFor, b.event(id, wire.EventScheduled).Data.ScheduledFor)
	}
	b.submitted()
}

func TestLargePayloadsWaitInTheObjectStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	payload := `"` + strings.Repeat("x", wire.MaxInlineLater) + `"`
	id := wire.MakeID(b.submit(`{"type":"a","delayMs":1000,"payload":`+payload+`}`), 0)
	require.Equal(t, wire.PayloadObject(id), b.status(id, wire.StatusScheduled).Meta.PayloadObject)
	m := b.run(id, 1, 0)
	require.Empty(t, m.Payload)
	require.Equal(t, wire.PayloadObject(id), m.PayloadObject)
	objects, err := b.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	got, err := objects.GetString(t.Context(), m.PayloadObject)
	require.NoError(t, err)
	require.Equal(t, payload, got)
}

// due publishes an envelope as a schedule that fires does.
func (b *bench) due(env wire.Envelope) {
	b.t.Helper()
	b.publish(nats.NewMsg(wire.DueRunSubject(env.ID)), string(env.Encode()))
}

func TestRetriesAreGrantedToTheLatestHandOutOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	fence := wire.FirstFence(m.seq)
	b.emit(began(m, fence), failedAttempt(m, fence, wire.Now()))
	b.ackLane(m)
	b.status(id, wire.StatusRetrying)

	next := *m.Envelope
	next.Attempt, next.Retries, next.After = 2, 1, fence
	wrong := next
	wrong.After = fence - 1
	b.due(wrong)
	wrong = next
	wrong.Round = 1
	b.due(wrong)
	wrong = next
	wrong.Attempt = 3
	b.due(wrong)
	wrong = next
	wrong.SubmitSeq++
	b.due(wrong)
	b.dueDone()
	require.Empty(t, b.lane(id))

	b.due(next)
	b.due(next)
	got := b.run(id, 2, 0)
	require.Equal(t, 1, got.Retries)
	rec := b.dispatched(id)
	require.Equal(t, 2, rec.Attempt)
	b.dueDone()
	require.Len(t, b.lane(id), 1)
	b.emit(began(got, wire.FirstFence(got.seq)))
	b.status(id, wire.StatusInProgress)
	b.due(next)
	b.dueDone()
	require.Len(t, b.lane(id), 1, "what runs is not granted again")
}

func TestWhatIsDueTooEarlyWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	fence := wire.FirstFence(m.seq)
	at := wire.Now().Add(400 * time.Millisecond)
	b.emit(began(m, fence), failedAttempt(m, fence, at))
	next := *m.Envelope
	next.Attempt, next.Retries, next.After = 2, 1, fence
	due := nats.NewMsg(wire.DueRunSubject(id))
	due.Header.Set(wire.HeaderNotBefore, at.String())
	b.publish(due, string(next.Encode()))
	b.run(id, 2, 0)
	require.GreaterOrEqual(t, wire.Now(), at)
}

func TestDeadlineEndsWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	soon := func() string { return wire.Now().Add(700 * time.Millisecond).String() }
	waiting := wire.MakeID(b.submit(`{"type":"a","deadline":"`+soon()+`"}`), 0)
	delayed := wire.MakeID(b.submit(`{"type":"a","delayMs":3600000,"deadline":"`+soon()+`"}`), 0)
	running := wire.MakeID(b.submit(`{"type":"a","deadline":"`+soon()+`"}`), 0)
	b.dispatched(running)
	m := b.run(running, 1, 0)
	b.emit(began(m, wire.FirstFence(m.seq)))
	for _, id := range []string{waiting, delayed} {
		rec := b.status(id, wire.StatusFailed)
		require.Equal(t, wire.CodeDeadline, rec.Error.Code)
		require.GreaterOrEqual(t, rec.FinishedAt, rec.Deadline)
	}
	b.dueDone()
	require.Equal(t, wire.StatusInProgress, b.fold.record(running).Status, "its pool ends it")
	require.Empty(t, b.lane(waiting))
	require.Len(t, b.lane(running), 1)
	require.Empty(t, b.schedules(wire.LaterRunSubject(delayed, 0)))
	require.Empty(t, b.schedules(wire.LaterDeadlineSubject(waiting)))
}
