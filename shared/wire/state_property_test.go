package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestHistoriesOfTheDesignKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(w.actions())
		w.t = t
		if w.gone {
			return
		}
		w.settle()
		folded := foldAll(t, w.past)
		require.Equal(t, encoded(t, w.rec), encoded(t, folded), "the same events give the same record")
	})
}

// foldAll folds events as they are read from the stream, through JSON.
func foldAll(t *rapid.T, events []wire.Event) *wire.Record {
	var rec *wire.Record
	for i, e := range events {
		b, err := wire.EncodeEvents([]wire.Event{e})
		require.NoError(t, err)
		read, err := wire.DecodeEvents(uint64(i)+2, b)
		require.NoError(t, err)
		rec, _, _ = wire.Next(rec, &read[0], wire.Position{Seq: uint64(i) + 2})
		if rec != nil {
			if rec, err = wire.DecodeRecord(encoded(t, rec)); err != nil {
				t.Fatalf("a record does not survive its bucket: %v", err)
			}
		}
	}
	return rec
}

// anyEvent draws events of which nothing can be said but that they have the right form.
func anyEvent() *rapid.Generator[wire.Event] {
	small := rapid.IntRange(-1, 3)
	fence := rapid.Uint64Range(0, 5)
	names := append([]wire.EventName{wire.EventDispatched, "", "task.renamed"}, wire.EventNames...)
	return rapid.Custom(func(t *rapid.T) wire.Event {
		e := wire.Event{
			Event: rapid.SampledFrom(names).Draw(t, "event"), TaskID: "x", Attempt: small.Draw(t, "attempt"),
			Timestamp: wire.Time(rapid.Int64Range(-2, 700_000).Draw(t, "timestamp")),
			WorkerID:  rapid.SampledFrom([]string{"", "worker-1"}).Draw(t, "worker"),
		}
		e.Data = wire.EventData{
			SubmitSeq: fence.Draw(t, "submitSeq"), Member: small.Draw(t, "member"), Round: small.Draw(t, "round"),
			SubmittedAt: wire.Time(small.Draw(t, "submittedAt")), ScheduledFor: wire.Time(small.Draw(t, "scheduledFor")),
			Fence: fence.Draw(t, "fence"), LaneSeq: fence.Draw(t, "laneSeq"), ControlSeq: fence.Draw(t, "controlSeq"),
			Reason: rapid.SampledFrom([]string{"", wire.ReasonManual, wire.ReasonRepair, wire.ReasonDelay, wire.ReasonCrash}).Draw(t, "reason"),
			Hash:   rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "hash"),
			Final:  maybe(rapid.Bool()).Draw(t, "final"), Retries: maybe(small).Draw(t, "retries"),
			Percent: maybe(rapid.Float64Range(-1, 101)).Draw(t, "percent"), NextAttemptAt: wire.Time(small.Draw(t, "nextAttemptAt")),
			ExecutionTimeMs: maybe(rapid.Int64()).Draw(t, "executionTimeMs"),
			IDs:             rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,3}`), 0, 3).Draw(t, "ids"),
			Attempts:        rapid.SliceOfN(small, 0, 4).Draw(t, "attempts"), Rounds: rapid.SliceOfN(small, 0, 4).Draw(t, "rounds"),
		}
		if rapid.IntRange(0, 3).Draw(t, "task") > 0 {
			e.Data.Task = definition()
		}
		if rapid.Bool().Draw(t, "error") {
			e.Data.Error = &wire.TaskError{Message: "no", Attempt: small.Draw(t, "failed attempt"), At: wire.Time(small.Draw(t, "failed at"))}
		}
		return e
	})
}

func maybe[T any](one *rapid.Generator[T]) *rapid.Generator[*T] {
	return rapid.Ptr(one, true)
}

// Whatever is in the stream, the fold goes on, and the worst does not happen.
func TestArbitraryEventsDoNoHarm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rec *wire.Record
		for i, drawn := range rapid.SliceOfN(anyEvent(), 1, 60).Draw(t, "events") {
			for _, e := range wire.Split(&drawn) {
				before := rec
				next, verdict, _ := foldPurely(t, rec, e, wire.Position{Seq: uint64(i)})
				rec = next
				_ = wire.Describe(&e)
				if before == nil || verdict != wire.Applied {
					continue
				}
				require.GreaterOrEqual(t, rec.Fence, before.Fence)
				require.LessOrEqual(t, len(rec.Meta.History), wire.HistoryLength)
				require.True(t, rec.Status.Valid())
				if before.Status.Ended() && e.Data.Reason != wire.ReasonManual {
					require.Equal(t, before.Status, rec.Status)
					require.Equal(t, before.FinishedAt, rec.FinishedAt)
				}
			}
		}
		if rec == nil {
			return
		}
		b := encoded(t, rec)
		again, err := wire.DecodeRecord(b)
		require.NoError(t, err)
		require.Equal(t, string(b), string(encoded(t, again)))
	})
}

func TestEnvelopesSurviveTheirTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		env := &wire.Envelope{
			ID: "order-17", Task: *anyDefinition().Draw(t, "task"), Attempt: rapid.IntRange(1, 100).Draw(t, "attempt"),
			Retries: rapid.IntRange(0, 100).Draw(t, "retries"), Round: rapid.IntRange(0, 100).Draw(t, "round"),
			After: rapid.Uint64().Draw(t, "after"), SubmitSeq: rapid.Uint64().Draw(t, "submitSeq"), Member: rapid.IntRange(0, 1000).Draw(t, "member"),
			SubmittedAt: dawn, DueAt: anyTime().Draw(t, "dueAt"), ControlSeq: rapid.Uint64().Draw(t, "controlSeq"),
			Payload: json.RawMessage(`{"html":"<b>&</b>","n":12345678901234567890.10}`),
		}
		back, err := wire.DecodeEnvelope(env.Encode())
		require.NoError(t, err)
		require.Equal(t, env, back)
		require.Equal(t, env.MsgID(), back.MsgID())
		require.Equal(t, (*wire.Definition)(&env.Task), back.Definition())
	})
}
