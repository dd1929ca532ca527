package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// goldens are the files of testdata: what other programs, the dashboard among them, can rely on.
func goldens() map[string]any {
	all := map[string]any{
		// Over HTTP and WebSocket.
		"task": goldenDetail(), "tasks": goldenPage(), "logs": goldenLogs(), "stats": goldenStats(), "series": goldenSeries(),
		"workers_status": goldenWorkers(), "worker": goldenWorkers().Workers[0], "pools": wire.PoolsAnswer{Pools: []wire.PoolView{goldenPool()}},
		"pool": goldenPool(), "queues": wire.QueuesAnswer{Queues: goldenQueues()}, "queue": goldenQueues()[0],
		"events": goldenEventsAnswer(), "event": goldenViews()[0], "submit_answer": wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending},
		"duplicate_answer": wire.DuplicateAnswer{ID: "order-17", Status: wire.StatusCompleted, Duplicate: true},
		"bulk_answer":      goldenBulk(), "problem": goldenProblem(), "ws_snapshot": goldenSnapshot(), "ws_delta": goldenDelta(),
		"action_answer": wire.ActionAnswer{ID: "task-104", Status: "inProgress"}, "matched_answer": wire.MatchedAnswer{Matched: 12},
		"session_answer": wire.SessionAnswer{Name: "ana", Role: "operator"},
		// In streams and buckets.
		"record": goldenRecord(), "envelope": goldenEnvelope(), "worker_value": goldenWorkerValue(), "instance": goldenInstance(),
	}
	for _, e := range goldenEvents() {
		e.Seq = "" // added when it is read
		all["event_"+strings.ReplaceAll(string(e.Event), ".", "_")] = e
	}
	return all
}

func TestGoldenFiles(t *testing.T) {
	for name, value := range goldens() {
		b, err := wire.EncodeHTTP(value)
		require.NoError(t, err, name)
		checkGolden(t, name, b)

		back := reflect.New(reflect.TypeOf(value))
		require.NoError(t, json.Unmarshal(b, back.Interface()), name)
		again, err := wire.EncodeHTTP(back.Interface())
		require.NoError(t, err)
		require.Equal(t, string(b), string(again), "%s is read as it was written", name)
	}
}

// The lines between a pool and its workers, for those who write workers in other languages.
func TestGoldenLines(t *testing.T) {
	var fromWorker, toWorker []json.RawMessage
	for _, l := range goldenLinesFromWorker() {
		b, err := l.Append(nil)
		require.NoError(t, err)
		back, err := wire.DecodeWorkerLine(bytes.TrimSuffix(b, []byte("\n")))
		require.NoError(t, err)
		require.Equal(t, l, back)
		fromWorker = append(fromWorker, b)
	}
	for _, l := range goldenLinesToWorker() {
		b, err := l.Append(nil)
		require.NoError(t, err)
		back, err := wire.DecodePoolLine(bytes.TrimSuffix(b, []byte("\n")))
		require.NoError(t, err)
		require.Equal(t, l, back)
		toWorker = append(toWorker, b)
	}
	b, err := wire.EncodeHTTP(map[string][]json.RawMessage{"fromWorker": fromWorker, "toWorker": toWorker})
	require.NoError(t, err)
	checkGolden(t, "lines", b)
}

func checkGolden(t *testing.T, name string, compact []byte) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, compact, "", "  "))
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(path, pretty.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with: go test ./wire -run Golden -update")
	require.Equal(t, string(want), pretty.String(), name)
}

func TestGoldenFilesAreAllOfToday(t *testing.T) {
	known := goldens()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, len(known)+1)
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		require.True(t, name == "lines" || known[name] != nil, "nothing writes %s", f)
	}
}

func TestGoldenRecordLeavesNullsOut(t *testing.T) {
	b := encoded(t, goldenRecord())
	require.NotContains(t, string(b), "null", "as every value of a bucket")
	require.NotContains(t, string(encoded(t, goldenWorkerValue())), "null")
	again, err := wire.DecodeRecord(b)
	require.NoError(t, err)
	require.Equal(t, goldenRecord(), *again)
}
