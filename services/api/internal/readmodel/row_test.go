package readmodel

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// FuzzReadRecord: whatever both understand, scanner and decoder understand alike; and nothing
// makes the scanner panic.
func FuzzReadRecord(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		b, err := json.Marshal(randomRecord(r, 1234))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(" { \"id\" : \"a\\u0062\" , \"status\":\"failed\",\"priority\":\"low\",\"tags\":null,\"x\":[{\"y\":\"}\"}, 1e5],\"meta\":{}} "))
	f.Add([]byte(`{"id":"a","status":"pending","priority":"low"`))
	f.Add([]byte(`{"id":"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var reader, other rowReader
		got, err := reader.read(b, 0)
		rec, wrong := wire.DecodeRecord(b)
		if err != nil || wrong != nil || !rec.Priority.Valid() || rec.Meta.Member < 0 || repeats(b) {
			return
		}
		want := other.ofRecord(rec)
		if rec.StartedAt < 0 || rec.FinishedAt < 0 || rec.ExecutionTimeMs != nil && *rec.ExecutionTimeMs < 0 {
			return // no service writes such
		}
		slices.Sort(got.tags)
		slices.Sort(want.tags)
		require.Equal(t, string(want.id), string(got.id))
		require.Equal(t, string(want.kind), string(got.kind))
		require.Equal(t, string(want.queue), string(got.queue))
		require.Equal(t, string(want.worker), string(got.worker))
		require.ElementsMatch(t, want.tags, got.tags)
		want.id, want.kind, want.queue, want.worker, want.tags = nil, nil, nil, nil, nil
		got.id, got.kind, got.queue, got.worker, got.tags = nil, nil, nil, nil, nil
		require.Equal(t, want, got)
	})
}

// repeats tells whether an object has a key twice, or in another case: decoders differ there.
func repeats(b []byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return true
	}
	known := map[string]bool{
		"id": true, "type": true, "queue": true, "worker": true, "status": true, "priority": true, "submittedAt": true,
		"startedAt": true, "finishedAt": true, "retentionMs": true, "executionTimeMs": true, "tags": true, "meta": true,
	}
	n := 0
	s := scanner{b: b}
	if s.object(func([]byte) error { n++; return s.skip() }) != nil || n != len(fields) {
		return true
	}
	for k := range fields {
		if !known[k] {
			return true
		}
	}
	for _, nested := range []string{"tags", "meta"} {
		var inner map[string]json.RawMessage
		if json.Unmarshal(fields[nested], &inner) != nil {
			continue
		}
		n, s := 0, scanner{b: fields[nested]}
		if s.object(func([]byte) error { n++; return s.skip() }) != nil || n != len(inner) {
			return len(inner) > 0
		}
		for k := range inner {
			if nested == "meta" && k != "submitSeq" && k != "member" && k != "dueAt" && k != "payloadObject" {
				return true
			}
		}
	}
	return false
}

func TestTimesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for range 20_000 {
		at := time.UnixMilli(r.Int64N(253_402_300_799_999)).UTC()
		got, ok := fixedTime([]byte(wire.At(at).String()))
		require.True(t, ok)
		require.Equal(t, wire.At(at), got, at)
	}
	for _, bad := range []string{"", "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:00:00,000Z", "2026-01-01T00:0a:00.000Z"} {
		_, ok := fixedTime([]byte(bad))
		require.False(t, ok, bad)
	}
	s := scanner{b: []byte(`"2026-01-01T02:00:00+02:00"`)}
	at, err := s.time()
	require.NoError(t, err)
	require.Equal(t, wire.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), at)
}
