package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func packed(id string) *wire.Envelope {
	return &wire.Envelope{
		ID: id, Attempt: 1, SubmitSeq: 7, Member: 2, SubmittedAt: dawn, DueAt: dawn, Payload: []byte(`{"n":1.50}`),
		Task: wire.Compact{
			Type: "a.b", Queue: "media", Priority: wire.PriorityHigh, TimeoutMs: 1000, RetentionMs: 1000, Backoff: wire.DefaultBackoff,
			Tags: map[string]string{"k": "v"},
		},
	}
}

func TestALaneMessageHoldsOneTaskOrSeveral(t *testing.T) {
	t.Parallel()
	one, two := packed("task-7-1"), packed("task-7-2")
	got, err := wire.DecodeLaneMessage(wire.EncodeParcel(one.Encode()))
	require.NoError(t, err)
	require.Equal(t, []*wire.Envelope{one}, got)
	require.Equal(t, one.Encode(), wire.EncodeParcel(one.Encode()), "a single task is its envelope")

	body := wire.EncodeParcel(one.Encode(), two.Encode())
	got, err = wire.DecodeLaneMessage(body)
	require.NoError(t, err)
	require.Equal(t, []*wire.Envelope{one, two}, got)

	// What the fast reader does not know, the library reads.
	odd := strings.Replace(string(body), `{"id"`, `{"unknown": {"x": [1]}, "id"`, 1)
	got, err = wire.DecodeLaneMessage([]byte(" \n" + odd))
	require.NoError(t, err)
	require.Equal(t, []*wire.Envelope{one, two}, got)
}

func TestWhatIsNoParcel(t *testing.T) {
	t.Parallel()
	good := string(packed("task-7-1").Encode())
	for _, body := range []string{
		``, `[]`, `[null]`, `[{}]`, `[1]`, `{}`, `null`, `[` + good, `[` + good + `,{}]`, `[` + good + `,null]`, `[` + good + `]x`, `[[` + good + `]]`,
	} {
		got, err := wire.DecodeLaneMessage([]byte(body))
		require.Error(t, err, body)
		require.Nil(t, got, body)
	}
}

func TestADispatchedEventOfParcels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sizes []int
		want  []uint64
	}{
		{nil, []uint64{100, 101, 102, 103, 104}},
		{[]int{5}, []uint64{100, 100, 100, 100, 100}},
		{[]int{2, 1, 2}, []uint64{100, 100, 101, 102, 102}},
		{[]int{3}, []uint64{100, 100, 100, 101, 102}},           // what is not said has a message of its own
		{[]int{0, 2, -1, 3}, []uint64{101, 101, 103, 103, 103}}, // nobody writes this
	} {
		e := wire.Event{Seq: "7.0", Timestamp: dawn, Event: wire.EventDispatched, Data: wire.EventData{
			Lane: "default_high", First: 100, Sizes: c.sizes, IDs: []string{"a", "b", "c", "d", "e"},
		}}
		body, err := wire.EncodeEvents([]wire.Event{e})
		require.NoError(t, err)
		back, err := wire.DecodeEvents(7, body)
		require.NoError(t, err)
		require.Equal(t, c.sizes, back[0].Data.Sizes)
		var got []uint64
		for _, one := range wire.Split(&back[0]) {
			got = append(got, one.Data.LaneSeq)
		}
		require.Equal(t, c.want, got, c.sizes)
	}
}

func FuzzDecodeLaneMessage(f *testing.F) {
	f.Add(wire.EncodeParcel(packed("task-7-1").Encode(), packed("task-7-2").Encode()))
	f.Add(packed("task-7-1").Encode())
	f.Add([]byte(`[{"id":"a"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := wire.DecodeLaneMessage(b)
		if err != nil {
			return
		}
		bodies := make([][]byte, len(members))
		for i, m := range members {
			bodies[i] = m.Encode()
		}
		again, err := wire.DecodeLaneMessage(wire.EncodeParcel(bodies...))
		if err != nil || len(again) != len(members) {
			t.Fatalf("%d tasks became %d: %v", len(members), len(again), err)
		}
		for i := range members {
			if a, b := string(members[i].Encode()), string(again[i].Encode()); a != b {
				t.Fatalf("%s became %s", a, b)
			}
		}
	})
}

func TestTotalsCountWhatWaits(t *testing.T) {
	t.Parallel()
	var totals wire.Totals
	rec := func(queue string, p wire.Priority) *wire.Record {
		return &wire.Record{Definition: wire.Definition{Queue: queue, Priority: p}}
	}
	totals.CountWaiting(rec("default", wire.PriorityHigh), 1)
	totals.CountWaiting(rec("default", wire.PriorityHigh), 1)
	totals.CountWaiting(rec("default", wire.PriorityLow), 1)
	copied := totals.Clone()
	copied.CountWaiting(rec("default", wire.PriorityHigh), -1)
	copied.CountWaiting(rec("default", wire.PriorityLow), -1)
	copied.CountWaiting(rec("media", wire.PriorityLow), -1) // began to wait before it was counted
	require.Equal(t, map[string]int64{"default/high": 2, "default/low": 1}, totals.Waiting)
	require.Equal(t, map[string]int64{"default/high": 1}, copied.Waiting, fmt.Sprint(totals))
}
