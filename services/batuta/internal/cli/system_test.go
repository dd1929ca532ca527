package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/cli"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// eventLog serves GET /events newest first, two a page.
type eventLog struct {
	mu     sync.Mutex
	events []wire.EventView
}

func (l *eventLog) add(from, to int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := from; i <= to; i++ {
		l.events = append(l.events, wire.EventView{
			Seq: fmt.Sprintf("%d.0", i), Timestamp: noon, Event: wire.EventStarted, Description: fmt.Sprintf("event %d", i), TaskID: "a",
		})
	}
}

func (l *eventLog) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	task := r.URL.Query().Get("task")
	newest := slices.DeleteFunc(slices.Clone(l.events), func(e wire.EventView) bool { return task != "" && string(e.TaskID) != task })
	slices.Reverse(newest)
	if after := r.URL.Query().Get("cursor"); after != "" {
		at := slices.IndexFunc(newest, func(e wire.EventView) bool { return e.Seq == after })
		newest = newest[at+1:]
	}
	a := wire.EventsAnswer{Events: newest[:min(len(newest), 2)]}
	if len(newest) > 2 {
		a.NextCursor = wire.Text(newest[1].Seq)
	}
	reply(w, 200, a)
}

func TestEventsAreShownOldestFirst(t *testing.T) {
	t.Parallel()
	f, l := newFake(t), &eventLog{}
	f.on("GET /events", l.serve)
	l.add(1, 5)
	r := f.run("events", "--task", "a", "--event", "task.started,task.failed", "--limit", "3")
	require.Zero(t, r.status, r.errOut)
	require.Len(t, r.lines(), 3)
	requireInOrder(t, r.out, "task.started", "event 3", "event 4", "event 5")
	require.Equal(t, "event=task.started%2Ctask.failed&limit=3&task=a", f.requests("GET /events")[0].query)

	require.Len(t, f.run("events", "--since", "2026-01-01T00:00:00Z").lines(), 5)
	calls := f.requests("GET /events")
	require.Contains(t, calls[len(calls)-1].query, "since=2026-01-01T00%3A00%3A00.000Z")
}

func TestEventsFollowMissesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	f, l := newFake(t), &eventLog{}
	f.on("GET /events", l.serve)
	messages := make(chan string)
	f.onWebSocket(messages)
	l.add(1, 3)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, printed := io.Pipe()
	done := make(chan ran, 1)
	go func() {
		done <- f.runAs(ctx, session{out: printed}, "events", "--follow", "--task", "a", "--limit", "2", "--json")
		printed.Close()
	}()
	lines := json.NewDecoder(out)
	next := func() string {
		var e wire.EventView
		require.NoError(t, lines.Decode(&e))
		return e.Seq
	}
	require.Equal(t, []string{"2.0", "3.0"}, []string{next(), next()})
	l.add(4, 10) // more than a page
	l.mu.Lock()
	l.events[5].TaskID = "other"
	l.mu.Unlock()
	messages <- "{}"
	for _, i := range []int{4, 5, 7, 8, 9, 10} {
		require.Equal(t, fmt.Sprintf("%d.0", i), next())
	}
	cancel()
	require.Zero(t, (<-done).status)
}

func TestBenchMeasuresLatency(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /stats", 200, wire.Stats{})
	f.onJSON("POST /tasks", http.StatusAccepted, wire.SubmitAnswer{ID: "a", Status: wire.StatusPending})
	f.on("GET /tasks/a", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, detail("a", wire.StatusCompleted, func(d *wire.TaskDetail) { d.StartedAt, d.FinishedAt = wire.Now(), wire.Now()+1000 }))
	})
	r := f.run("bench", "--latency", "-n", "3", "--json")
	require.Zero(t, r.status, r.errOut)
	var got struct {
		Tasks     int
		Call      map[string]float64 `json:"submitCallMs"`
		Started   map[string]float64 `json:"startedMs"`
		Completed map[string]float64 `json:"completedMs"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &got))
	require.Equal(t, 3, got.Tasks)
	require.Positive(t, got.Call["p50"])
	require.GreaterOrEqual(t, got.Started["max"], got.Started["p50"])
	require.GreaterOrEqual(t, got.Completed["p50"], got.Started["p50"]+1000-1)
	calls := f.requests("POST /tasks")
	require.Len(t, calls, 3)
	require.JSONEq(t, `{"type":"sleep","payload":{"ms":0},"queue":"default","priority":"medium","retentionMs":60000,"tags":{"bench":"latency"}}`, calls[0].body)

	requireInOrder(t, f.run("bench", "--latency", "-n", "1").out, "P50", "P90", "P99", "MAX", "submit call", "started", "completed")
}

func TestNoBatutaAnswers(t *testing.T) {
	t.Parallel()
	r := runCLI(context.Background(), session{env: []string{"BATUTA_URL=http://127.0.0.1:1"}}, "stats")
	require.Equal(t, ran{1, "", "batuta stats: no Batuta answers at http://127.0.0.1:1 (BATUTA_URL): " +
		"start one with 'batuta up', or say in BATUTA_URL where one runs (connection refused)\n"}, r)
}

func TestSomethingElseAnswers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /stats", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") })
	require.Contains(t, f.run("stats").errOut, "is not the API of Batuta")
	f.on("GET /stats", http.NotFound)
	require.Contains(t, f.run("stats").errOut, "is not the API of Batuta (status 404, text/plain): check BATUTA_URL")
	f.on("GET /stats", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
	require.Contains(t, f.run("stats").errOut, "status 302")
	require.Empty(t, f.requests("GET /login"))
}

func TestTheTokenIsSent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			problem(w, http.StatusUnauthorized, "", nil)
			return
		}
		reply(w, 200, wire.Stats{})
	})
	require.Equal(t, "batuta stats: this Batuta wants a token: put it into BATUTA_TOKEN\n", f.run("stats").errOut)
	wrong := f.runAs(context.Background(), session{env: []string{"BATUTA_TOKEN=x"}}, "stats")
	require.Equal(t, "batuta stats: the token in BATUTA_TOKEN is not accepted\n", wrong.errOut)
	require.Zero(t, f.runAs(context.Background(), session{env: []string{"BATUTA_TOKEN=secret"}}, "stats").status)
}

func TestWrongUsageIsExitStatusTwo(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"submitt":                             "Did you mean this?",
		"list --statsu failed":                "unknown flag --statsu; did you mean --status?",
		"list --status faild":                 "did you mean failed?",
		"list --limit 0":                      "--limit: 0 is not from 1 to 1000",
		"list more":                           `"more" is too much`,
		"list --sort size":                    `--sort: "size" is not one of`,
		"get":                                 "the task's id is missing",
		"submit":                              "the task's type is missing",
		"submit a b":                          `"b" is too much`,
		"submit a --priority urgen":           "is not one of critical, high, medium, low",
		"submit a --payload {":                "--payload: is not JSON",
		"submit a --payload @/does/not/exist": "no such file",
		"submit a --timeout 5":                "--timeout",
		"submit a --timeout 5us":              "5µs is not a whole number of milliseconds",
		"submit a --run-at tomorrow":          "--run-at",
		"submit a --delay 1s --run-at 1s":     "give --delay or --run-at, not both",
		"submit a --tag x":                    "is not key=value",
		"submit - --id a":                     "an id is for one task",
		"submit - --payload -":                "stdin holds the tasks already",
		"cancel":                              "which tasks?",
		"cancel a --status failed":            "give ids or filters, not both",
		"cancel a --dry-run":                  "--dry-run",
		"pools --min 3":                       "which pool?",
		"pause":                               "the queue's name is missing",
		"pause q --pool p":                    "not both",
		"drain":                               "the worker's id is missing",
		"events --event task.finished":        "is not one of",
		"events --since never":                "--since",
		"bench":                               "--latency is all there is so far",
		"bench --latency -n 0":                "--tasks",
		"help nothing":                        "unknown command",
		"completion":                          "which shell?",
		"completion csh":                      "is not one of bash",
		"version x":                           "is too much",
		"worker --log-level loud":             "--log-level",
	} {
		worker := func(context.Context, io.Reader, io.Writer, io.Writer, []string) int { return 0 }
		s := session{commands: cli.Commands{Worker: worker}, env: []string{"BATUTA_URL=http://127.0.0.1:1"}}
		r := runCLI(context.Background(), s, strings.Fields(args)...)
		require.Equal(t, 2, r.status, "%s: %s", args, r.errOut)
		require.Contains(t, r.errOut, says, args)
		require.Empty(t, r.out, args)
	}
	r := runCLI(context.Background(), session{env: []string{"BATUTA_URL=localhost:8080"}}, "stats")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.errOut, `BATUTA_URL: "localhost:8080" is not a URL`)
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	s := session{commands: everything()}
	top := runCLI(context.Background(), s, "--help")
	require.Zero(t, top.status)
	for _, name := range commandNames {
		require.Contains(t, top.out, "\n  "+name+" ", name)
		r := runCLI(context.Background(), s, name, "--help")
		require.Zero(t, r.status, name)
		requireInOrder(t, r.out, "Usage:\n  batuta "+name, "Examples:\n  ", "batuta "+name, "Flags:")
		require.Equal(t, r.out, runCLI(context.Background(), s, "help", name).out)
	}
}

// commandNames are those that the contract lists.
var commandNames = strings.Fields(`up submit get list watch logs cancel retry delete workers pools queues pause resume
	drain kill stats events worker bench chaos completion version`)

func everything() cli.Commands {
	return cli.Commands{
		Up:     func(context.Context, []string, []string, io.Writer, io.Writer) int { return 0 },
		Worker: func(context.Context, io.Reader, io.Writer, io.Writer, []string) int { return 0 },
		Chaos:  func(context.Context, options.Options, *apiclient.Client, *term.Screen, *term.Screen) int { return 0 },
		Role:   func(context.Context, []string, []string, io.Writer, io.Writer) int { return 0 },
	}
}

func TestUpAndWorkerGetTheirFlags(t *testing.T) {
	t.Parallel()
	var got []string
	c := everything()
	c.Up = func(_ context.Context, args, env []string, _, _ io.Writer) int {
		got = append(args, env...)
		return 7
	}
	r := runCLI(context.Background(), session{commands: c, env: []string{"A=b"}}, "up", "--http-addr", "127.0.0.1:9", "--insecure", "--queues=a,b")
	require.Equal(t, 7, r.status)
	require.Equal(t, []string{"--http-addr=127.0.0.1:9", "--insecure=1", "--queues=a,b", "A=b"}, sortedFlags(got))

	c.Worker = func(_ context.Context, in io.Reader, out, _ io.Writer, env []string) int {
		got = env
		_, err := io.Copy(out, in)
		require.NoError(t, err)
		return 0
	}
	s := session{commands: c, env: []string{"BATUTA_FILES_DIR=/"}, stdin: strings.NewReader("hello")}
	r = runCLI(context.Background(), s, "worker", "--exec-allow", "ls,cat")
	require.Equal(t, ran{0, "hello", ""}, r)
	require.Equal(t, []string{"BATUTA_FILES_DIR=/", "BATUTA_EXEC_ALLOW=ls,cat"}, got)
}

func sortedFlags(args []string) []string {
	slices.SortStableFunc(args[:3], strings.Compare)
	return args
}

func TestVersionNamesGo(t *testing.T) {
	t.Parallel()
	r := runCLI(context.Background(), session{}, "version")
	require.Zero(t, r.status)
	require.Regexp(t, `^batuta dev \(commit unknown, built unknown, go1\.`, r.out)
	require.Equal(t, r.out, runCLI(context.Background(), session{}, "--version").out)
	var parts map[string]string
	require.NoError(t, json.Unmarshal([]byte(runCLI(context.Background(), session{}, "version", "--json").out), &parts))
	require.Equal(t, "dev", parts["version"])
}

func TestCompletionOffersWhatFits(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onJSON("GET /queues", 200, wire.QueuesAnswer{Queues: []wire.QueueView{{Name: "imports"}}})
	f.onJSON("GET /pools", 200, wire.PoolsAnswer{Pools: []wire.PoolView{{Name: "night"}}})
	f.onJSON("GET /tasks", 200, page("", 1, detail("task-104", wire.StatusPending)))
	f.onJSON("GET /workers/status", 200, wire.WorkersAnswer{Workers: []wire.WorkerView{{ID: "worker-1"}}})
	for args, want := range map[string]string{
		"list --status ": "retrying", "pause ": "imports", "pause --pool ": "night", "cancel task": "task-104", "kill ": "worker-1",
	} {
		before, last, _ := strings.Cut(args, "  ")
		words := append([]string{"__complete"}, strings.Fields(before)...)
		if strings.HasSuffix(args, " ") {
			words = append(words, last)
		}
		r := f.run(words...)
		require.Zero(t, r.status, args)
		require.Contains(t, r.lines(), want, args)
	}
	bash := runCLI(context.Background(), session{}, "completion", "bash")
	require.Zero(t, bash.status)
	require.Contains(t, bash.out, "__start_batuta")
}
