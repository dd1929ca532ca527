package cli_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestCancelRetryAndDeleteByID(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks/a/cancel", 202, wire.ActionAnswer{ID: "a", Status: "inProgress"})
	f.on("POST /tasks/b/cancel", refuse(http.StatusConflict, "b has ended: completed"))
	f.onJSON("POST /tasks/a/retry", 202, wire.ActionAnswer{ID: "a", Status: "failed"})
	f.on("DELETE /tasks/a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

	require.Equal(t, ran{1, "a is being cancelled\n", "b: b has ended: completed\n"}, f.run("cancel", "b", "a"))
	require.Equal(t, ran{0, "a is to run again\n", ""}, f.run("retry", "a"))
	require.Equal(t, ran{0, "a deleted\n", ""}, f.run("delete", "a"))
	require.Equal(t, ran{0, `{"deleted":true,"id":"a"}` + "\n", ""}, f.run("delete", "a", "--json"))
	require.Equal(t, ran{0, `{"id":"a","status":"failed"}` + "\n", ""}, f.run("retry", "a", "--json"))
}

func TestActionsByFilter(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks/cancel", 202, wire.MatchedAnswer{Matched: 1200})

	require.Equal(t, ran{0, "1,200 tasks to cancel\n", ""}, f.run("cancel", "--status", "pending", "--tag", "a:b", "--dry-run"))
	require.JSONEq(t, `{"status":"pending","tag":"a:b","dryRun":true}`, f.requests("POST")[0].body)
	require.Equal(t, ran{0, `{"matched":1200}` + "\n", ""}, f.run("cancel", "--status", "pending", "--json"))
	require.JSONEq(t, `{"status":"pending"}`, f.requests("POST")[1].body)
	require.Equal(t, ran{0, "1,200 tasks to cancel: accepted\n", ""}, f.run("cancel", "--q", "x"))
}

func TestActionsByFilterAskOnATerminal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks/delete", 202, wire.MatchedAnswer{Matched: 3})
	answer := func(text string, args ...string) ran {
		s := session{terminal: true, interactive: true, stdin: strings.NewReader(text)}
		return f.runAs(context.Background(), s, append([]string{"delete", "--status", "completed"}, args...)...)
	}
	r := answer("n\n")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.errOut, "Delete 3 tasks? [y/N] ")
	require.Contains(t, r.errOut, "nothing was done")
	require.Len(t, f.requests("POST"), 1, "only the count was asked for")

	require.Equal(t, 1, answer("").status)
	require.Len(t, f.requests("POST"), 2)

	require.Zero(t, answer("yes\n").status)
	require.JSONEq(t, `{"status":"completed"}`, f.requests("POST")[3].body)

	require.NotContains(t, answer("", "--yes").errOut, "[y/N]")
	require.Len(t, f.requests("POST"), 5)
}

func TestActionsByFilterDoNotAskWhereNothingMatches(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("POST /tasks/retry", 202, wire.MatchedAnswer{Matched: 0})
	r := f.runAs(context.Background(), session{terminal: true, interactive: true}, "retry", "--status", "failed")
	require.Equal(t, ran{0, "0 tasks to retry\n", ""}, r)
	require.Len(t, f.requests("POST"), 1)
}

func TestWorkersPoolsAndQueuesAreListed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	worker := wire.WorkerView{
		ID: "worker-1", Pool: "default", Host: "h", PID: 42, Status: wire.WorkerBusy, CPUPercent: new(12.34), MemoryMb: new(50.0),
		AssignedTasks: 2, Concurrency: 4, Completed: 1234, StartedAt: noon, LastHeartbeatAgoMs: new(int64(80)), Tasks: []string{"a", "b"},
	}
	gone := wire.EndedWorker{WorkerView: wire.WorkerView{ID: "worker-2", Pool: "default", Tasks: []string{}}, EndedAt: noon, Reason: "killed"}
	f.onJSON("GET /workers/status", 200, wire.WorkersAnswer{Workers: []wire.WorkerView{worker}, Ended: []wire.EndedWorker{gone}, UpdatedAt: noon})
	f.onJSON("GET /workers/worker-1", 200, worker)
	f.onJSON("GET /pools", 200, wire.PoolsAnswer{Pools: []wire.PoolView{{Name: "default", Min: 1, Max: 4, Desired: new(2), Running: 2, Queues: []string{"default", "x"}, Reason: "backlog"}}})
	f.onJSON("GET /queues", 200, wire.QueuesAnswer{Queues: []wire.QueueView{
		{Name: "default", Depth: wire.Depth{Critical: 3, Low: 12000}, OldestWaitMs: new(int64(65000)), RateIn: new(1.25), ServedBy: []string{"default"}},
		{Name: "orphan", Paused: true, ServedBy: []string{}},
	}})

	requireInOrder(t, f.run("workers").out, "worker-1", "default", "busy", "12.3", "50.0", "2/4", "1,234", "80ms ago", "h:42", "a b")
	require.NotContains(t, f.run("workers").out, "worker-2")
	requireInOrder(t, f.run("workers", "--ended").out, "worker-1", "worker-2", "ended", "killed")
	require.Len(t, f.run("workers", "--ended", "--json").lines(), 2)
	requireInOrder(t, f.run("workers", "worker-1").out, "ID", "worker-1", "busy")
	requireInOrder(t, f.run("pools").out, "default", "1", "4", "2", "2", "default,x", "open", "backlog")
	r := f.run("queues")
	requireInOrder(t, r.out, "default", "3", "12,000", "1m05s", "1.2", "open", "default", "orphan", "paused", "nobody")
	require.Equal(t, "warning: no pool serves the queue orphan: its tasks wait\n", r.errOut)
	require.Len(t, f.run("queues", "--json").lines(), 2)
}

func TestOperatorsChangeTheSystem(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("PATCH /pools/p", 200, wire.PoolView{Name: "p", Min: 0, Max: 9})
	f.onJSON("PATCH /queues/q", 200, wire.QueueView{
		Name: "q", ServedBy: []string{"p"}, QueueLimits: wire.QueueLimits{MaxConcurrent: new(4)},
		Types: map[string]wire.QueueLimits{"mail.send": {MaxConcurrent: new(1), RatePerSecond: new(0.5)}},
	})
	f.onJSON("POST /queues/q/pause", 200, wire.QueueView{Name: "q"})
	f.onJSON("POST /queues/q/resume", 200, wire.QueueView{Name: "q"})
	f.onJSON("POST /workers/worker-1/drain", 202, wire.ActionAnswer{ID: "worker-1", Status: "idle"})
	f.onJSON("POST /workers/worker-1/kill", 202, wire.ActionAnswer{ID: "worker-1", Status: "idle"})

	for _, c := range []struct {
		args       string
		out, heard string
	}{
		{"pools p --min 0 --max 9", "", `PATCH /pools/p {"max":9,"min":0}`},
		{"queues q --max-concurrent 4 --rate none", "", `PATCH /queues/q {"maxConcurrent":4,"ratePerSecond":null}`},
		{"queues q --type mail.send --rate 0.5", "", `PATCH /queues/q {"types":{"mail.send":{"ratePerSecond":0.5}}}`},
		{"pause --pool p", "pool p paused\n", `PATCH /pools/p {"paused":true}`},
		{"resume --pool p", "pool p resumed\n", `PATCH /pools/p {"paused":false}`},
		{"pause q", "queue q paused\n", "POST /queues/q/pause "},
		{"resume q", "queue q resumed\n", "POST /queues/q/resume "},
		{"drain worker-1", "worker-1 drains\n", "POST /workers/worker-1/drain "},
		{"kill worker-1", "worker-1 is being killed\n", "POST /workers/worker-1/kill "},
	} {
		r := f.run(strings.Fields(c.args)...)
		require.Zero(t, r.status, "%s: %s", c.args, r.errOut)
		if c.out != "" {
			require.Equal(t, c.out, r.out, c.args)
		}
		if strings.HasPrefix(c.args, "queues") {
			require.Contains(t, r.out, "4, mail.send 1 0.5/s")
		}
		calls := f.requests("")
		last := calls[len(calls)-1]
		require.Equal(t, c.heard, last.method+" "+last.path+" "+last.body, c.args)
	}
}

func TestStatsAreShown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /stats", 200, wire.Stats{
		SystemStatus: wire.SystemRecovering, Reason: "worker-3 was lost", Workers: wire.WorkerCounts{Active: 5, Idle: 1},
		Tasks:                  wire.TaskCounts{Pending: 12, InProgress: 8, Completed: 73000, Failed: 3, Total: 73023},
		AverageExecutionTimeMs: new(int64(1175)), ThroughputPerMinute: 240, QueueLatencyMs: wire.LatencyStats{P50: new(int64(2)), P99: new(int64(11))}, Uptime: "02:34:55",
	})
	r := f.run("stats")
	require.Zero(t, r.status, r.errOut)
	requireInOrder(t, r.out, "Recovering  worker-3 was lost", "02:34:55", "5 active, 1 idle", "12 pending", "8 inProgress", "73,000 completed",
		"73,023 in all", "240 a minute", "1.1s on average", "p50 2ms, p99 11ms")
	require.Len(t, f.run("stats", "--json").lines(), 1)
}
