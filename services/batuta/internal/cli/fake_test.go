package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/cli"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// call is a request that the fake API got.
type call struct {
	method, path, query, body string
	header                    http.Header
}

// fakeAPI answers as the API does. What is not in answers is a 404 problem.
type fakeAPI struct {
	t       *testing.T
	url     string
	answers map[string]http.HandlerFunc

	mu    sync.Mutex
	calls []call
}

func newFake(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{t: t, answers: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.calls = append(f.calls, call{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header})
	answer := f.answers[r.Method+" "+r.URL.Path]
	f.mu.Unlock()
	if answer == nil {
		problem(w, http.StatusNotFound, "there is no "+r.URL.Path, nil)
		return
	}
	answer(w, r)
}

// on sets the answer to a request such as "GET /tasks".
func (f *fakeAPI) on(request string, answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = answer
}

// onJSON answers with a status and a value.
func (f *fakeAPI) onJSON(request string, status int, value any) {
	f.on(request, func(w http.ResponseWriter, _ *http.Request) { reply(w, status, value) })
}

// onceEach answers with one value after the other, and then with the last.
func (f *fakeAPI) onceEach(request string, values ...any) {
	var mu sync.Mutex
	next := 0
	f.on(request, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reply(w, http.StatusOK, values[min(next, len(values)-1)])
		next++
	})
}

func (f *fakeAPI) requests(prefix string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []call
	for _, c := range f.calls {
		if strings.HasPrefix(c.method+" "+c.path, prefix) {
			out = append(out, c)
		}
	}
	return out
}

// onWebSocket sends a message whenever one comes in on the channel.
func (f *fakeAPI) onWebSocket(messages <-chan string) {
	upgrader := websocket.Upgrader{}
	f.on("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_, _, _ = conn.ReadMessage()
		}()
		for {
			select {
			case m, ok := <-messages:
				if !ok || conn.WriteMessage(websocket.TextMessage, []byte(m)) != nil {
					return
				}
			case <-closed:
				return
			}
		}
	})
}

func reply(w http.ResponseWriter, status int, value any) {
	body, err := wire.EncodeHTTP(value)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func problem(w http.ResponseWriter, status int, detail string, faults wire.Faults) {
	body, err := wire.EncodeHTTP(wire.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: faults,
	})
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", wire.ProblemType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func refuse(status int, detail string, faults ...wire.Fault) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { problem(w, status, detail, faults) }
}

// ran is what a command left behind.
type ran struct {
	status      int
	out, errOut string
}

func (r ran) lines() []string { return strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") }

// session is how a command is run.
type session struct {
	commands cli.Commands
	stdin    io.Reader
	env      []string
	terminal bool
	// interactive: there is somebody to ask.
	interactive bool
	out         io.Writer
}

func (f *fakeAPI) run(args ...string) ran { return f.runAs(context.Background(), session{}, args...) }

func (f *fakeAPI) runAs(ctx context.Context, s session, args ...string) ran {
	s.env = append([]string{"BATUTA_URL=" + f.url}, s.env...)
	return runCLI(ctx, s, args...)
}

func runCLI(ctx context.Context, s session, args ...string) ran {
	var out, errOut bytes.Buffer
	streams := cli.IO{In: s.stdin, Out: &out, Err: &errOut, Env: s.env, Interactive: s.interactive}
	if s.stdin == nil {
		streams.In = strings.NewReader("")
	}
	if s.out != nil {
		streams.Out = s.out
	}
	if s.terminal {
		streams.Out, streams.Err = term.NewFake(streams.Out, 120, 24), term.NewFake(&errOut, 120, 24)
	}
	status := cli.New(s.commands, streams).Run(ctx, args) //nolint:contextcheck // the commands get the one that Run is given
	return ran{status, out.String(), errOut.String()}
}

const noon = wire.Time(1767268800000) // 2026-01-01T12:00:00Z

// detail is a task as GET /tasks/:id shows it.
func detail(id string, status wire.Status, change ...func(*wire.TaskDetail)) wire.TaskDetail {
	t := wire.TaskDetail{TaskResource: wire.TaskResource{
		ID: id, Type: "sleep", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3, Backoff: wire.DefaultBackoff,
		TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{}, Status: status, Attempt: 1, SubmittedAt: noon,
	}, History: []wire.EventView{}}
	if status == wire.StatusInProgress || status.Ended() {
		t.StartedAt, t.Worker, t.Pool, t.WaitTimeMs = noon+5, "worker-1", "default", new(int64(5))
	}
	if status.Ended() {
		t.FinishedAt, t.ExecutionTimeMs = noon+1205, new(int64(1200))
	}
	for _, f := range change {
		f(&t)
	}
	return t
}

func withResult(raw string) func(*wire.TaskDetail) {
	return func(t *wire.TaskDetail) { t.Result = json.RawMessage(raw) }
}

func withProgress(percent float64, message string) func(*wire.TaskDetail) {
	return func(t *wire.TaskDetail) {
		t.Progress = &wire.ProgressView{Percent: &percent, Message: wire.Text(message)}
	}
}

func withError(message string) func(*wire.TaskDetail) {
	return func(t *wire.TaskDetail) {
		t.Error = &wire.TaskError{Message: message, Code: wire.CodeHandler, Attempt: 4, At: noon + 1205}
	}
}

// page is an answer of GET /tasks.
func page(cursor string, total int, tasks ...wire.TaskDetail) wire.TaskPage {
	p := wire.TaskPage{Tasks: []wire.TaskResource{}, Total: total, NextCursor: wire.Text(cursor)}
	for _, t := range tasks {
		p.Tasks = append(p.Tasks, t.TaskResource)
	}
	return p
}

// bulk answers submissions of several tasks: it refuses those without a type.
func bulk() http.HandlerFunc {
	var mu sync.Mutex
	first := 1
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var tasks []map[string]json.RawMessage
		if json.NewDecoder(r.Body).Decode(&tasks) != nil {
			problem(w, http.StatusBadRequest, "must be JSON", nil)
			return
		}
		var a wire.BulkAnswer
		var all wire.Faults
		for i, t := range tasks {
			if _, ok := t["type"]; !ok {
				faults := wire.Faults{{Field: fmt.Sprintf("[%d].type", i), Rule: "is missing"}}
				a.Rejected++
				all = append(all, faults...)
				a.Results = append(a.Results, wire.SubmitResult{Errors: faults})
				continue
			}
			a.Accepted++
			a.Results = append(a.Results, wire.SubmitResult{ID: fmt.Sprintf("task-%d", first), Status: wire.StatusPending})
			first++
		}
		if a.Accepted == 0 {
			problem(w, http.StatusBadRequest, "the input has faults", all)
			return
		}
		reply(w, http.StatusAccepted, a)
	}
}

func requireInOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, p := range parts {
		i := strings.Index(text[at:], p)
		require.GreaterOrEqual(t, i, 0, "%q is missing in %q", p, text[at:])
		at += i + len(p)
	}
}

// requireText compares JSON too by its text: a digit lost would be one by value as well.
func requireText(t *testing.T, want, got string) {
	t.Helper()
	require.Equal(t, want, got)
}
