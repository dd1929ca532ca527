package cli_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestGetShowsATask(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /tasks/task-104", 200, detail("task-104", wire.StatusCompleted, withResult(`{"sleptMs":1200}`), func(d *wire.TaskDetail) {
		d.Payload = []byte(`{"ms":1200}`)
		d.Tags = map[string]string{"team": "sales", "a": "b"}
		d.History = []wire.EventView{{Seq: "1.0", Timestamp: noon, Event: wire.EventSubmitted, Description: "task-104 of type sleep submitted"}}
	}))
	r := f.run("get", "task-104")
	require.Zero(t, r.status, r.errOut)
	requireInOrder(t, r.out, "task-104", "completed", "sleep", "priority medium", "1 of 4", "a=b team=sales", "worker-1 of pool default",
		"after waiting 5ms", "after running 1.2s", `{"ms":1200}`, `{"sleptMs":1200}`, "task.submitted", "task-104 of type sleep submitted")
	require.NotContains(t, r.out, "\x1b")
}

func TestGetOfSeveralGoesOnAfterOneThatIsMissing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /tasks/b", 200, detail("b", wire.StatusPending))
	r := f.run("get", "a", "b", "--json")
	require.Equal(t, 1, r.status)
	require.Equal(t, "a: there is no /tasks/a\n", r.errOut)
	require.Len(t, r.lines(), 1)
	require.Contains(t, r.out, `"id":"b"`)

	require.Equal(t, ran{1, "", "batuta get: there is no /tasks/a\n"}, f.run("get", "a"))
}

func TestListSendsItsFiltersAndAlignsColumns(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /tasks", 200, page("", 2,
		detail("task-104", wire.StatusFailed, withError("no\nsuch\x1b[31m file")),
		detail("a", wire.StatusInProgress, withProgress(40, "half"))))
	r := f.run("list", "--status", "failed,inProgress", "--type", "image.*", "--queue", "q", "--priority", "low", "--worker", "worker-1",
		"--tag", "team:sales", "--tag", "x=y", "--q", "task-", "--sort", "-executionTimeMs", "--limit", "7", "--cursor", "c")
	require.Zero(t, r.status, r.errOut)
	require.Equal(t, "cursor=c&limit=7&priority=low&q=task-&queue=q&sort=-executionTimeMs&status=failed%2CinProgress&tag=team%3Asales%2Cx%3Ay&type=image.%2A&worker=worker-1",
		f.requests("GET /tasks")[0].query)
	lines := r.lines()
	require.Len(t, lines, 3)
	at := strings.Index(lines[0], "STATUS")
	require.True(t, strings.HasPrefix(lines[1][at:], "failed"), lines[1])
	require.True(t, strings.HasPrefix(lines[2][at:], "inProgress"), lines[2])
	require.Contains(t, lines[1], `handler: no\nsuch\x1b[31m file`)
	require.Contains(t, lines[2], "40% half")
	require.Empty(t, r.errOut)
}

func TestListAllReadsEveryPage(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onceEach("GET /tasks", page("next", 2, detail("a", wire.StatusPending)), page("", 2, detail("b", wire.StatusPending)))
	r := f.run("list", "--all", "--json")
	require.Zero(t, r.status, r.errOut)
	require.Len(t, r.lines(), 2)
	calls := f.requests("GET /tasks")
	require.Equal(t, "limit=1000", calls[0].query)
	require.Equal(t, "cursor=next&limit=1000", calls[1].query)

	f.onceEach("GET /tasks", page("next", 2, detail("a", wire.StatusPending)), page("", 2, detail("b", wire.StatusPending)))
	require.Equal(t, 1, strings.Count(f.run("list", "--all").out, "ID "))
}

func TestListOnATerminalSaysWhatIsNotShown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /tasks", 200, page("next", 1234, detail("a", wire.StatusFailed, withError(strings.Repeat("long ", 50)))))
	r := f.runAs(context.Background(), session{terminal: true}, "list")
	require.Contains(t, r.out, "\x1b[31mfailed")
	require.Contains(t, r.out, "…")
	require.Contains(t, r.errOut, "1 of 1,234 tasks; go on with --cursor next, or --all")
}

func TestListFacetsCounts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	answer := page("", 3)
	answer.Facets = &wire.Facets{
		Status: map[string]int{"failed": 1, "pending": 2}, Type: map[string]int{"sleep": 3},
		Queue: map[string]int{"default": 3}, Priority: map[string]int{"high": 3},
	}
	f.onJSON("GET /tasks", 200, answer)
	r := f.run("list", "--facets")
	requireInOrder(t, r.out, "BY", "status    pending      2", "status    failed       1", "priority  high", "queue", "type      sleep")
	require.Contains(t, f.requests("GET /tasks")[0].query, "facets=1")
	requireText(t, `{"status":{"failed":1,"pending":2},"type":{"sleep":3},"queue":{"default":3},"priority":{"high":3}}`+"\n", f.run("list", "--facets", "--json").out)
}

func TestLogsReadsAllPagesAndFollowsToTheEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	line := func(message string) wire.LogLine {
		return wire.LogLine{At: noon, Level: "info", Message: message, Attempt: 1}
	}
	f.onceEach("GET /tasks/a", detail("a", wire.StatusInProgress), detail("a", wire.StatusCompleted))
	var mu sync.Mutex
	looks := 0
	f.on("GET /tasks/a/logs", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Query().Get("cursor") == "" {
			reply(w, 200, wire.LogPage{Logs: []wire.LogLine{line("one"), line("two\nlines")}, NextCursor: "c"})
			return
		}
		rest := []wire.LogLine{line("three"), line("four")}
		looks++
		reply(w, 200, wire.LogPage{Logs: rest[:min(looks, 2)]})
	})
	r := f.run("logs", "a", "--follow", "--json")
	require.Zero(t, r.status, r.errOut)
	require.Len(t, r.lines(), 4)
	requireInOrder(t, r.out, `"one"`, `"two\nlines"`, `"three"`, `"four"`)

	r = f.run("logs", "a")
	requireInOrder(t, r.out, "#1  INFO   one", "two\n    lines", "three", "four")
}

func TestWatchOfTasksEndsWithThem(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onceEach("GET /tasks/a", detail("a", wire.StatusPending), detail("a", wire.StatusInProgress, withProgress(40, "half")),
		detail("a", wire.StatusCompleted))
	f.onJSON("GET /tasks/b", 200, detail("b", wire.StatusFailed, withError("no")))
	r := f.run("watch", "a", "b", "a")
	require.Equal(t, 1, r.status)
	requireInOrder(t, r.out, "a  pending", "b  failed", "a  inProgress", "40%", "half", "a  completed")
	require.Equal(t, "b failed: no (handler, attempt 4)\n", r.errOut)

	r = f.runAs(context.Background(), session{terminal: true}, "watch", "a", "gone")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.errOut, "there is no task gone")
	requireInOrder(t, r.out, "a ", "completed", "100%")
}

func TestWatchShowsWhatRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	looks := 0
	f.on("GET /tasks", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch looks++; looks {
		case 1, 2:
			reply(w, 200, page("", 1, detail("a", wire.StatusInProgress, withProgress(float64(20*looks), "going"))))
		default:
			reply(w, 200, page("", 1, detail("b", wire.StatusInProgress)))
		}
	})
	f.on("GET /tasks/a", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, detail("a", wire.StatusCompleted))
		cancel()
	})
	messages := make(chan string, 10)
	for range 10 {
		messages <- "{}"
	}
	f.onWebSocket(messages)
	r := f.runAs(ctx, session{}, "watch")
	require.Zero(t, r.status, r.errOut)
	requireInOrder(t, r.out, "a  inProgress", "20%", "a  inProgress", "40%", "b  inProgress")
	require.Equal(t, "status=inProgress", strings.Split(f.requests("GET /tasks")[0].query, "&")[2])
}

func TestWatchDrawsOnATerminal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.onJSON("GET /tasks", 200, page("", 30, detail("a", wire.StatusInProgress, withProgress(50, "half"))))
	var looks atomic.Int32
	f.on("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		if looks.Add(1) == 3 {
			cancel()
		}
		reply(w, 200, wire.Stats{SystemStatus: wire.SystemHighLoad, Workers: wire.WorkerCounts{Active: 5, Idle: 1}, Tasks: wire.TaskCounts{Pending: 12000}})
	})
	r := f.runAs(ctx, session{terminal: true}, "watch")
	require.Zero(t, r.status, r.errOut)
	requireInOrder(t, r.out, "High Load", "6 workers", "12,000 pending", "a ", "inProgress", " 50%", "and 29 more running", "\x1b[3A\r\x1b[J")
}
