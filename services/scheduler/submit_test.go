package scheduler_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestSubmissionReachesItsLane(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	seq := b.publish(nats.NewMsg(wire.SubmitSubject("image.resize")), `{"queue":"media","priority":"high","payload":{"n":1.50},"tags":{"a":"b"}}`)
	id := wire.MakeID(seq, 0)
	rec := b.dispatched(id)
	m := b.run(id, 1, 0)
	require.Equal(t, m.seq, rec.Meta.LaneSeq)
	require.Equal(t, "image.resize", m.Task.Type)
	require.JSONEq(t, `{"n":1.50}`, string(m.Payload))
	require.Equal(t, rec.SubmittedAt, m.SubmittedAt)
	require.Equal(t, id+".1.0", m.header.Get(wire.HeaderMsgID))
	require.Empty(t, m.header.Get(wire.HeaderCheck))
	require.Equal(t, "media", rec.Queue)
	require.Empty(t, rec.Meta.Hash)
	b.submitted()
	_, err := b.js.Consumer(t.Context(), wire.StreamReady, wire.LaneConsumer("media", wire.PriorityLow))
	require.NoError(t, err, "all four lanes are there")
}

func TestGroupsAreDispatchedInRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	seq := b.submit(group(1000, `{"type":"a"}`))
	b.submitted()
	b.folded()
	last := b.dispatched(wire.MakeID(seq, 1000))
	require.Equal(t, 1000, last.Meta.Member)
	total := 0
	for _, e := range b.fold.events("", wire.EventDispatched) {
		require.Equal(t, "default_medium", e.Data.Lane)
		require.Nil(t, e.Data.Attempts)
		total += len(e.Data.IDs)
	}
	require.Equal(t, 1000, total)
	for _, n := range []int{1, 500, 1000} {
		rec := b.dispatched(wire.MakeID(seq, n))
		require.Equal(t, b.run(rec.ID, 1, 0).seq, rec.Meta.LaneSeq)
	}
}

func TestBadMembersAreRejectedAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	seq := b.submit(`[{"type":"a"}, {"type":"b", "priority":"urgent"}, {"type":"c"}]`)
	b.dispatched(wire.MakeID(seq, 1))
	b.dispatched(wire.MakeID(seq, 3))
	e := b.event("", wire.EventRejected)
	require.Equal(t, seq, e.Data.SubmitSeq)
	require.Equal(t, 2, e.Data.Member)
	require.Equal(t, "[1].priority", e.Data.Errors[0].Field)
	kept := b.stored(wire.StreamRejected)
	require.Len(t, kept, 1)
	require.Equal(t, e.Data.RejectedSeq, kept[0].Sequence)
	require.Equal(t, `{"type":"b", "priority":"urgent"}`, string(kept[0].Data))
	require.Equal(t, fmt.Sprint(seq), kept[0].Header.Get(wire.HeaderSequence))
	require.Equal(t, wire.SubjectSubmit, kept[0].Header.Get(wire.HeaderSubject))
	require.Contains(t, kept[0].Header.Get(wire.HeaderReason), "critical, high, medium, low")
	b.submitted()
	b.folded()
	require.Nil(t, b.fold.record(wire.MakeID(seq, 2)))
}

func TestUndecodableBytesAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	raw := "\xff{\nnot JSON"
	b.publish(nats.NewMsg(wire.SubmitSubject("a")), raw)
	b.event("", wire.EventRejected)
	kept := b.stored(wire.StreamRejected)
	require.Len(t, kept, 1)
	require.Equal(t, raw, string(kept[0].Data))
	b.submitted()
}

func TestQueuesBeyondTheMostAreRejected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	body := bytes.NewBufferString("[")
	for i := range 101 {
		fmt.Fprintf(body, `{"type":"a","queue":"q%d"},`, i)
	}
	body.Truncate(body.Len() - 1)
	seq := b.submit(body.String() + "]")
	e := b.event("", wire.EventRejected)
	require.Equal(t, 101, e.Data.Member)
	require.Contains(t, e.Data.Reason, "queue q100: there are 100 queues")
	b.dispatched(wire.MakeID(seq, 100))
}

func TestChosenIDsRunOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	first := b.submit(`{"id":"mine","type":"a","payload":{"x":1,"y":2}}`)
	b.submit(`{"payload":{"y":2,"x":1},"type":"a","id":"mine"}`)
	other := b.submit(`{"id":"mine","type":"a","payload":3}`)
	rec := b.dispatched("mine")
	require.Equal(t, first, rec.Meta.SubmitSeq)
	require.NotEmpty(t, rec.Meta.Hash)
	e := b.event("mine", wire.EventRejected)
	require.Equal(t, other, e.Data.SubmitSeq)
	b.submitted()
	require.Len(t, b.lane("mine"), 1)
	require.Equal(t, []string{"mine"}, b.fold.twice())
	require.Equal(t, rec.Meta.Hash, b.lane("mine")[0].Hash)
	kept := b.stored(wire.StreamRejected)
	require.Len(t, kept, 1)
	require.JSONEq(t, `{"id":"mine","type":"a","payload":3}`, string(kept[0].Data))
}

// hold takes submissions with the schedulers' own consumer and does nothing, as one does
// that dies.
func (b *bench) hold(n int) {
	b.t.Helper()
	ctx := b.t.Context()
	c, err := b.js.CreateOrUpdateConsumer(ctx, wire.StreamSubmit, jetstream.ConsumerConfig{
		Durable: wire.ConsumerSubmit, AckPolicy: jetstream.AckExplicitPolicy, AckWait: wireLease, MaxDeliver: -1, MaxAckPending: -1,
	})
	require.NoError(b.t, err)
	got, err := c.Fetch(n)
	require.NoError(b.t, err)
	taken := 0
	for range got.Messages() {
		taken++
	}
	require.NoError(b.t, got.Error())
	require.Equal(b.t, n, taken)
}

func TestWhatADeadReplicaHeldIsCheckedAndRunOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	again := b.submit(`{"type":"a"}`)
	ran := b.submit(`{"type":"b"}`)
	later := b.submit(`{"type":"c","delayMs":3600000}`)
	b.hold(3)
	// The second had got as far as its end before the replica died.
	id := wire.MakeID(ran, 0)
	task := wire.Compact(wire.Definition{Type: "b", Queue: "default", Priority: wire.PriorityMedium, Tags: map[string]string{}})
	env := &wire.Envelope{ID: id, Task: task, Attempt: 1, SubmitSeq: ran, SubmittedAt: wire.Now(), DueAt: wire.Now()}
	m := laneMsg{Envelope: env, seq: 1}
	b.emit(wire.NewEvent(wire.Event{Event: wire.EventSubmitted, TaskID: id, Data: wire.EventData{Task: &task, SubmitSeq: ran, SubmittedAt: env.SubmittedAt}}))
	b.emit(began(m, wire.FirstFence(1)), completed(m, wire.FirstFence(1)))
	b.start()
	first := b.run(wire.MakeID(again, 0), 1, 0)
	require.Equal(t, "1", first.header.Get(wire.HeaderCheck), "its taker looks at the record too")
	b.submitted()
	require.Empty(t, b.lane(id))
	require.Equal(t, wire.StatusCompleted, b.fold.record(id).Status)
	b.status(wire.MakeID(later, 0), wire.StatusScheduled)
	require.Len(t, b.schedules(wire.LaterRunSubject(wire.MakeID(later, 0), 0)), 1)
}

func TestTwoReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.start()
	const n = 300
	for range n {
		b.submit(`{"type":"a"}`)
	}
	b.submitted()
	natstest.Eventually(t, func() error {
		if got := len(b.stored(wire.StreamReady)); got != n {
			return fmt.Errorf("%d lane messages", got)
		}
		return nil
	})
	b.folded()
	require.Len(t, b.fold.events("", wire.EventSubmitted), n)
}

func TestPayloadObjectsAreGivenTheirTasksName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	objects, err := b.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	send := func(body string) uint64 {
		name := wire.IncomingObject(nats.NewInbox()[7:])
		_, err := objects.PutBytes(t.Context(), name, []byte(`"large"`))
		require.NoError(t, err)
		m := nats.NewMsg(wire.SubmitSubject("a"))
		m.Header.Set(wire.HeaderPayloadObject, name)
		m.Header.Set(wire.HeaderPayloadHash, wire.PayloadHash([]byte(`"large"`)))
		m.Header.Set(wire.HeaderPayloadBytes, "7")
		return b.publish(m, body)
	}
	id := wire.MakeID(send(`{}`), 0)
	require.Equal(t, wire.PayloadObject(id), b.run(id, 1, 0).PayloadObject)
	require.Equal(t, wire.PayloadObject(id), b.dispatched(id).Meta.PayloadObject)
	send(`{"id":"chosen"}`)
	require.Equal(t, wire.PayloadObject("chosen"), b.run("chosen", 1, 0).PayloadObject)
	for _, id := range []string{id, "chosen"} {
		got, err := objects.GetString(t.Context(), wire.PayloadObject(id))
		require.NoError(t, err)
		require.Equal(t, `"large"`, got)
	}
	all, err := objects.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)

	m := nats.NewMsg(wire.SubmitSubject("a"))
	m.Header.Set(wire.HeaderPayloadObject, wire.IncomingObject("nowhere"))
	b.publish(m, `{}`)
	require.Contains(t, b.event("", wire.EventRejected).Data.Reason, "nowhere")
	b.submitted()
}

// forgetAcknowledgements of submissions, as a server may that crashed.
func (b *bench) forgetAcknowledgements() {
	b.t.Helper()
	natstest.Eventually(b.t, func() error {
		ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
		defer cancel()
		st, err := b.js.Stream(ctx, wire.StreamSubmit)
		if err != nil {
			return err
		}
		_, err = st.ResetConsumerToSequence(ctx, wire.ConsumerSubmit, 1)
		return err
	})
}

func TestServerRestartChecksWhatIsOlder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	b.submitted()
	b.server.Restart(t)
	natstest.Eventually(t, s.Ready)
	b.forgetAcknowledgements()
	next := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	require.Empty(t, b.run(next, 1, 0).header.Get(wire.HeaderCheck), "what came after is not checked")
	b.submitted()
	b.folded()
	require.Len(t, b.lane(id), 1)
	natstest.Eventually(t, s.Ready)
}

// A server that is killed may forget the acknowledgement of a submission, and knows no more
// the message ids of what was removed: only the record tells that the task has run.
func TestAForgottenAcknowledgementRunsNothingTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(id)
	m := b.run(id, 1, 0)
	b.emit(began(m, wire.FirstFence(m.seq)), completed(m, wire.FirstFence(m.seq)))
	b.status(id, wire.StatusCompleted)
	b.ackLane(m)
	b.submitted()
	b.server.Restart(t)
	natstest.Eventually(t, s.Ready)
	b.forgetAcknowledgements()
	next := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.dispatched(next)
	b.submitted()
	require.Empty(t, b.lane(id))
	require.Equal(t, wire.StatusCompleted, b.fold.record(id).Status)
}

func TestStopHandsBackNothingUnfinished(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start(func(c *scheduler.Config) { c.Connect.Name = "first" })
	for range 50 {
		b.submit(`{"type":"a"}`)
	}
	require.NoError(t, s.Stop(t.Context()))
	require.Error(t, s.Ready())
	b.start()
	b.submitted()
	natstest.Eventually(t, func() error {
		if n := len(b.stored(wire.StreamReady)); n != 50 {
			return fmt.Errorf("%d lane messages", n)
		}
		return nil
	})
}
