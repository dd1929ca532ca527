package wire_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestWorkerLinesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	cases := map[string]wire.LineFromWorker{
		`{"op":"ready","protocol":1,"types":["a","b"],"concurrency":4}`: {Op: wire.OpReady, Protocol: 1, Types: []string{"a", "b"}, Concurrency: 4},
		`{"op":"ready","protocol":1}`:                                   {Op: wire.OpReady, Protocol: 1},
		`{"op":"progress","id":"x","percent":40,"message":"half"}`:      {Op: wire.OpProgress, ID: "x", Percent: new(40.0), Message: "half"},
		`{"op":"progress","id":"x","percent":null,"message":""}`:        {Op: wire.OpProgress, ID: "x"},
		`{"op":"log","id":"x","level":"info","message":"hello"}`:        {Op: wire.OpLog, ID: "x", Level: "info", Message: "hello"},
		`{"op":"result","id":"x","result":{"n":12345678901234567890}}`:  {Op: wire.OpResult, ID: "x", Result: json.RawMessage(`{"n":12345678901234567890}`)},
		`{"op":"result","id":"x","result":null}`:                        {Op: wire.OpResult, ID: "x"},
		`{"op":"result","id":"x","resultFile":"/tmp/r.json"}`:           {Op: wire.OpResult, ID: "x", ResultFile: "/tmp/r.json"},
		`{"op":"heartbeat"}`: {Op: wire.OpHeartbeat},
		`{"op":"error","id":"x","message":"no","retryable":true,"retryAfterMs":null}`: {Op: wire.OpError, ID: "x", Message: "no", Retryable: true},
		`{"op":"error","id":"x","message":"no","retryable":false,"retryAfterMs":500}`: {Op: wire.OpError, ID: "x", Message: "no", RetryAfterMs: new(int64(500))},
	}
	for line, want := range cases {
		got, err := wire.DecodeWorkerLine([]byte(line))
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
		b, err := want.Append(nil)
		require.NoError(t, err)
		require.Equal(t, line+"\n", string(b))
	}
}

func TestPoolLinesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	cases := map[string]wire.LineToWorker{
		`{"op":"task","id":"x","type":"a","attempt":1,"fence":17,"payload":{"n":0.10},"timeoutMs":60000,"tags":{"a":"1","b":"é"}}`: {
			Op: wire.OpTask, ID: "x", Type: "a", Attempt: 1, Fence: 17, Payload: json.RawMessage(`{"n":0.10}`),
			TimeoutMs: 60000, Tags: map[string]string{"a": "1", "b": "é"},
		},
		`{"op":"task","id":"x","type":"a","attempt":2,"fence":9007199254740993,"payloadFile":"/p","timeoutMs":1,"tags":{}}`: {
			Op: wire.OpTask, ID: "x", Type: "a", Attempt: 2, Fence: 9007199254740993, PayloadFile: "/p", TimeoutMs: 1, Tags: map[string]string{},
		},
		`{"op":"cancel","id":"x","reason":"timeout"}`: {Op: wire.OpCancel, ID: "x", Reason: wire.CancelTimeout},
		`{"op":"drain"}`: {Op: wire.OpDrain},
	}
	for line, want := range cases {
		got, err := wire.DecodePoolLine([]byte(line))
		require.NoError(t, err, line)
		require.Equal(t, want, got)
		b, err := want.Append([]byte("before"))
		require.NoError(t, err)
		require.Equal(t, line+"\n", strings.TrimPrefix(string(b), "before"))
		require.Equal(t, 1, strings.Count(string(b), "\n"))
	}
}

func TestLeftOutFieldsHaveDefaults(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]wire.LineFromWorker{
		`{"op":"error","id":"x","message":"no"}`:                            {Op: wire.OpError, ID: "x", Message: "no", Retryable: true},
		`{"op":"error","id":"x","message":"no","retryable":null}`:           {Op: wire.OpError, ID: "x", Message: "no", Retryable: true},
		`{"op":"result","id":"x"}`:                                          {Op: wire.OpResult, ID: "x"},
		`{"op":"log","id":"x","message":"m"}`:                               {Op: wire.OpLog, ID: "x", Level: "info", Message: "m"},
		`{"op":"log","id":"x","level":null,"message":"m"}`:                  {Op: wire.OpLog, ID: "x", Level: "info", Message: "m"},
		`{"op":"progress","id":"x","percent":3,"message":null}`:             {Op: wire.OpProgress, ID: "x", Percent: new(3.0)},
		`{"op":"progress","id":"x","percent":150.5}`:                        {Op: wire.OpProgress, ID: "x", Percent: new(100.0)},
		`{"op":"progress","id":"x","percent":-1e999}`:                       {Op: wire.OpProgress, ID: "x", Percent: new(0.0)},
		` { "id" : "x" , "\u006fp" : "result", "result" : [1, {"a":"}"}] }`: {Op: wire.OpResult, ID: "x", Result: json.RawMessage(`[1, {"a":"}"}]`)},
		`{"op":"ready","protocol":1,"types":null,"concurrency":null}`:       {Op: wire.OpReady, Protocol: 1},
	} {
		got, err := wire.DecodeWorkerLine([]byte(line))
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
}

func TestWorkerLinesThatBreakTheProtocol(t *testing.T) {
	t.Parallel()
	cases := []struct{ line, field, value, rule string }{
		{``, "", `""`, "JSON"},
		{`hello`, "", `"hello"`, "JSON"},
		{`[1]`, "", `[1]`, "object"},
		{`{"op":"result"`, "", `"{\"op\":\"result\""`, "JSON"},
		{"{\"op\":\"\xff\"}", "", "", "UTF-8"},
		{`{}`, "op", ``, "missing"},
		{`{"op":1}`, "op", `1`, "string"},
		{`{"op":"task"}`, "op", `"task"`, "one of ready"},
		{`{"Op":"heartbeat"}`, "op", ``, "missing"},
		{`{"op":"heartbeat","id":"x"}`, "id", `"x"`, "not a field of heartbeat"},
		{`{"op":"result","id":"x","reslut":1}`, "reslut", `1`, "not a field of result"},
		{`{"op":"result","id":"x","ID":"y"}`, "ID", `"y"`, "not a field of result"},
		{`{"op":"result","id":"x","id":"y"}`, "id", `"y"`, "twice"},
		{`{"op":"result","result":1}`, "id", ``, "missing"},
		{`{"op":"result","id":null}`, "id", `null`, "id"},
		{`{"op":"result","id":"a b"}`, "id", `"a b"`, "id"},
		{`{"op":"result","id":"x","result":1,"resultFile":"/f"}`, "resultFile", `"/f"`, "beside result"},
		{`{"op":"result","id":"x","resultFile":""}`, "resultFile", `""`, "path"},
		{`{"op":"error","id":"x"}`, "message", ``, "missing"},
		{`{"op":"error","id":"x","message":7}`, "message", `7`, "string"},
		{`{"op":"error","id":"x","message":"m","retryable":"no"}`, "retryable", `"no"`, "true or false"},
		{`{"op":"error","id":"x","message":"m","retryAfterMs":-1}`, "retryAfterMs", `-1`, "integer from 0"},
		{`{"op":"error","id":"x","message":"m","retryAfterMs":1.5}`, "retryAfterMs", `1.5`, "integer"},
		{`{"op":"log","id":"x","level":"warning","message":"m"}`, "level", `"warning"`, "one of debug"},
		{`{"op":"progress","id":"x","percent":"40"}`, "percent", `"40"`, "number"},
		{`{"op":"ready"}`, "protocol", ``, "missing"},
		{`{"op":"ready","protocol":2}`, "protocol", `2`, "must be 1"},
		{`{"op":"ready","protocol":1,"types":[]}`, "types", `[]`, "every type"},
		{`{"op":"ready","protocol":1,"types":["a..b"]}`, "types[0]", `"a..b"`, "parts"},
		{`{"op":"ready","protocol":1,"concurrency":0}`, "concurrency", `0`, "1 to 1000"},
	}
	for _, c := range cases {
		_, err := wire.DecodeWorkerLine([]byte(c.line))
		var broken *wire.ProtocolError
		require.ErrorAs(t, err, &broken, c.line)
		require.Equal(t, c.field, broken.Fault.Field, c.line)
		require.Contains(t, broken.Fault.Rule, c.rule, c.line)
		if c.value != "" {
			require.Equal(t, c.value, string(broken.Fault.Value), c.line)
			require.Contains(t, err.Error(), c.value)
		}
	}
}

func TestPoolLinesOfALaterPoolAreUnderstood(t *testing.T) {
	t.Parallel()
	in := `{"op":"greet","x":1}` + "\n" + `{"op":"cancel","id":"x","reason":"cancelled","by":"me"}` + "\n"
	r := wire.NewPoolLineReader(strings.NewReader(in))
	got, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, wire.LineToWorker{Op: wire.OpCancel, ID: "x", Reason: "cancelled"}, got)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}

func TestBrokenPoolLines(t *testing.T) {
	t.Parallel()
	for line, field := range map[string]string{
		`{"op":"task","type":"a"}`:                       "id",
		`{"op":"task","id":"x"}`:                         "type",
		`{"op":"cancel"}`:                                "id",
		`{"op":"task","id":"x","type":"a","fence":-1}`:   "fence",
		`{"op":"task","id":"x","type":"a","tags":[]}`:    "tags",
		`{"op":"task","id":"x","type":"","payload":1}`:   "type",
		`{"op":"task","id":"x","type":"a","attempt":""}`: "attempt",
	} {
		_, err := wire.DecodePoolLine([]byte(line))
		var broken *wire.ProtocolError
		require.ErrorAs(t, err, &broken, line)
		require.Equal(t, field, broken.Fault.Field, line)
	}
}

func TestReaderHoldsAWorkerToTheProtocol(t *testing.T) {
	t.Parallel()
	const ready = `{"op":"ready","protocol":1}` + "\n"
	for in, field := range map[string]string{
		`{"op":"heartbeat"}` + "\n": "op",
		ready + ready:               "op",
		ready + "\n":                "",
	} {
		r := wire.NewLineReader(strings.NewReader(in))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		var broken *wire.ProtocolError
		require.ErrorAs(t, err, &broken, in)
		require.Equal(t, field, broken.Fault.Field)
	}
}

func TestReaderTellsADeadWriterFromAnEnd(t *testing.T) {
	t.Parallel()
	const ready = `{"op":"ready","protocol":1}` + "\r\n"
	r := wire.NewLineReader(strings.NewReader(ready + `{"op":"heartbeat"}`))
	_, err := r.Next()
	require.NoError(t, err)
	_, err = r.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestLinesUpToTheLimitAndNotBeyond(t *testing.T) {
	t.Parallel()
	frame := len(`{"op":"result","id":"x","result":""}`)
	fits := wire.LineFromWorker{Op: wire.OpResult, ID: "x", Result: json.RawMessage(`"` + strings.Repeat("a", wire.MaxLine-frame) + `"`)}
	line, err := fits.Append(nil)
	require.NoError(t, err)
	require.Len(t, line, wire.MaxLine+1)

	r := wire.NewLineReader(strings.NewReader(`{"op":"ready","protocol":1}` + "\n" + string(line) + " " + string(line)))
	_, err = r.Next()
	require.NoError(t, err)
	got, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, fits, got)
	_, err = r.Next()
	require.ErrorIs(t, err, wire.ErrLineTooLong)
	var broken *wire.ProtocolError
	require.ErrorAs(t, err, &broken)

	over := wire.LineFromWorker{Op: wire.OpResult, ID: "x", Result: json.RawMessage(`"a` + string(fits.Result[1:]))}
	kept, err := over.Append([]byte("kept"))
	require.ErrorIs(t, err, wire.ErrLineTooLong)
	require.Equal(t, "kept", string(kept))
	task := wire.LineToWorker{Op: wire.OpTask, ID: "x", Type: "a", Payload: over.Result}
	_, err = task.Append(nil)
	require.ErrorIs(t, err, wire.ErrLineTooLong)
}

func TestLinesHoldNoLineBreaks(t *testing.T) {
	t.Parallel()
	l := wire.LineToWorker{Op: wire.OpTask, ID: "x", Type: "a", Payload: json.RawMessage("{\n\t\"a\": \"b c\"\r\n}")}
	b, err := l.Append(nil)
	require.NoError(t, err)
	require.Contains(t, string(b), `"payload":{"a":"b c"},`)
	l.Payload = json.RawMessage("{\n")
	_, err = l.Append(nil)
	require.ErrorContains(t, err, "payload")
	p := wire.LineFromWorker{Op: wire.OpProgress, ID: "x", Percent: new(math.NaN()), Message: "two\nlines"}
	b, err = p.Append(nil)
	require.NoError(t, err)
	require.Equal(t, `{"op":"progress","id":"x","percent":null,"message":"two\nlines"}`+"\n", string(b))
}

// What decodes means the same to encoding/json, and survives a second trip.
func FuzzDecodeWorkerLine(f *testing.F) {
	for _, s := range []string{
		`{"op":"ready","protocol":1,"types":["a"],"concurrency":4}`, `{"op":"heartbeat"}`,
		`{"op":"progress","id":"x","percent":4e1,"message":"\ud800é"}`, `{"op":"result","id":"x","result":{"a":[1,"\"}"]}}`,
		`{"op":"error","id":"x","message":"","retryable":false,"retryAfterMs":1}`, `{"op":"log","id":"x","message":"m"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := wire.DecodeWorkerLine(line)
		if err != nil {
			var broken *wire.ProtocolError
			require.ErrorAs(t, err, &broken)
			require.NotEmpty(t, broken.Fault.Rule)
			return
		}
		var plain map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(line, &plain))
		if got.Result != nil {
			require.Equal(t, string(plain["result"]), string(got.Result))
		}
		b, err := got.Append(nil)
		if errors.Is(err, wire.ErrLineTooLong) {
			return // escapes may make it longer
		}
		require.NoError(t, err)
		again, err := wire.DecodeWorkerLine(b)
		require.NoError(t, err)
		if got.Result != nil {
			require.Equal(t, string(got.Result), string(again.Result))
			again.Result = got.Result
		}
		require.Equal(t, got, again)
	})
}

func FuzzDecodePoolLine(f *testing.F) {
	for _, s := range []string{
		`{"op":"task","id":"x","type":"a","attempt":1,"fence":17,"payload":[{"b":1}],"timeoutMs":60000,"tags":{"k":"v"}}`,
		`{"op":"cancel","id":"x","reason":"timeout"}`, `{"op":"drain"}`, `{"op":"new"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := wire.DecodePoolLine(line)
		if err != nil {
			var broken *wire.ProtocolError
			require.ErrorAs(t, err, &broken)
			return
		}
		require.True(t, json.Valid(line))
		require.True(t, got.Payload == nil || json.Valid(got.Payload))
	})
}

// Lines cut in any way give the same as the whole, and never more than one `ready`.
func FuzzLineReader(f *testing.F) {
	f.Add([]byte("{\"op\":\"ready\",\"protocol\":1}\n{\"op\":\"heartbeat\"}\n"))
	f.Add([]byte("{\"op\":\"ready\",\"protocol\":1}\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, wholeErr := readAll(wire.NewLineReader(strings.NewReader(string(in))))
		bytewise, byteErr := readAll(wire.NewLineReader(oneByteReader{strings.NewReader(string(in))}))
		require.Equal(t, whole, bytewise)
		require.Equal(t, wholeErr.Error(), byteErr.Error())
		for i, l := range whole {
			require.Equal(t, i == 0, l.Op == wire.OpReady)
		}
	})
}

func readAll(r *wire.LineReader) (lines []wire.LineFromWorker, err error) {
	for {
		l, err := r.Next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
}

type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func BenchmarkDecodeWorkerLine(b *testing.B) {
	line := []byte(`{"op":"result","id":"task-123456","result":{"sleptMs":120,"note":"done"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeWorkerLine(line); err != nil {
			b.Fatal(err)
		}
	}
}
