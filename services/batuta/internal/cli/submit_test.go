package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestSubmitSendsOnlyWhatWasSaidAndPrintsTheID(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})

	r := f.run("submit", "sleep", "--payload", `{"ms": 12345678901234567890}`)
	require.Equal(t, ran{0, "task-104\n", ""}, r)
	requireText(t, `{"type":"sleep","payload":{"ms":12345678901234567890}}`, f.requests("POST /tasks")[0].body)

	r = f.run("submit", "sleep", "--json")
	requireText(t, `{"id":"task-104","status":"pending"}`+"\n", r.out)
	requireText(t, `{"type":"sleep"}`, f.requests("POST /tasks")[1].body)
}

func TestSubmitSendsEveryField(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "a", Status: wire.StatusScheduled})
	r := f.run("submit", "report", "--id", "a", "--queue", "q", "--priority", "high", "--max-retries", "0", "--backoff", "linear",
		"--backoff-base", "250ms", "--backoff-max", "2m", "--jitter", "0", "--timeout", "1m30s", "--delay", "10m", "--retention", "48h",
		"--deadline", "2026-01-02T00:00:00+02:00", "--tag", "team=sales", "--tag", "x=")
	require.Zero(t, r.status, r.errOut)
	require.JSONEq(t, `{"type":"report","id":"a","queue":"q","priority":"high","maxRetries":0,
		"backoff":{"policy":"linear","baseMs":250,"maxMs":120000,"jitter":0},"timeoutMs":90000,"delayMs":600000,"retentionMs":172800000,
		"deadline":"2026-01-01T22:00:00.000Z","tags":{"team":"sales","x":""}}`, f.requests("POST /tasks")[0].body)
}

func TestSubmitReadsThePayloadFromAFileOrStdin(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "a", Status: wire.StatusPending})
	path := filepath.Join(t.TempDir(), "payload.json")
	require.NoError(t, os.WriteFile(path, []byte("[1,\n 2.50]\n"), 0o600))

	require.Zero(t, f.run("submit", "x", "--payload", "@"+path).status)
	require.Zero(t, f.runAs(context.Background(), session{stdin: strings.NewReader(`"<b>"`)}, "submit", "x", "--payload", "-").status)
	calls := f.requests("POST /tasks")
	requireText(t, `{"type":"x","payload":[1,2.50]}`, calls[0].body)
	requireText(t, `{"type":"x","payload":"<b>"}`, calls[1].body)
}

func TestSubmitShowsOneFaultALine(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", refuse(http.StatusBadRequest, "2 faults",
		wire.Fault{Field: "maxRetries", Value: json.RawMessage("101"), Rule: "must be an integer from 0 to 100"},
		wire.Fault{Field: "queue", Value: json.RawMessage(`"a b"`), Rule: "must be 1 to 32 of A-Z a-z 0-9 _ -"}))
	r := f.run("submit", "sleep", "--max-retries", "101", "--queue", "a b")
	require.Equal(t, 1, r.status)
	require.Empty(t, r.out)
	require.Equal(t, "batuta submit: maxRetries: 101: must be an integer from 0 to 100\n"+
		`batuta submit: queue: "a b": must be 1 to 32 of A-Z a-z 0-9 _ -`+"\n", r.errOut)
}

func TestSubmitTellsADuplicate(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusOK, wire.DuplicateAnswer{ID: "a", Status: wire.StatusCompleted, Duplicate: true})
	r := f.run("submit", "sleep", "--id", "a")
	require.Zero(t, r.status)
	require.Equal(t, "a\n", r.out)
	require.Contains(t, r.errOut, "a exists with the same content")
}

func TestSubmitIsRepeatedWhileNothingIsAccepted(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var tries atomic.Int32
	f.on("POST /tasks", func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			problem(w, http.StatusServiceUnavailable, "nothing was accepted: full", nil)
			return
		}
		reply(w, http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})
	})
	r := f.run("submit", "sleep")
	require.Zero(t, r.status)
	require.Equal(t, "task-104\n", r.out)
	require.Contains(t, r.errOut, "nothing was accepted: full; trying again in 1.0s")
}

func TestSubmitIsNotRepeatedWhereItMayHaveBeenAccepted(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", func(w http.ResponseWriter, _ *http.Request) {
		body, _ := wire.EncodeHTTP(wire.Problem{Title: "Service Unavailable", Status: 503, Detail: "the outcome is unknown", Code: wire.ProblemUnknownOutcome})
		w.Header().Set("Content-Type", wire.ProblemType)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(body)
	})
	r := f.run("submit", "sleep")
	require.Equal(t, ran{1, "", "batuta submit: the outcome is unknown\n"}, r)
	require.Len(t, f.requests("POST /tasks"), 1)
}

func TestSubmitWaitPrintsTheResultToTheLastDigit(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})
	f.onceEach("GET /tasks/task-104", detail("task-104", wire.StatusPending),
		detail("task-104", wire.StatusInProgress, withProgress(40, "half")),
		detail("task-104", wire.StatusCompleted, withResult(`{"n":12345678901234567890.10,"s":"<&>"}`)))
	require.Equal(t, ran{0, `{"n":12345678901234567890.10,"s":"<&>"}` + "\n", ""}, f.run("submit", "sleep", "--wait"))
}

func TestSubmitWaitDrawsABarOnATerminalOnly(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})
	f.onceEach("GET /tasks/task-104", detail("task-104", wire.StatusInProgress, withProgress(40, "half\x1b[2J")),
		detail("task-104", wire.StatusCompleted, withResult("null")))
	r := f.runAs(context.Background(), session{terminal: true}, "submit", "sleep", "--wait")
	require.Equal(t, "null\n", r.out)
	requireInOrder(t, r.errOut, "inProgress", "████", " 40%", `half\x1b[2J`, "worker-1", "completed", "100%", "\x1b[J")
}

func TestSubmitWaitFailsWhereTheTaskDoes(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})
	f.onJSON("GET /tasks/task-104", 200, detail("task-104", wire.StatusFailed, withError("no such file")))
	require.Equal(t, ran{1, "", "task-104 failed: no such file (handler, attempt 4)\n"}, f.run("submit", "sleep", "--wait"))

	r := f.run("submit", "sleep", "--wait", "--json")
	require.Equal(t, 1, r.status)
	var printed wire.TaskDetail
	require.NoError(t, json.Unmarshal([]byte(r.out), &printed))
	require.Equal(t, wire.StatusFailed, printed.Status)
}

func TestSubmitWaitOutlastsARestartOfTheAPI(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "task-104", Status: wire.StatusPending})
	var tries atomic.Int32
	f.on("GET /tasks/task-104", func(w http.ResponseWriter, _ *http.Request) {
		switch tries.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			problem(w, http.StatusServiceUnavailable, "the read model is not ready", nil)
		default:
			reply(w, 200, detail("task-104", wire.StatusCompleted, withResult("7")))
		}
	})
	require.Equal(t, ran{0, "7\n", ""}, f.run("submit", "sleep", "--wait"))
}

func TestSubmitLinesPrintsIDsInOrderAndRejectsByLine(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	lines := `{"type":"sleep","payload":{"n":12345678901234567890}}

{"tipe":"sleep"}
not JSON
  {"type":"hash"}
{"type":"last"}`
	r := f.runAs(context.Background(), session{stdin: strings.NewReader(lines)}, "submit", "-")
	require.Equal(t, 1, r.status)
	require.Equal(t, []string{"task-1", "task-2", "task-3"}, r.lines())
	requireInOrder(t, r.errOut, "line 4: is not JSON", "line 3: type: is missing", "3 accepted, 0 duplicates, 2 rejected")
	require.Contains(t, f.requests("POST /tasks")[0].body, "12345678901234567890")
}

func TestSubmitLinesGathersBatchesOfAThousand(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	lines := strings.Repeat(`{"type":"sleep"}`+"\n", 2500)
	r := f.runAs(context.Background(), session{stdin: strings.NewReader(lines)}, "submit", "-", "--json")
	require.Zero(t, r.status, r.errOut)
	require.Len(t, r.lines(), 2500)
	requireText(t, `{"id":"task-2500","status":"pending"}`, r.lines()[2499])
	var sizes []int
	for _, c := range f.requests("POST /tasks") {
		var tasks []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(c.body), &tasks))
		sizes = append(sizes, len(tasks))
	}
	require.Equal(t, []int{1000, 1000, 500}, sizes)
}

func TestSubmitLinesDoesNotWaitForAFullBatch(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	in, feed, err := os.Pipe()
	require.NoError(t, err)
	ids, printed, err := os.Pipe()
	require.NoError(t, err)
	done := make(chan ran, 1)
	go func() {
		done <- f.runAs(context.Background(), session{stdin: in, out: printed}, "submit", "-")
	}()
	for i := 1; i <= 3; i++ {
		_, err = fmt.Fprintln(feed, `{"type":"sleep"}`)
		require.NoError(t, err)
		var id string
		_, err = fmt.Fscanln(ids, &id)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("task-%d", i), id)
	}
	require.NoError(t, feed.Close())
	require.Zero(t, (<-done).status)
}

func TestSubmitLinesTakesFlagsForWhatALineDoesNotSay(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	lines := `{"type":"a","queue":"own"}` + "\n" + `{"type":"b"}` + "\n"
	r := f.runAs(context.Background(), session{stdin: strings.NewReader(lines)}, "submit", "-", "--queue", "q", "--tag", "k=v")
	require.Zero(t, r.status, r.errOut)
	require.JSONEq(t, `[{"tags":{"k":"v"},"type":"a","queue":"own"},{"queue":"q","tags":{"k":"v"},"type":"b"}]`, f.requests("POST /tasks")[0].body)
}

func TestSubmitLinesReportsABatchOfWhichNothingIsAccepted(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	r := f.runAs(context.Background(), session{stdin: strings.NewReader("{}\n{\"a\":1}\n")}, "submit", "-")
	require.Equal(t, 1, r.status)
	require.Empty(t, r.out)
	requireInOrder(t, r.errOut, "line 1: type: is missing", "line 2: type: is missing", "0 accepted, 0 duplicates, 2 rejected")
}

func TestSubmitLinesSaysWhatIsUnknownWhenTheAPIGoesAway(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var batches atomic.Int32
	accept := bulk()
	f.on("POST /tasks", func(w http.ResponseWriter, r *http.Request) {
		if batches.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		accept(w, r)
	})
	lines := strings.Repeat(`{"type":"sleep"}`+"\n", 2001)
	r := f.runAs(context.Background(), session{stdin: strings.NewReader(lines)}, "submit", "-")
	require.Equal(t, 1, r.status)
	require.Len(t, r.lines(), 1000)
	require.Contains(t, r.errOut, "lines 1001 to 2000 may have been accepted or not, later ones were not sent; 1,000 tasks accepted before")
}

func TestSubmitLinesWaitsForAll(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	f.onJSON("GET /tasks/task-1", 200, detail("task-1", wire.StatusCompleted, withResult("1")))
	f.onJSON("GET /tasks/task-2", 200, detail("task-2", wire.StatusCancelled))
	lines := strings.Repeat(`{"type":"sleep"}`+"\n", 2)
	r := f.runAs(context.Background(), session{stdin: strings.NewReader(lines)}, "submit", "-", "--wait")
	require.Equal(t, ran{1, "task-1 completed 1\ntask-2 cancelled\n", "task-2 cancelled\n"}, r)
}

func TestSubmitLinesWaitsForMoreThanAWindow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /tasks", bulk())
	for i := 1; i <= 200; i++ {
		id := fmt.Sprintf("task-%d", i)
		f.onceEach("GET /tasks/"+id, detail(id, wire.StatusInProgress), detail(id, wire.StatusCompleted, withResult("1")))
	}
	s := session{stdin: strings.NewReader(strings.Repeat(`{"type":"sleep"}`+"\n", 200)), terminal: true}
	r := f.runAs(context.Background(), s, "submit", "-", "--wait")
	require.Zero(t, r.status, r.errOut)
	require.Len(t, r.lines(), 200)
	require.Contains(t, r.lines()[199], "task-200")
	require.Contains(t, r.errOut, " of 200 tasks ended")
}
