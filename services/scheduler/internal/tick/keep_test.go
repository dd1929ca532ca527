package tick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// open makes the duty of the ticks on a server of its own, with the schedulers' consumers.
func open(t *testing.T, cfg Config) *Tick {
	t.Helper()
	js := natstest.Start(t).JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{Budget: 1 << 30}))
	for _, stream := range []string{wire.StreamSubmit, wire.StreamControl} {
		_, err := js.CreateOrUpdateConsumer(t.Context(), stream, jetstream.ConsumerConfig{
			Durable: wire.ConsumerSubmit, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
		})
		require.NoError(t, err)
	}
	c, err := core.Open(t.Context(), js, time.Second, obs.NewTestLogger(t.Output()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(context.Background()) })
	return New(c, cfg)
}

func (t *Tick) publish(tb testing.TB, subject string, n int) {
	tb.Helper()
	for range n {
		_, err := t.core.JS.Publish(tb.Context(), subject, []byte(`{"type":"a"}`))
		require.NoError(tb, err)
	}
}

// process acknowledges the first messages of a stream, as the schedulers do.
func (t *Tick) process(tb testing.TB, stream string, n int) {
	tb.Helper()
	c, err := t.core.JS.Consumer(tb.Context(), stream, wire.ConsumerSubmit)
	require.NoError(tb, err)
	got, err := c.Fetch(n)
	require.NoError(tb, err)
	for m := range got.Messages() {
		require.NoError(tb, m.DoubleAck(tb.Context()))
	}
	require.NoError(tb, got.Error())
}

func (t *Tick) state(tb testing.TB, stream string) jetstream.StreamState {
	tb.Helper()
	s, err := t.core.JS.Stream(tb.Context(), stream)
	require.NoError(tb, err)
	return s.CachedInfo().State
}

func TestTrimTakesOldMessagesThatAllHaveRead(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{})
	tick.publish(t, wire.CancelSubject("x"), 10)
	ctx := t.Context()
	require.NoError(t, tick.trimStream(ctx, wire.StreamControl, wire.ConsumerControl, time.Hour))
	require.Equal(t, uint64(10), tick.state(t, wire.StreamControl).Msgs, "young")
	tick.process(t, wire.StreamControl, 6)
	require.NoError(t, tick.trimStream(ctx, wire.StreamControl, wire.ConsumerControl, -time.Hour))
	require.Equal(t, uint64(7), tick.state(t, wire.StreamControl).FirstSeq, "what is not acknowledged stays")
	tick.process(t, wire.StreamControl, 4)
	require.NoError(t, tick.trimStream(ctx, wire.StreamControl, wire.ConsumerControl, -time.Hour))
	st := tick.state(t, wire.StreamControl)
	require.Zero(t, st.Msgs)
	require.Equal(t, uint64(10), st.LastSeq, "sequences go on")
	require.NoError(t, tick.trim(ctx))
}

func TestFirstSinceFindsTheAge(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{})
	tick.publish(t, wire.SubjectSubmit, 40)
	s := tick.core.Stream(wire.StreamSubmit)
	st := tick.state(t, wire.StreamSubmit)
	for _, seq := range []uint64{1, 2, 17, 40} {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		got, err := firstSince(t.Context(), tick.core.JS, s, st, m.Time)
		require.NoError(t, err)
		require.Equal(t, seq, got)
	}
	got, err := firstSince(t.Context(), tick.core.JS, s, st, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, uint64(41), got)
}

// What a replica that lags has not got is not the gap that an operator made: else what is younger
// than the limit would be taken for older, and trimmed.
func TestTheAgeOfMessagesIsNotTakenFromAReplicaThatLags(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{})
	tick.publish(t, wire.SubjectSubmit, 40)
	st := tick.state(t, wire.StreamSubmit)
	m, err := tick.core.Stream(wire.StreamSubmit).GetMsg(t.Context(), 17)
	require.NoError(t, err)

	js, left := natstest.Lagging(t, tick.core.JS.Conn(), wire.StreamSubmit, math.MaxInt32)
	s, err := js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	got, err := firstSince(t.Context(), js, s, st, m.Time)
	require.NoError(t, err)
	require.Equal(t, uint64(17), got)
	require.Less(t, left.Load(), int32(math.MaxInt32), "a copy was asked first")
}

func TestNearlyFullStreamsAreCut(t *testing.T) {
	t.Parallel()
	info := func(bytes uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{
			Config: jetstream.StreamConfig{MaxBytes: 1000},
			State:  jetstream.StreamState{Msgs: 100, Bytes: bytes, FirstSeq: 501, LastSeq: 600},
		}
	}
	require.Zero(t, cutForBytes(info(799)))
	require.Equal(t, uint64(513), cutForBytes(info(800)), "down to seven tenths")
	require.Equal(t, uint64(531), cutForBytes(info(1000)))
	unlimited := info(1000)
	unlimited.Config.MaxBytes = -1
	require.Zero(t, cutForBytes(unlimited))
}

func (t *Tick) object(tb testing.TB, name string) {
	tb.Helper()
	_, err := t.core.Objects.PutBytes(tb.Context(), name, []byte(name))
	require.NoError(tb, err)
}

func (t *Tick) record(tb testing.TB, rec wire.Record) {
	tb.Helper()
	rec.Type, rec.Queue, rec.Priority = "a", "default", wire.PriorityMedium
	body, err := json.Marshal(&rec)
	require.NoError(tb, err)
	_, err = t.core.JS.Publish(tb.Context(), wire.KVSubject(wire.BucketTasks, rec.ID), body)
	require.NoError(tb, err)
}

func (t *Tick) names(tb testing.TB) []string {
	tb.Helper()
	var out []string
	_, err := t.batch(tb.Context(), wire.StreamObjects, wire.SubjectObjectMetas, 1, func(m *jetstream.RawStreamMsg) {
		o, ok := decodeMeta(m)
		require.True(tb, ok)
		out = append(out, o.Name)
	})
	require.NoError(tb, err)
	return out
}

func TestSweepRemovesWhatNobodyWillAskFor(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{ObjectAge: time.Nanosecond})
	tick.record(t, wire.Record{ID: "open", Status: wire.StatusInProgress, Fence: 2049})
	tick.record(t, wire.Record{ID: "ended", Status: wire.StatusCompleted, Fence: 3073, Meta: wire.Meta{ResultObject: wire.ResultObject("ended", 3073)}})
	keep := []string{
		wire.PayloadObject("open"), wire.PayloadObject("ended"), wire.ResultObject("open", 2049), wire.ResultObject("ended", 3073), "somebody-elses",
	}
	for _, name := range keep {
		tick.object(t, name)
	}
	for _, name := range []string{
		wire.PayloadObject("gone"), wire.ResultObject("gone", 1025), wire.ResultObject("open", 1025), wire.ResultObject("ended", 3074),
		wire.IncomingObject("unclaimed"),
	} {
		tick.object(t, name)
	}
	require.NoError(t, tick.sweep(t.Context()))
	require.NoError(t, tick.sweep(t.Context()), "the second removes what the first left of their descriptions")
	require.ElementsMatch(t, keep, tick.names(t))
	for _, name := range keep {
		got, err := tick.core.Objects.GetString(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, name, got)
	}
}

func TestSweepWaitsForSubmissions(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{ObjectAge: time.Nanosecond})
	tick.publish(t, wire.SubjectSubmit, 2)
	tick.object(t, wire.PayloadObject("task-001"))
	tick.object(t, wire.IncomingObject("x"))
	require.NoError(t, tick.sweep(t.Context()))
	require.Len(t, tick.names(t), 2, "their submissions may not have been seen yet")
	tick.process(t, wire.StreamSubmit, 2)
	require.NoError(t, tick.sweep(t.Context()))
	require.NoError(t, tick.sweep(t.Context()))
	require.Empty(t, tick.names(t))
}

func TestSweepLeavesContentThatWasGivenToATask(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{ObjectAge: time.Nanosecond})
	ctx := t.Context()
	tick.record(t, wire.Record{ID: "mine", Status: wire.StatusPending})
	tick.object(t, wire.IncomingObject("x"))
	s := tick.core.Stream(wire.StreamObjects)
	meta, err := s.GetLastMsgForSubject(ctx, wire.ObjectMetaSubject(wire.IncomingObject("x")))
	require.NoError(t, err)
	require.NoError(t, tick.core.Adopt(ctx, wire.IncomingObject("x"), "mine"))
	// As after a crash between the two steps of the renaming.
	_, err = tick.core.JS.Publish(ctx, meta.Subject, meta.Data)
	require.NoError(t, err)
	require.NoError(t, tick.sweep(ctx))
	require.Equal(t, []string{wire.PayloadObject("mine")}, tick.names(t))
	got, err := tick.core.Objects.GetString(ctx, wire.PayloadObject("mine"))
	require.NoError(t, err)
	require.Equal(t, wire.IncomingObject("x"), got)

	_, err = tick.core.JS.Publish(ctx, meta.Subject, meta.Data)
	require.NoError(t, err)
	require.NoError(t, tick.core.Adopt(ctx, wire.IncomingObject("x"), "mine"), "a second delivery")
	require.Equal(t, []string{wire.PayloadObject("mine")}, tick.names(t))
	require.ErrorIs(t, tick.core.Adopt(ctx, wire.IncomingObject("x"), "other"), core.ErrPayloadGone)
}

func TestAuditWalksOnAndBeginsAgain(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{})
	const n = auditMost + 300
	for i := range n {
		tick.record(t, wire.Record{ID: fmt.Sprintf("t%d", i), Status: wire.StatusCompleted, Meta: wire.Meta{UpdatedAt: 1}})
	}
	tick.record(t, wire.Record{ID: "open", Status: wire.StatusPending, Meta: wire.Meta{UpdatedAt: 1}})
	suspects, next, err := tick.walk(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, suspects)
	require.Equal(t, uint64(auditMost), next)
	suspects, next, err = tick.walk(t.Context(), next)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Len(t, suspects, 1)
	require.Equal(t, "open", suspects[0].ID)
}

// Records that have ended cost an idle system nothing.
func TestAuditRestsWhileNothingIsOpen(t *testing.T) {
	t.Parallel()
	tick := open(t, Config{AuditAfter: time.Millisecond})
	ctx := t.Context()
	cursorNow := func() (at cursor) {
		_, err := tick.value(ctx, wire.BucketSettings, wire.KeyAudit, &at)
		require.NoError(t, err)
		return at
	}
	count := func(open int64) {
		body, err := json.Marshal(wire.Totals{Open: open})
		require.NoError(t, err)
		_, err = tick.core.JS.Publish(ctx, wire.KVSubject(wire.BucketTasks, wire.KeyTotals), body)
		require.NoError(t, err)
	}
	tick.record(t, wire.Record{ID: "done", Status: wire.StatusCompleted, Meta: wire.Meta{UpdatedAt: 1}})
	require.NoError(t, tick.audit(ctx))
	begun := cursorNow().Begun
	require.NotZero(t, begun, "without a count it walks")

	count(0)
	natstest.Eventually(t, func() error { // long after AuditAfter
		if wire.Now() < begun+10 {
			return errors.New("early")
		}
		return nil
	})
	require.NoError(t, tick.audit(ctx))
	require.Equal(t, begun, cursorNow().Begun, "nothing is open: it rests")

	count(1)
	require.NoError(t, tick.audit(ctx))
	require.Greater(t, cursorNow().Begun, begun)

	tick.cfg.AuditAfter = time.Hour
	begun = cursorNow().Begun
	require.NoError(t, tick.audit(ctx))
	require.Equal(t, begun, cursorNow().Begun, "no record can have become a suspect meanwhile")
}
