package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestCompactDefinitionsSurviveTheirTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		task := anyDefinition().Draw(t, "task")
		var back wire.Compact
		require.NoError(t, json.Unmarshal(encoded(t, task), &back))
		require.Equal(t, *task, back)
	})
}

func TestCompactDefinitionsLeaveDefaultsOut(t *testing.T) {
	t.Parallel()
	members, _, err := decoder().Decode([]byte(`{"type":"a"}`))
	require.NoError(t, err)
	require.Equal(t, `{"type":"a"}`, string(encoded(t, wire.Compact(members[0].Submission.Definition))))
	c := wire.Compact(members[0].Submission.Definition)
	c.MaxRetries, c.Tags = 0, nil
	require.Equal(t, `{"type":"a","maxRetries":0}`, string(encoded(t, c)), "none is not the default")
}

func TestEnvelopesThatCannotBeRun(t *testing.T) {
	t.Parallel()
	const good = `{"id":"a","task":{"type":"a"},"attempt":1,"submitSeq":1,"submittedAt":null,"dueAt":null}`
	_, err := wire.DecodeEnvelope([]byte(good))
	require.NoError(t, err)
	for old, bad := range map[string]string{
		`"id":"a"`: `"id":"a b"`, `"type":"a"`: `"type":"a..b"`, `{"type":"a"}`: `{"type":"a","priority":"now"}`, `"attempt":1`: `"attempt":0`,
		`{"type":"a"},`: `{"type":"a","queue":"a.b"},`, `"task":{"type":"a"}`: `"task":null`, `"submitSeq":1`: `"submitSeq":-1`, `"dueAt":null`: `"dueAt":"soon"`,
	} {
		body := strings.Replace(good, old, bad, 1)
		require.NotEqual(t, good, body)
		_, err := wire.DecodeEnvelope([]byte(body))
		require.ErrorIs(t, err, wire.ErrDecode, body)
	}
}

func TestRunsOfOneTaskHaveTheirOwnMessageIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range []wire.Envelope{{ID: "a", Attempt: 1}, {ID: "a", Attempt: 2}, {ID: "a", Attempt: 1, Round: 1}, {ID: "a-1", Attempt: 1}, {ID: "a", Attempt: 11}} {
		require.False(t, seen[e.MsgID()])
		seen[e.MsgID()] = true
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `[]`, `{"id":"a"}`, `{"status":"pending"}`, `{"id":"a","status":"done"}`, `{"id":"a","status":"pending","meta":{"history":["x"]}}`} {
		_, err := wire.DecodeRecord([]byte(body))
		require.ErrorIs(t, err, wire.ErrDecode, body)
	}
}

func TestACloneStandsForItself(t *testing.T) {
	t.Parallel()
	r := goldenRecord()
	kept := string(encoded(t, r))
	c := r.Clone()
	c.Status, c.Meta.Round = wire.StatusFailed, 9
	c.Meta.History[0].Seq = 1
	require.Equal(t, kept, string(encoded(t, r)))
}

func TestCommandsNameTheirTasks(t *testing.T) {
	t.Parallel()
	many := func(n int) []byte { return encoded(t, wire.Command{IDs: make([]string, n)}) }
	for n, fits := range map[int]bool{0: false, 1: true, 1000: true, 1001: false} {
		c, err := wire.DecodeCommand(many(n))
		if !fits {
			require.ErrorIs(t, err, wire.ErrDecode)
			continue
		}
		require.NoError(t, err)
		require.Len(t, c.IDs, n)
	}
	_, err := wire.DecodeCommand([]byte(`{"ids":"a"}`))
	require.ErrorIs(t, err, wire.ErrDecode)
}

func TestEventsGetTheirPlaces(t *testing.T) {
	t.Parallel()
	b, err := wire.EncodeEvents([]wire.Event{{Event: wire.EventStarted, TaskID: "a", Timestamp: dawn}, {Event: wire.EventCompleted, TaskID: "a", Timestamp: dawn}})
	require.NoError(t, err)
	require.NotContains(t, string(b), `"seq"`)
	events, err := wire.DecodeEvents(1042, b)
	require.NoError(t, err)
	require.Equal(t, []string{"1042.0", "1042.1"}, []string{events[0].Seq, events[1].Seq})
	_, err = wire.DecodeEvents(1, []byte(`{}`))
	require.ErrorIs(t, err, wire.ErrDecode)
	_, err = wire.EncodeEvents([]wire.Event{{Data: wire.EventData{Result: json.RawMessage("{")}}})
	require.Error(t, err)
}
