package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// soon bounds waits for what should happen at once.
const soon = 30 * time.Second

// start runs an API on a NATS server and waits until it is ready.
func start(t *testing.T, srv *natstest.Server) *api.Service {
	t.Helper()
	js, err := jetstream.New(srv.Conn(t, nats.ReconnectBufSize(-1)))
	require.NoError(t, err)
	s, err := api.New(api.Config{JS: js, Addr: "127.0.0.1:0", Dashboard: fstest.MapFS{}, Version: "test", Log: obs.NewTestLogger(t.Output())})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	require.Eventually(t, func() bool { return s.Ready() == nil }, soon, 10*time.Millisecond)
	return s
}

func call(t *testing.T, s *api.Service, method, path, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(got, into), string(got))
	}
	return resp.StatusCode
}

func TestATaskAcceptedByOneAPIIsKnownToTheOther(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	one, other := start(t, srv), start(t, srv)
	var a wire.SubmitAnswer
	require.Equal(t, http.StatusAccepted, call(t, one, http.MethodPost, "/tasks", `{"type":"demo","payload":{"n":1.50}}`, &a))
	for _, s := range []*api.Service{one, other} {
		var d wire.TaskDetail
		require.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/tasks/"+a.ID, "", &d))
		require.Equal(t, wire.StatusPending, d.Status)
		require.Equal(t, `{"n":1.50}`, string(d.Payload))
	}
	require.Equal(t, http.StatusAccepted, call(t, one, http.MethodPost, "/tasks", `{"type":"demo","id":"mine"}`, nil))
	var again wire.DuplicateAnswer
	require.Equal(t, http.StatusOK, call(t, other, http.MethodPost, "/tasks", `{"id":"mine","type":"demo"}`, &again))
	require.True(t, again.Duplicate)
	require.Equal(t, http.StatusConflict, call(t, other, http.MethodPost, "/tasks", `{"id":"mine","type":"demo","priority":"low"}`, nil))
	require.Equal(t, http.StatusNotFound, call(t, other, http.MethodGet, "/tasks/nobody", "", nil))
}

func TestAListHasWhatWasAcceptedAndWhatWasRecorded(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	s := start(t, srv)
	require.Equal(t, http.StatusAccepted, call(t, s, http.MethodPost, "/tasks", `{"type":"demo","id":"accepted","tags":{"k":"v"}}`, nil))
	js := srv.JS(t)
	kv, err := js.KeyValue(t.Context(), wire.BucketTasks)
	require.NoError(t, err)
	rec, err := json.Marshal(wire.Record{
		ID: "recorded", Status: wire.StatusFailed, Attempt: 1, SubmittedAt: wire.Now(), FinishedAt: wire.Now(),
		Definition: wire.Definition{Type: "image.resize", Queue: "default", Priority: wire.PriorityHigh, Backoff: wire.DefaultBackoff, TimeoutMs: 1000, RetentionMs: 86_400_000},
		Meta:       wire.Meta{SubmitSeq: 1},
	})
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "recorded", rec)
	require.NoError(t, err)
	ids := func(query string) []string {
		var page wire.TaskPage
		require.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/tasks"+query, "", &page))
		var out []string
		for _, one := range page.Tasks {
			out = append(out, one.ID)
		}
		require.Len(t, out, page.Total)
		return out
	}
	require.Eventually(t, func() bool { return len(ids("")) == 2 }, soon, 10*time.Millisecond)
	require.Equal(t, []string{"recorded"}, ids("?status=failed&type=image.*"))
	require.Equal(t, []string{"accepted"}, ids("?tag=k:v"))
	require.Empty(t, ids("?q=rec&status=pending"))
	require.Eventually(t, func() bool {
		var st wire.Stats
		require.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/stats", "", &st))
		return st.Tasks.Total == 2 && st.Tasks.Failed == 1 && st.Tasks.Pending == 1
	}, soon, 10*time.Millisecond)
}

func TestTheLiveFeedBeginsWithASnapshot(t *testing.T) {
	t.Parallel()
	s := start(t, natstest.Start(t))
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+s.Addr()+"/ws", nil)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(soon)))
	var first wire.Snapshot
	require.NoError(t, conn.ReadJSON(&first))
	require.Equal(t, wire.LiveSnapshot, first.Type)
	require.Equal(t, http.StatusAccepted, call(t, s, http.MethodPost, "/tasks", `{"type":"demo","id":"seen"}`, nil))
	for {
		var d wire.Delta
		require.NoError(t, conn.ReadJSON(&d))
		require.Equal(t, wire.LiveDelta, d.Type)
		if d.Tasks != nil && len(d.Tasks.Upserted) == 1 {
			require.Equal(t, "seen", d.Tasks.Upserted[0].ID)
			return
		}
	}
}

func TestTheAPIOutlivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	s := start(t, srv)
	require.Equal(t, http.StatusAccepted, call(t, s, http.MethodPost, "/tasks", `{"type":"demo","id":"before"}`, nil))
	srv.Restart(t)
	require.Equal(t, http.StatusAccepted, call(t, s, http.MethodPost, "/tasks", `{"type":"demo","id":"after"}`, nil))
	for _, id := range []string{"before", "after"} {
		require.Eventually(t, func() bool { return call(t, s, http.MethodGet, "/tasks/"+id, "", nil) == http.StatusOK }, soon, 50*time.Millisecond)
	}
}

func TestWhileNATSIsAwayA503SaysSo(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	s := start(t, srv)
	srv.Stop()
	require.Eventually(t, func() bool { return s.Ready() != nil }, soon, 10*time.Millisecond)
	type answer struct {
		path    string
		status  int
		problem wire.Problem
	}
	answers := make(chan answer, 2)
	var asked sync.WaitGroup
	for path, body := range map[string]string{"/tasks": `{"type":"demo"}`, "/tasks/nobody/cancel": ""} {
		asked.Go(func() {
			a := answer{path: path}
			a.status = call(t, s, http.MethodPost, path, body, &a.problem)
			answers <- a
		})
	}
	asked.Wait()
	close(answers)
	srv.StartAgain(t)
	for a := range answers {
		require.Equal(t, http.StatusServiceUnavailable, a.status, a.path)
		require.Contains(t, a.problem.Detail, "NATS is not connected", a.path)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	running := start(t, srv)
	js := srv.JS(t)
	s, err := api.New(api.Config{JS: js, Addr: running.Addr(), Dashboard: fstest.MapFS{}})
	require.NoError(t, err)
	err = s.Start(t.Context())
	require.ErrorContains(t, err, "BATUTA_HTTP_ADDR")
	require.ErrorContains(t, err, running.Addr())
	require.NoError(t, s.Stop(t.Context()))
	_, err = api.New(api.Config{JS: js, Addr: "0.0.0.0:0"})
	require.ErrorContains(t, err, "loopback")
	_, err = api.New(api.Config{JS: js, Addr: "0.0.0.0:0", TokensFile: t.TempDir() + "/none"})
	require.ErrorContains(t, err, "BATUTA_TOKENS_FILE")
	_, err = api.New(api.Config{Addr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "JS")
}

func TestStopClosesWebSocketsAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := start(t, natstest.Start(t))
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+s.Addr()+"/ws", nil)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	require.Error(t, s.Ready())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(soon)))
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
}
