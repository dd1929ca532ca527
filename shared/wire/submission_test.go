package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// accept decodes one task that must be valid.
func accept(t *testing.T, body string) *wire.Submission {
	t.Helper()
	members, group, err := decoder().Decode([]byte(body))
	require.NoError(t, err, clipped(body))
	require.False(t, group)
	require.Len(t, members, 1)
	return &members[0].Submission
}

// refuse decodes one task that must not be, and gives its faults.
func refuse(t *testing.T, d wire.Decoder, body string) wire.Faults {
	t.Helper()
	_, _, err := d.Decode([]byte(body))
	faults, ok := wire.AsFaults(err)
	require.True(t, ok, clipped(body))
	require.NotEmpty(t, faults)
	return faults
}

func clipped(s string) string { return s[:min(len(s), 200)] }

// fieldsOf lists what the faults are about.
func fieldsOf(faults wire.Faults) []string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Field)
	}
	return out
}

func TestATaskNeedsItsTypeOnly(t *testing.T) {
	t.Parallel()
	s := accept(t, `{"type":"image.resize"}`)
	require.Equal(t, wire.Submission{Definition: wire.Definition{
		Type: "image.resize", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3,
		Backoff:   wire.Backoff{Policy: "exponential", BaseMs: 1000, MaxMs: 60000, Jitter: 0.2},
		TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{},
	}}, *s)
	require.Zero(t, s.ScheduledFor(dawn))
}

func TestDefaultsAreSettings(t *testing.T) {
	t.Parallel()
	d := wire.Decoder{Defaults: wire.Defaults{MaxRetries: 7, TimeoutMs: 8, RetentionMs: 90_000}, Now: dawn.Time()}
	members, _, err := d.Decode([]byte(`{"type":"a"}`))
	require.NoError(t, err)
	got := members[0].Submission
	require.Equal(t, []int64{7, 8, 90_000}, []int64{int64(got.MaxRetries), got.TimeoutMs, got.RetentionMs})
}

// bounds of every field: what is just inside and what is just outside.
var bounds = []struct {
	field       string
	in, out     []string // values in JSON
	rule, where string   // where: the fault's field, if it is not the field itself
}{
	{
		field: "id", rule: "A-Z a-z 0-9",
		in: []string{`"a"`, `"_-Z9"`, `"` + strings.Repeat("x", 64) + `"`, `"task-"`, `"task-12"`, `"task-12a"`, `"task-104-0"`, `"task-104-"`, `"Task-104"`, `"my-task-104"`, `null`},
		out: []string{
			`""`, `"` + strings.Repeat("x", 65) + `"`, `"a.b"`, `"a b"`, `"é"`, `"a\n"`, `"*"`, `">"`,
			`"a\u0000"`,
		},
	},
	{
		field: "id", rule: "made by Batuta",
		out: []string{`"task-104"`, `"task-001"`, `"task-000"`, `"task-0001"`, `"task-104-1"`, `"task-104-1000"`, `"task-18446744073709551616"`},
	},
	{field: "id", rule: "a string", out: []string{`7`, `true`, `{}`, `["a"]`}},
	{
		field: "type", rule: "single dots",
		in:  []string{`"a"`, `"a.b.c"`, `"-._"`, `"` + strings.Repeat("x", 64) + `"`, `"` + strings.Repeat("x.", 31) + `xx"`},
		out: []string{`""`, `"` + strings.Repeat("x", 65) + `"`, `".a"`, `"a."`, `"a..b"`, `"."`, `"a b"`, `"a*"`, `"a.>"`, `"ä"`, `"a\n"`},
	},
	{field: "type", rule: "is required", out: []string{`null`}},
	{field: "type", rule: "a string", out: []string{`1`, `[]`}},
	{
		field: "queue", rule: "1 to 32",
		in:  []string{`"a"`, `"_-Z9"`, `"` + strings.Repeat("q", 32) + `"`, `null`},
		out: []string{`""`, `"` + strings.Repeat("q", 33) + `"`, `"a.b"`, `"a b"`, `"ñ"`},
	},
	{field: "queue", rule: "a string", out: []string{`0`, `false`}},
	{
		field: "priority", rule: "one of critical, high, medium, low",
		in: []string{`"critical"`, `"high"`, `"medium"`, `"low"`, `null`}, out: []string{`""`, `"High"`, `"urgent"`, `" low"`},
	},
	{field: "priority", rule: "a string", out: []string{`1`}},
	{
		field: "maxRetries", rule: "an integer from 0 to 100",
		in: []string{`0`, `100`, `null`}, out: []string{`-1`, `101`, `1.5`, `1.0`, `1e1`, `"3"`, `true`, `99999999999999999999`, `[]`},
	},
	{field: "timeoutMs", rule: "an integer from 1 to 604800000", in: []string{`1`, `604800000`, `null`}, out: []string{`0`, `-1`, `604800001`, `1.5`, `"1h"`}},
	{field: "delayMs", rule: "an integer from 0 to 31536000000", in: []string{`0`, `1`, `31536000000`, `null`}, out: []string{`-1`, `31536000001`, `0.5`, `"1"`}},
	{field: "retentionMs", rule: "an integer from 60000", in: []string{`60000`, `2592000000`, `null`}, out: []string{`59999`, `2592000001`, `0`, `"24h"`}},
	{
		field: "runAt", rule: "RFC 3339",
		in: []string{`"2026-01-01T10:21:03Z"`, `"2026-01-01T12:21:03.5+02:00"`, `"2020-01-01T00:00:00Z"`, `"1970-01-01T00:00:00Z"`, `null`},
		out: []string{
			`""`, `"now"`, `1767262862000`, `"2026-01-01"`, `"2026-01-01 10:21:03Z"`, `"2026-01-01T10:21:03"`, `"2026-02-30T00:00:00Z"`,
			`"1969-12-31T23:59:59Z"`, `"1970-01-01T00:00:00+14:00"`, `{}`,
		},
	},
	{field: "runAt", rule: "at most 1 year ahead", in: []string{`"2027-01-01T10:21:02.000Z"`}, out: []string{`"2027-01-01T10:21:02.001Z"`, `"9999-12-31T23:59:59Z"`}},
	{
		field: "deadline", rule: "RFC 3339",
		in:  []string{`"2026-01-01T10:21:03Z"`, `"2020-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59+12:00"`, `null`},
		out: []string{`"9999-12-31T23:59:59-12:00"`, `"10000-01-01T00:00:00Z"`, `"tomorrow"`, `5`},
	},
	{field: "backoff", rule: "an object", in: []string{`{}`, `null`}, out: []string{`"fixed"`, `[]`, `3`, `true`}},
	{
		field: "backoff", rule: "one of fixed, linear, exponential", where: "backoff.policy",
		in:  []string{`{"policy":"fixed"}`, `{"policy":"linear"}`, `{"policy":"exponential"}`, `{"policy":null}`},
		out: []string{`{"policy":"none"}`, `{"policy":""}`, `{"policy":"Fixed"}`},
	},
	{
		field: "backoff", rule: "from 1 to 86400000", where: "backoff.baseMs",
		in: []string{`{"baseMs":1}`, `{"baseMs":86400000}`, `{"baseMs":null}`}, out: []string{`{"baseMs":0}`, `{"baseMs":86400001}`, `{"baseMs":"1s"}`},
	},
	{
		field: "backoff", rule: "from 1 to 86400000", where: "backoff.maxMs",
		in: []string{`{"maxMs":1}`, `{"maxMs":86400000}`, `{"maxMs":null}`}, out: []string{`{"maxMs":0}`, `{"maxMs":86400001}`, `{"maxMs":1.5}`},
	},
	{
		field: "backoff", rule: "from 0 to 1", where: "backoff.jitter",
		in:  []string{`{"jitter":0}`, `{"jitter":1}`, `{"jitter":0.999}`, `{"jitter":1e-3}`, `{"jitter":null}`},
		out: []string{`{"jitter":-0.001}`, `{"jitter":1.001}`, `{"jitter":"0.2"}`, `{"jitter":1e999}`},
	},
	{field: "backoff", rule: "not a field of backoff", where: "backoff.factor", out: []string{`{"factor":2}`, `{"factor":null}`}},
	{field: "backoff", rule: "stands twice", where: "backoff.baseMs", out: []string{`{"baseMs":1,"baseMs":1}`}},
	{
		field: "tags", rule: "an object", in: []string{`{}`, `null`, tagsOf(16), `{"a.b-C_9":""}`, `{"` + strings.Repeat("k", 32) + `":"` + strings.Repeat("é", 128) + `"}`},
		out: []string{`["a"]`, `"a"`, `1`},
	},
	{field: "tags", rule: "at most 16 tags", out: []string{tagsOf(17)}},
	{field: "tags", rule: "key is 1 to 32", where: "tags.", out: []string{`{"":"x"}`}},
	{field: "tags", rule: "key is 1 to 32", where: "tags.a b", out: []string{`{"a b":"x"}`}},
	{field: "tags", rule: "key is 1 to 32", where: "tags." + strings.Repeat("k", 33), out: []string{`{"` + strings.Repeat("k", 33) + `":"x"}`}},
	{field: "tags", rule: "up to 128 characters", where: "tags.a", out: []string{`{"a":"` + strings.Repeat("é", 129) + `"}`}},
	{field: "tags", rule: "a string", where: "tags.a", out: []string{`{"a":1}`, `{"a":null}`, `{"a":["x"]}`}},
	{field: "tags", rule: "stands twice", where: "tags.a", out: []string{`{"a":"x","a":"x"}`}},
	{field: "payload", in: []string{`null`, `0`, `-1.50e+10`, `"x"`, `[]`, `{"a":{"a":[{}]}}`, `true`, `{"a":1,"a":2}`}},
}

func tagsOf(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"t%d":"v"`, i))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// taskWith is a task with one more field.
func taskWith(field, value string) string {
	if field == "type" {
		return `{"type":` + value + `}`
	}
	return `{"type":"a","` + field + `":` + value + `}`
}

func TestBoundsOfEveryField(t *testing.T) {
	t.Parallel()
	for _, b := range bounds {
		for _, value := range b.in {
			accept(t, taskWith(b.field, value))
		}
		for _, value := range b.out {
			body := taskWith(b.field, value)
			faults := refuse(t, decoder(), body)
			require.Len(t, faults, 1, clipped(body))
			where := b.where
			if where == "" {
				where = b.field
			}
			require.Equal(t, where, faults[0].Field, clipped(body))
			require.Contains(t, faults[0].Rule, b.rule, clipped(body))
		}
	}
}

func TestFaultsShowWhatWasFound(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"type":"a","maxRetries":1.50}`: `[{"field":"maxRetries","value":1.50,"rule":"must be an integer from 0 to 100"}]`,
		`{"type":"a","queue":"a b"}`:     `[{"field":"queue","value":"a b","rule":"1 to 32 of A-Z a-z 0-9 _ -"}]`,
		`{"type":"a","backoff":{"policy":"none","jitter":2}}`: `[{"field":"backoff.policy","value":"none","rule":"one of fixed, linear, exponential"},
			{"field":"backoff.jitter","value":2,"rule":"must be a number from 0 to 1"}]`,
		`{}`:   `[{"field":"type","value":null,"rule":"is required: 1 to 64 characters: parts of A-Z a-z 0-9 _ - separated by single dots"}]`,
		`7`:    `[{"field":"","value":7,"rule":"must be an object"}]`,
		``:     `[{"field":"","value":null,"rule":"must be a JSON object or an array of objects, and is empty"}]`,
		"\n\t": `[{"field":"","value":null,"rule":"must be a JSON object or an array of objects, and is empty"}]`,
	} {
		got, err := wire.EncodeHTTP(refuse(t, decoder(), body))
		require.NoError(t, err)
		require.JSONEq(t, want, string(got), body)
	}
	require.Equal(t, `type: is required: 1 to 64 characters: parts of A-Z a-z 0-9 _ - separated by single dots; queue: "": 1 to 32 of A-Z a-z 0-9 _ -`,
		sortedFaults(refuse(t, decoder(), `{"queue":""}`)).Error())
	long := refuse(t, decoder(), `{"type":"a","queue":"`+strings.Repeat("é", 5000)+`"}`)
	require.Less(t, len(long[0].Value), 300, "long values are clipped")
	require.True(t, json.Valid(long[0].Value))
}

func sortedFaults(f wire.Faults) wire.Faults {
	if len(f) == 2 && f[0].Field > f[1].Field {
		return f
	}
	return wire.Faults{f[1], f[0]}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	faults := refuse(t, decoder(), `{"id":"a b","type":"a..b","queue":"","priority":"now","maxRetries":-1,"backoff":{"policy":"x","baseMs":0,"what":1},
		"timeoutMs":0,"delayMs":1,"runAt":"2026-01-02T00:00:00Z","deadline":1,"retentionMs":1,"tags":{"a":1,"b c":"x"},"tpye":"a","payload":{"ok":1},"queue":"q"}`)
	require.ElementsMatch(t, []string{
		"id", "type", "queue", "queue", "priority", "maxRetries", "backoff.policy", "backoff.baseMs", "backoff.what", "timeoutMs",
		"runAt", "deadline", "retentionMs", "tags.a", "tags.b c", "tpye",
	}, fieldsOf(faults))
}

func TestUnknownAndRepeatedKeysAreNamed(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"type":"a","retries":1}`:             "retries",
		`{"type":"a","Type":"a"}`:              "Type",
		`{"type":"a","maxretries":1}`:          "maxretries",
		`{"type":"a","status":null}`:           "status",
		`{"type":"a","":1}`:                    "",
		`{"type":"a","type":"a"}`:              "type",
		`{"type":"a","t\u0079pe":"a"}`:         "type",
		`{"type":"a","payload":1,"payload":1}`: "payload",
	} {
		faults := refuse(t, decoder(), body)
		require.Equal(t, []string{field}, fieldsOf(faults), body)
	}
}

func TestDelayAndTimeExcludeEachOther(t *testing.T) {
	t.Parallel()
	faults := refuse(t, decoder(), `{"type":"a","delayMs":0,"runAt":"2026-01-02T00:00:00Z"}`)
	require.Equal(t, []string{"runAt"}, fieldsOf(faults))
	require.Contains(t, faults[0].Rule, "delayMs")
	accept(t, `{"type":"a","delayMs":null,"runAt":"2026-01-02T00:00:00Z"}`)
	accept(t, `{"type":"a","delayMs":5,"runAt":null}`)
}

func TestWhenATaskIsToRun(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]wire.Time{
		`{"type":"a"}`:                                          0,
		`{"type":"a","delayMs":0}`:                              0,
		`{"type":"a","delayMs":1}`:                              dawn + 1,
		`{"type":"a","runAt":"2026-01-01T10:21:02.000Z"}`:       0,
		`{"type":"a","runAt":"2026-01-01T11:21:02.0019+01:00"}`: dawn + 1,
		`{"type":"a","runAt":"2025-01-01T00:00:00Z"}`:           0,
	} {
		require.Equal(t, want, accept(t, body).ScheduledFor(dawn), body)
	}
}

func TestABaseAboveTheUsualCapRaisesIt(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(70_000), accept(t, `{"type":"a","backoff":{"baseMs":70000}}`).Backoff.MaxMs)
	require.Equal(t, int64(60_000), accept(t, `{"type":"a","backoff":{"baseMs":60000}}`).Backoff.MaxMs)
	require.Equal(t, int64(5), accept(t, `{"type":"a","backoff":{"baseMs":70000,"maxMs":5}}`).Backoff.MaxMs, "asked for")
}

func TestTypeInSubjectAndBody(t *testing.T) {
	t.Parallel()
	d := decoder()
	d.SubjectType = "image.resize"
	for _, body := range []string{`{}`, `{"type":null}`, `{"type":"image.resize"}`} {
		members, _, err := d.Decode([]byte(body))
		require.NoError(t, err)
		require.Equal(t, "image.resize", members[0].Submission.Type)
	}
	for body, rule := range map[string]string{
		`{"type":"image"}`: "agree with the subject's image.resize", `{"type":""}`: "single dots", `{"type":4}`: "a string",
		`[{"type":"image.resize"}]`: "batuta.submit",
	} {
		faults := refuse(t, d, body)
		require.Len(t, faults, 1, body)
		require.Contains(t, faults[0].Rule, rule)
	}
	for _, wrong := range []string{"a..b", strings.Repeat("x", 65), "a b", "*"} {
		d.SubjectType = wrong
		faults := refuse(t, d, `{}`)
		require.Equal(t, []string{"type"}, fieldsOf(faults))
		require.Contains(t, faults[0].Rule, "in the subject")
	}
}

func TestArrays(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`{"type":"a"},`, n), ",") + "]" }
	for n, fits := range map[int]bool{0: false, 1: true, 1000: true, 1001: false} {
		members, group, err := decoder().Decode([]byte(many(n)))
		require.True(t, group)
		if fits {
			require.NoError(t, err)
			require.Len(t, members, n)
			continue
		}
		faults, ok := wire.AsFaults(err)
		require.True(t, ok)
		require.Equal(t, "must be an array of 1 to 1000 tasks", faults[0].Rule)
		require.Equal(t, fmt.Sprint(n), string(faults[0].Value))
	}
	d := decoder()
	d.MaxGroup = wire.MaxGroupHTTP
	members, _, err := d.Decode([]byte(many(10_000)))
	require.NoError(t, err)
	require.Len(t, members, 10_000)
	require.Contains(t, refuse(t, d, many(10_001))[0].Rule, "1 to 10000")
}

func TestMembersHaveTheirOwnFaults(t *testing.T) {
	t.Parallel()
	members, group, err := decoder().Decode([]byte(` [{"type":"a","id":"x"}, 5, {"type":"b","x":1}, {"backoff":{"policy":"no"}}, [] ]`))
	require.NoError(t, err)
	require.True(t, group)
	require.Len(t, members, 5)
	require.Empty(t, members[0].Faults)
	require.Equal(t, "x", members[0].Submission.ID)
	require.Equal(t, []string{"[1]"}, fieldsOf(members[1].Faults))
	require.Equal(t, []string{"[2].x"}, fieldsOf(members[2].Faults))
	require.Equal(t, []string{"[3].backoff.policy", "[3].type"}, fieldsOf(members[3].Faults))
	require.Equal(t, []string{"[4]"}, fieldsOf(members[4].Faults))
}

func TestWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{`, `{"type":"a"}{}`, `{"type":"a",}`, `{type:"a"}`, `nul`, `[{"type":"a"}`, "\ufeff{\"type\":\"a\"}", `{"type":"a"} trailing`} {
		require.Contains(t, refuse(t, decoder(), body)[0].Rule, "must be JSON (", body)
	}
	for _, body := range []string{"\xff", "{\"type\":\"a\",\"payload\":\"\xc3\x28\"}", "{\"type\":\"a\",\"tags\":{\"a\":\"\xed\xa0\x80\"}}"} {
		faults := refuse(t, decoder(), body)
		require.Equal(t, "must be UTF-8", faults[0].Rule)
		require.True(t, json.Valid(faults[0].Value))
	}
}

func TestPayloadsKeepTheirText(t *testing.T) {
	t.Parallel()
	payload := `{"big":12345678901234567890123,"small":1.50e-10,"html":"<b>&amp;</b>","sep":"` + "\u2028" + `","é":[ 1, 2 ]}`
	s := accept(t, `{"type":"a","payload":`+payload+`}`)
	require.Equal(t, payload, string(s.Payload))
	require.Contains(t, string(s.Encode()), `{"big":12345678901234567890123,"small":1.50e-10,"html":"<b>&amp;</b>","sep":"`+"\u2028"+`","é":[1,2]}`)
	require.Nil(t, accept(t, `{"type":"a","payload":null}`).Payload)
	require.NotContains(t, string(accept(t, `{"type":"a"}`).Encode()), "payload")
}

func TestPayloadsHaveABound(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return `"` + strings.Repeat("<", n-2) + `"` }
	s := accept(t, `{"type":"a","payload":`+text(wire.MaxPayload)+`}`)
	require.Less(t, len(s.Encode()), wire.MaxPayload+1000, "nothing is escaped")
	env := wire.Envelope{ID: "a", Task: wire.Compact(s.Definition), Attempt: 1, Payload: s.Payload}
	require.Less(t, len(env.Encode()), wire.MaxPayload+1000)
	faults := refuse(t, decoder(), `{"type":"a","payload":`+text(wire.MaxPayload+1)+`}`)
	require.Equal(t, wire.Faults{{Field: "payload", Value: json.RawMessage(`"524289 bytes"`), Rule: "at most 524288 bytes"}}, faults)
	d := decoder()
	d.MaxPayload = 4
	require.Equal(t, []string{"payload"}, fieldsOf(refuse(t, d, `{"type":"a","payload":12345}`)))
	_, _, err := d.Decode([]byte(`{"type":"a","payload":1234}`))
	require.NoError(t, err)
}

func TestAPayloadInAnObjectStandsNotInTheBody(t *testing.T) {
	t.Parallel()
	d := decoder()
	d.NoPayload = true
	_, _, err := d.Decode([]byte(`{"type":"a","payload":null}`))
	require.NoError(t, err)
	faults := refuse(t, d, `{"type":"a","payload":{}}`)
	require.Equal(t, []string{"payload"}, fieldsOf(faults))
	require.Contains(t, faults[0].Rule, wire.HeaderPayloadObject)
}

func TestContentHash(t *testing.T) {
	t.Parallel()
	base := accept(t, `{"id":"x","type":"a","payload":{"a":1,"b":[{"c":null,"d":"é<"}]},"tags":{"p":"1","q":"2"}}`)
	for _, same := range []string{
		`{"tags":{"q":"2","p":"1"},"payload": { "b" : [ {"d":"\u00e9\u003c","c":null} ], "a":1 },"type":"a","id":"y"}`,
		`{"type":"a","queue":"default","maxRetries":3,"payload":{"a":1,"b":[{"c":null,"d":"é<"}]},"tags":{"p":"1","q":"2"},"deadline":null}`,
	} {
		require.Equal(t, base.ContentHash(), accept(t, same).ContentHash(), same)
	}
	seen := map[string]string{base.ContentHash(): "base"}
	for _, other := range []string{
		`{"type":"a"}`, `{"type":"b"}`, `{"type":"a","queue":"b"}`, `{"type":"a","priority":"low"}`, `{"type":"a","maxRetries":4}`,
		`{"type":"a","backoff":{"jitter":0.1}}`, `{"type":"a","timeoutMs":1}`, `{"type":"a","delayMs":1}`, `{"type":"a","runAt":"2026-01-02T00:00:00Z"}`,
		`{"type":"a","deadline":"2026-01-02T00:00:00Z"}`, `{"type":"a","retentionMs":60000}`, `{"type":"a","tags":{"a":"b"}}`, `{"type":"a","payload":0}`,
		`{"type":"a","payload":false}`, `{"type":"a","payload":""}`, `{"type":"a","payload":"null"}`, `{"type":"a","payload":"<nil>"}`, `{"type":"a","payload":[]}`, `{"type":"a","payload":{}}`,
		`{"type":"a","payload":[1,2]}`, `{"type":"a","payload":[2,1]}`, `{"type":"a","payload":12}`, `{"type":"a","payload":{"a":"b"}}`, `{"type":"a","payload":{"b":"a"}}`,
		`{"type":"a","payload":12345678901234567890}`, `{"type":"a","payload":12345678901234567891}`,
	} {
		hash := accept(t, other).ContentHash()
		require.Len(t, hash, 24)
		require.NotContains(t, seen, hash, other)
		seen[hash] = other
	}
	require.Equal(t, accept(t, `{"type":"a"}`).ContentHash(), accept(t, `{"type":"a","payload":null}`).ContentHash())
}

func TestContentHashOfAPayloadInAnObject(t *testing.T) {
	t.Parallel()
	inline := accept(t, `{"type":"a","payload":{"a":1,"b":2}}`)
	stored := *inline
	stored.Payload, stored.PayloadObject, stored.PayloadHash = nil, "incoming.1", wire.PayloadHash([]byte(` {"b":2, "a":1}`))
	require.Equal(t, inline.ContentHash(), stored.ContentHash(), "wherever it lies")
	stored.PayloadHash = wire.PayloadHash([]byte(`{"b":2}`))
	require.NotEqual(t, inline.ContentHash(), stored.ContentHash())
	require.Equal(t, wire.PayloadHash(nil), wire.PayloadHash([]byte("null")))
	require.NotEqual(t, wire.PayloadHash([]byte("{")), wire.PayloadHash([]byte("[")), "what is no JSON has a hash too")
}

func TestRunAtIsBoundByTheTimeOfTheSubmission(t *testing.T) {
	t.Parallel()
	d := decoder()
	d.Now = dawn.Time().Add(time.Hour)
	_, _, err := d.Decode([]byte(`{"type":"a","runAt":"2027-01-01T11:21:02.000Z"}`))
	require.NoError(t, err)
}
