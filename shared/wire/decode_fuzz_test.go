package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// decoder reads submissions as of dawn.
func decoder() wire.Decoder {
	return wire.Decoder{Defaults: wire.StandardDefaults, Now: dawn.Time()}
}

var submissionSeeds = []string{
	`{"type":"a"}`, `[{"type":"a"},{"type":"b","delayMs":1}]`, `[]`, `null`, `1`, `"a"`, `{}`, ` `, ``, `{"type":"a"} x`,
	`{"id":"order-17","type":"image.resize","queue":"images","priority":"high","payload":{"n":1.50,"s":"<&>\u2028"},"maxRetries":5,
	  "backoff":{"policy":"fixed","baseMs":1,"maxMs":2,"jitter":0},"timeoutMs":1000,"runAt":"2026-03-01T10:00:00+02:00",
	  "deadline":"2026-03-02T10:00:00.123Z","retentionMs":60000,"tags":{"a":"é","b":"\ud83d\ude00"}}`,
	`{"type":"a","deadline":"9999-12-31T23:59:59-12:00"}`, `{"type":"a","runAt":"1970-01-01T00:00:00+14:00"}`,
	`{"type":"a","deadline":"1970-01-01T00:00:00Z"}`, `{"type":"a","tags":{"a":null}}`, `{"type":"a","backoff":{"baseMs":70000}}`,
	`{"type":"a","backoff":{"jitter":-0}}`, `{"type":"a","backoff":{"jitter":1e-400}}`, `{"type":"a","maxRetries":-0}`,
	`{"ty\u0070e":"a","type":"b"}`, `{"type":"a","payload":null}`, `{"type":"\ud800"}`, `{"type":"a","id":"task-104"}`, "\xff", "{\"type\":\"\xff\"}",
}

// What is accepted is written as it was understood, and read again as the same.
func FuzzDecodeSubmission(f *testing.F) {
	for _, s := range submissionSeeds {
		f.Add([]byte(s), "")
	}
	f.Add([]byte(`{"payload":1}`), "image.resize")
	f.Fuzz(func(t *testing.T, body []byte, subjectType string) {
		d := decoder()
		d.SubjectType = subjectType
		members, group, err := d.Decode(body)
		if err != nil {
			faults, ok := wire.AsFaults(err)
			require.True(t, ok)
			checkFaults(t, faults)
			return
		}
		require.True(t, group || len(members) == 1)
		for i := range members {
			checkFaults(t, members[i].Faults)
			if len(members[i].Faults) == 0 {
				checkTrip(t, &members[i].Submission)
			}
		}
	})
}

func checkFaults(t *testing.T, faults wire.Faults) {
	t.Helper()
	for _, one := range faults {
		require.NotEmpty(t, one.Rule)
		require.LessOrEqual(t, len(one.Value), 2000)
		require.NotEmpty(t, one.String())
	}
	b, err := wire.EncodeHTTP(faults)
	require.NoError(t, err)
	require.True(t, json.Valid(b))
}

func checkTrip(t *testing.T, s *wire.Submission) {
	t.Helper()
	b := s.Encode()
	again, _, err := decoder().Decode(b)
	require.NoError(t, err, "%s", b)
	got := &again[0].Submission
	require.Equal(t, s.ID, got.ID)
	require.Equal(t, s.Definition, got.Definition)
	require.Equal(t, s.ContentHash(), got.ContentHash())
	require.LessOrEqual(t, len(got.Payload), max(len(s.Payload), len("null")), "a payload does not grow")
	require.Equal(t, string(b), string(got.Encode()))
}

func FuzzDecodeEnvelope(f *testing.F) {
	env := wire.Envelope{ID: "task-104", Task: *definition(), Attempt: 1, SubmitSeq: 104, SubmittedAt: dawn, DueAt: dawn, Payload: json.RawMessage(`{"a":"<"}`)}
	f.Add(env.Encode())
	for _, s := range []string{`{}`, `null`, `[]`, `{"id":"a","task":null,"attempt":1}`, `{"id":"a","task":{"type":"a","queue":""},"attempt":1}`, `{"id":"a","task":{"type":"a"},"attempt":0}`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := wire.DecodeEnvelope(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDecode)
			require.Nil(t, e)
			return
		}
		require.True(t, wire.ValidID(e.ID))
		again, err := wire.DecodeEnvelope(e.Encode())
		require.NoError(t, err)
		require.Equal(t, string(e.Encode()), string(again.Encode()))
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(encoded(f, goldenRecord()))
	for _, s := range []string{`{}`, `null`, `{"id":"a","status":"done"}`, `{"id":"a","status":"pending","meta":{"history":["1.2","x"]}}`, `{"id":"a","status":"pending","deadline":"9999-12-31T23:59:59-12:00"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.DecodeRecord(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDecode)
			return
		}
		first := encoded(t, r)
		again, err := wire.DecodeRecord(first)
		require.NoError(t, err, "%s", first)
		require.Equal(t, string(first), string(encoded(t, again)))
		e := startedEvent(r.Attempt, r.Meta.Round, r.Fence+1)
		foldPurely(t, r, e, wire.Position{})
	})
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add(encoded(f, goldenEvents()))
	for _, s := range []string{`[]`, `null`, `[null]`, `[{}]`, `{}`, `[{"event":"task.dispatched","data":{"ids":["a","b"],"attempts":[1],"first":18446744073709551615}}]`, `[{"timestamp":"x"}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := wire.DecodeEvents(1042, b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDecode)
			return
		}
		var rec *wire.Record
		for i := range events {
			pos, err := wire.ParsePosition(events[i].Seq)
			require.NoError(t, err)
			require.Equal(t, wire.Position{Seq: 1042, Index: i}, pos)
			if events[i].Event != "" {
				require.NotEmpty(t, wire.Describe(&events[i]))
			}
			for _, one := range wire.Split(&events[i]) {
				rec, _, _ = foldPurely(t, rec, one, pos)
			}
		}
		first, err := wire.EncodeEvents(events)
		require.NoError(t, err)
		again, err := wire.DecodeEvents(1042, first)
		require.NoError(t, err)
		require.Equal(t, string(first), string(encoded(t, again)))
	})
}

func FuzzDecodeCommand(f *testing.F) {
	for _, s := range []string{`{"ids":["a"]}`, `{"ids":[]}`, `{}`, `null`, `{"ids":null}`, `{"ids":"a"}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := wire.DecodeCommand(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrDecode)
			return
		}
		require.NotEmpty(t, c.IDs)
		require.LessOrEqual(t, len(c.IDs), wire.MaxIDsPerCommand)
	})
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"1042.3", "7", "", ".", "1.", ".1", "18446744073709551615.2147483647", "18446744073709551616", "1.2147483648", "-1.0", "+1", "1.2.3", "1 .2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := wire.ParsePosition(s)
		if err != nil {
			require.Equal(t, wire.Position{}, p)
			return
		}
		again, err := wire.ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{
		`"2026-01-01T10:21:02.000Z"`, `null`, `""`, `"2026-01-01T10:21:02+05:30"`, `"9999-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59-00:01"`,
		`"0000-01-01T00:00:00+00:01"`, `"0001-01-01T00:00:00Z"`, `1`, `"2026-02-30T00:00:00Z"`, `"1969-12-31T23:59:59.9999Z"`, "`x`",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var at wire.Time
		if at.UnmarshalJSON(b) != nil {
			return
		}
		first, err := at.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(first))
		var again wire.Time
		require.NoError(t, json.Unmarshal(first, &again))
		require.Equal(t, at, again)
		if at != 0 {
			_, err = time.Parse(time.RFC3339, at.String())
			require.NoError(t, err)
		}
	})
}

func FuzzParseReady(f *testing.F) {
	for _, s := range []string{"batuta.ready.default.high.image.resize", "batuta.ready.default.high", "batuta.ready.default.urgent.a", "batuta.submit.a.b.c", "", "batuta.ready."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if queue, p, taskType, ok := wire.ParseReady(s); ok {
			require.True(t, p.Valid())
			require.Equal(t, s, wire.ReadySubject(queue, p, taskType))
		}
	})
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"batuta.cancel.order-17", "batuta.retry.order-17", "batuta.request.delete", "batuta.cancel.", "", "batuta."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		command, id := wire.ParseCommand(s)
		switch {
		case command == "cancel" && id != "":
			require.Equal(t, s, wire.CancelSubject(id))
		case command == "retry" && id != "":
			require.Equal(t, s, wire.RetrySubject(id))
		default:
			require.Empty(t, id)
		}
	})
}

func FuzzParseDue(f *testing.F) {
	for _, s := range []string{"batuta.due.run.order-17", "batuta.due.deadline.order-17", "batuta.due.tick", "", "batuta.due.", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, id := wire.ParseDue(s)
		require.LessOrEqual(t, len(kind)+len(id), len(s))
		if strings.HasPrefix(s, "batuta.due.") && kind == "run" && id != "" {
			require.Equal(t, s, wire.DueRunSubject(id))
		}
	})
}

func FuzzSubmitType(f *testing.F) {
	for _, s := range []string{"batuta.submit", "batuta.submit.a", "batuta.submit.image.resize", "", "batuta.submit."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := wire.SubmitType(s)
		if wire.ValidType(s) {
			require.Equal(t, s, wire.SubmitType(wire.SubmitSubject(s)))
		}
		if got != "" && strings.HasPrefix(s, "batuta.submit.") {
			require.Equal(t, s, wire.SubmitSubject(got))
		}
	})
}
