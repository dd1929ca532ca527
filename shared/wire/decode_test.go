package wire_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// sameAsLibrary checks a decoder against encoding/json, whether the input is good or not.
func sameAsLibrary[T any](t *testing.T, b []byte, got *T, err error) {
	t.Helper()
	want := new(T)
	if wrong := json.Unmarshal(b, want); wrong != nil {
		require.Error(t, err, "%s", b)
		return
	}
	if err != nil {
		require.ErrorIs(t, err, wire.ErrDecode)
		return // good JSON, but incomplete
	}
	require.Equal(t, want, got, "%s", b)
}

func checkDecoders(t *testing.T, f filler, change func([]byte) []byte) {
	t.Helper()
	e := random[wire.Event](f)
	e.Seq = ""
	b, err := wire.EncodeEvents([]wire.Event{*e, *random[wire.Event](f)})
	require.NoError(t, err)
	b = change(b)
	events, err := wire.DecodeEvents(7, b)
	var want []wire.Event
	if wrong := json.Unmarshal(b, &want); wrong != nil {
		require.Error(t, err, "%s", b)
	} else {
		require.NoError(t, err, "%s", b)
		for i := range want {
			want[i].Seq = wire.Position{Seq: 7, Index: i}.String()
		}
		require.True(t, reflect.DeepEqual(want, events), "%s\n%v\n%v", b, want, events)
	}

	r := random[wire.Record](f)
	b, err = r.Encode()
	require.NoError(t, err)
	b = change(b)
	rec, err := wire.DecodeRecord(b)
	sameAsLibrary(t, b, rec, err)

	b = change(random[wire.Envelope](f).Encode())
	env, err := wire.DecodeEnvelope(b)
	sameAsLibrary(t, b, env, err)
}

func TestHandWrittenDecodersReadWhatTheLibraryReads(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(5, 6))}
	for range 1000 {
		checkDecoders(t, f, func(b []byte) []byte { return b })
		checkDecoders(t, f, func(b []byte) []byte {
			var out bytes.Buffer
			require.NoError(t, json.Indent(&out, b, " ", "\t"))
			return out.Bytes()
		})
	}
}

// Bytes that were damaged on their way are read as the library reads them, or refused.
func TestHandWrittenDecodersRefuseWhatTheLibraryRefuses(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(7, 8))}
	marks := []byte("{}[]\",:0-9.eE\\ ntf\x00\xff")
	for range 3000 {
		checkDecoders(t, f, func(b []byte) []byte {
			b = bytes.Clone(b)
			switch at := f.r.IntN(len(b)); f.r.IntN(3) {
			case 0:
				b[at] = marks[f.r.IntN(len(marks))]
			case 1:
				b = b[:at]
			default:
				b = append(b[:at:at], b[at+1:]...)
			}
			return b
		})
	}
}

// hot are the events of a task that goes well.
func hot() []wire.Event {
	def := wire.Compact{Type: "image.resize", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3, Backoff: wire.DefaultBackoff, TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{}}
	at := wire.Time(1_798_761_600_123)
	return []wire.Event{
		wire.NewEvent(wire.Event{Event: wire.EventSubmitted, Timestamp: at, TaskID: "task-104-7", Data: wire.EventData{Task: &def, SubmitSeq: 104, Member: 7, SubmittedAt: at}}),
		wire.NewEvent(wire.Event{Event: wire.EventStarted, Timestamp: at, TaskID: "task-104-7", WorkerID: "worker-1", Pool: "default", Attempt: 1, Data: wire.EventData{
			Task: &def, SubmitSeq: 104, Member: 7, SubmittedAt: at, LaneSeq: 5, Fence: 5121, DueAt: at,
		}}),
		wire.NewEvent(wire.Event{Event: wire.EventCompleted, Timestamp: at, TaskID: "task-104-7", WorkerID: "worker-1", Pool: "default", Attempt: 1, Data: wire.EventData{
			Fence: 5121, ExecutionTimeMs: new(int64(3)), WaitTimeMs: new(int64(1)), Result: json.RawMessage(`{"ok":true}`),
		}}),
	}
}

func BenchmarkEvents(b *testing.B) {
	events := hot()
	body, err := wire.EncodeEvents(events)
	require.NoError(b, err)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = wire.EncodeEvents(events)
		}
	})
	b.Run("encode by the library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(events)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = wire.DecodeEvents(1, body)
		}
	})
	b.Run("decode by the library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out []wire.Event
			_ = json.Unmarshal(body, &out)
		}
	})
}
