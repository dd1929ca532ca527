package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestGetTaskWithHistoryAndResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := b.publish(
		wire.NewEvent(wire.Event{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default_medium", IDs: []string{"x"}}}),
		wire.NewEvent(wire.Event{Event: wire.EventFailed, TaskID: "x", Attempt: 1, WorkerID: "worker-1", Pool: "default", Data: wire.EventData{
			Final: new(true), Retries: new(0), MaxRetries: new(0), Fence: 9,
			Error: &wire.TaskError{Message: "no", Code: wire.CodeHandler, Attempt: 1, At: wire.Now()},
		}}))
	b.record("x", wire.StatusCompleted, func(r *wire.Record) {
		r.Result = json.RawMessage(`{"n":12345678901234567890.10,"s":"\"result\":null"}`)
		r.Tags = map[string]string{"k": `"result":null`}
		r.Meta.History = append(at, wire.Position{Seq: 999})
	})
	got := b.get("/tasks/x")
	require.Equal(t, http.StatusOK, got.status, string(got.body))
	require.Contains(t, string(got.body), `"result":{"n":12345678901234567890.10,"s":"\"result\":null"},`)
	require.Contains(t, string(got.body), `"payload":{"n": 1.50},`, "the bytes that were submitted")
	var d wire.TaskDetail
	got.into(t, &d)
	require.False(t, d.PayloadExpired)
	require.True(t, d.HistoryTruncated, "one event is gone")
	require.Len(t, d.History, 1, "internal events are not shown")
	require.Equal(t, wire.EventFailed, d.History[0].Event)
	require.Equal(t, at[1].String(), d.History[0].Seq)
	require.Equal(t, map[string]string{"k": `"result":null`}, d.Tags)
	require.Equal(t, got.body, b.get("/api/v1/tasks/x").body)
	b.get("/tasks/nobody").problem(t, http.StatusNotFound)
	b.get("/tasks/a%2Fb").problem(t, http.StatusNotFound)
	require.Contains(t, b.get("/tasks/x?full=1").faults(t), "full")
}

func TestGetTaskStreamsALargeResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := []byte(`{"data" : "` + strings.Repeat("z", 3<<20) + `"}`)
	objects, err := b.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	_, err = objects.Put(t.Context(), jetstream.ObjectMeta{Name: wire.ResultObject("x", 7)}, bytes.NewReader(large))
	require.NoError(t, err)
	b.record("x", wire.StatusCompleted, func(r *wire.Record) { r.Meta.ResultObject = wire.ResultObject("x", 7) })
	got := b.get("/tasks/x")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, string(got.body), `"result":`+string(large)+`,"resultOmitted":false`)

	var page wire.TaskPage
	b.get("/tasks").into(t, &page)
	require.True(t, page.Tasks[0].ResultOmitted)

	require.NoError(t, objects.Delete(t.Context(), wire.ResultObject("x", 7)))
	require.Contains(t, string(b.get("/tasks/x").body), `"result":null`)
}

// What a replica that lags has not got yet is not answered as null: the question may be asked again.
func TestAResultThatAReplicaHasNotGotYetIsNotGone(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	js, left := natstest.Lagging(t, srv.Conn(t), wire.StreamObjects, 0)
	b := setupOn(t, srv, func(d *httpapi.Deps) {
		store, err := httpapi.OpenStore(t.Context(), js)
		require.NoError(t, err)
		d.Store = store
	})
	objects, err := b.js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	_, err = objects.PutString(t.Context(), wire.ResultObject("x", 7), `{"n":1}`)
	require.NoError(t, err)
	b.record("x", wire.StatusCompleted, func(r *wire.Record) { r.Meta.ResultObject = wire.ResultObject("x", 7) })
	left.Store(1)
	b.get("/tasks/x").problem(t, http.StatusServiceUnavailable)
	require.Contains(t, string(b.get("/tasks/x").body), `"result":{"n":1}`)
}

func TestGetTaskWhosePayloadIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rec := b.record("x", wire.StatusFailed, nil)
	s, err := b.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(rec.Meta.SubmitSeq+1)))
	var d wire.TaskDetail
	b.get("/tasks/x").into(t, &d)
	require.True(t, d.PayloadExpired)
	require.Equal(t, wire.ProblemPayloadExpired, string(b.post("/tasks/x/retry", "").problem(t, http.StatusConflict).Code))
	var m wire.MatchedAnswer
	b.post("/tasks/retry", `{"status":"failed"}`).into(t, &m)
	require.Zero(t, m.Matched, "what cannot run again is not matched")
	require.Empty(t, b.commands())
}

// commands reads the control stream.
func (b *bundle) commands() []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), wire.StreamControl)
	require.NoError(b.t, err)
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		require.NoError(b.t, err)
		all = append(all, m)
	}
	return all
}

func TestTaskLogsInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("x", wire.StatusInProgress, nil)
	require.JSONEq(t, `{"logs":[],"nextCursor":null}`, string(b.get("/tasks/x/logs").body))
	n := 0
	for range 120 { // more messages than are read at once, of other tasks in between
		var lines []wire.LogLine
		for range 3 {
			n++
			lines = append(lines, wire.LogLine{At: wire.Now(), Level: "info", Message: strings.Repeat("m", n), Attempt: 1})
		}
		body, err := json.Marshal(lines)
		require.NoError(t, err)
		_, err = b.js.Publish(t.Context(), wire.LogsSubject("x"), body)
		require.NoError(t, err)
		_, err = b.js.Publish(t.Context(), wire.LogsSubject("y"), body)
		require.NoError(t, err)
	}
	seen, cursor := 0, ""
	for {
		var page wire.LogPage
		b.get("/tasks/x/logs?limit=100&cursor="+cursor).into(t, &page)
		for _, l := range page.Logs {
			seen++
			require.Len(t, l.Message, seen)
		}
		if cursor = string(page.NextCursor); cursor == "" {
			break
		}
		require.Len(t, page.Logs, 100)
	}
	require.Equal(t, n, seen)
	b.get("/tasks/nobody/logs").problem(t, http.StatusNotFound)
	require.Len(t, b.get("/tasks/x/logs?limit=0&cursor=a&from=1").faults(t), 3)
}

func TestCancelRetryAndTheirConflicts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, s := range wire.Statuses {
		b.record(string(s), s, nil)
	}
	for status, want := range map[wire.Status][3]int{ // cancel, retry, delete
		wire.StatusScheduled: {202, 409, 409}, wire.StatusPending: {202, 409, 409}, wire.StatusInProgress: {202, 409, 409},
		wire.StatusRetrying: {202, 409, 409}, wire.StatusCompleted: {409, 409, 0}, wire.StatusFailed: {409, 202, 0}, wire.StatusCancelled: {202, 202, 0},
	} {
		require.Equal(t, want[0], b.post("/tasks/"+string(status)+"/cancel", "").status, status)
		require.Equal(t, want[1], b.post("/tasks/"+string(status)+"/retry", "{}").status, status)
		if want[2] != 0 {
			require.Equal(t, want[2], b.do(http.MethodDelete, "/tasks/"+string(status), "").status, status)
		}
	}
	subjects := map[string]int{}
	for _, m := range b.commands() {
		subjects[m.Subject]++
		require.Contains(t, m.Header.Get(wire.HeaderActor), "anonymous (admin) from 127.0.0.1")
	}
	require.Equal(t, map[string]int{
		wire.CancelSubject("scheduled"): 1, wire.CancelSubject("pending"): 1, wire.CancelSubject("inProgress"): 1, wire.CancelSubject("retrying"): 1,
		wire.RetrySubject("failed"): 1, wire.RetrySubject("cancelled"): 1,
	}, subjects, "a task that is cancelled already needs no command")
	b.post("/tasks/nobody/cancel", "").problem(t, http.StatusNotFound)
	b.post("/tasks/nobody/retry", "").problem(t, http.StatusNotFound)
	b.do(http.MethodDelete, "/tasks/nobody", "").problem(t, http.StatusNotFound)
	require.Contains(t, b.post("/tasks/pending/cancel", `{"reason":"x"}`).faults(t), "reason")
	require.Len(t, b.audits("task.cancel", 4), 4)
}

// audits waits until n events of an action, or of a name, can be read, and returns all there are.
func (b *bundle) audits(action string, n int) (found []wire.Event) {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), wire.StreamEvents)
	require.NoError(b.t, err)
	require.Eventually(b.t, func() bool {
		found = nil
		info, err := s.Info(b.t.Context())
		if err != nil {
			return false
		}
		for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
			m, err := s.GetMsg(b.t.Context(), seq)
			if err != nil {
				return false
			}
			events, err := wire.DecodeEvents(seq, m.Data)
			if err != nil {
				return false
			}
			for _, e := range events {
				if e.Event == wire.EventAudit && e.Data.Action == action || string(e.Event) == action {
					found = append(found, e)
				}
			}
		}
		return len(found) >= n
	}, soon, pollEvery)
	return found
}

func TestDeleteWaitsUntilTheTaskIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("x", wire.StatusCompleted, nil)
	go func() { // stands for scheduler and recorder
		c, err := b.js.OrderedConsumer(t.Context(), wire.StreamControl, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return
		}
		m, err := c.Next()
		if err != nil || m.Subject() != wire.SubjectRequestDelete {
			return
		}
		if cmd, err := wire.DecodeCommand(m.Data()); err == nil && cmd.IDs[0] == "x" {
			_ = b.model.kv.Delete(t.Context(), "x")
		}
	}()
	got := b.do(http.MethodDelete, "/tasks/x", "")
	require.Equal(t, http.StatusNoContent, got.status, string(got.body))
	require.Empty(t, got.body)
	b.get("/tasks/x").problem(t, http.StatusNotFound)
}

func TestBulkActions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = wire.MaxIDsPerCommand + 20
	b.record("failed-1", wire.StatusFailed, nil)
	rec := b.record("done-1", wire.StatusCompleted, nil)
	for i := range n {
		id := wire.MakeID(100, i+1)
		one := *rec
		one.ID, one.Status = id, wire.StatusPending
		body, err := json.Marshal(one)
		require.NoError(t, err)
		_, err = b.model.kv.Put(t.Context(), id, body)
		require.NoError(t, err)
	}
	matched := func(path, body string) int {
		t.Helper()
		got := b.post(path, body)
		require.Equal(t, http.StatusAccepted, got.status, string(got.body))
		var m wire.MatchedAnswer
		got.into(t, &m)
		return m.Matched
	}
	require.Equal(t, n, matched("/tasks/cancel", `{"type":"demo","dryRun":true}`))
	require.Empty(t, b.commands())
	require.Equal(t, n, matched("/tasks/cancel", `{"type":["demo","other"]}`))
	require.Equal(t, 1, matched("/tasks/retry", `{"status":"failed,cancelled"}`))
	require.Equal(t, 2, matched("/tasks/delete", `{"status":["completed","failed"],"q":""}`))
	require.Zero(t, matched("/tasks/delete", `{"status":"pending"}`))
	var ids []string
	msgs := b.commands()
	require.Len(t, msgs, 4)
	for _, m := range msgs[:2] {
		cmd, err := wire.DecodeCommand(m.Data)
		require.NoError(t, err)
		require.Equal(t, wire.SubjectRequestCancel, m.Subject)
		ids = append(ids, cmd.IDs...)
	}
	require.Len(t, ids, n)
	require.Len(t, b.audits("tasks.cancel", 1), 1)

	require.Contains(t, b.post("/tasks/cancel", `{}`).faults(t)[""], "at least one filter")
	require.Contains(t, b.post("/tasks/cancel", `{"dryRun":true}`).faults(t)[""], "at least one filter")
	require.Contains(t, b.post("/tasks/cancel", `{"status":""}`).faults(t)[""], "at least one filter")
	faults := b.post("/tasks/cancel", `{"status":"done","tag":3,"dryRun":"yes"}`).faults(t)
	require.Len(t, faults, 3)
	require.Contains(t, b.post("/tasks/cancel", `{"stat":"failed"}`).faults(t), "stat")
}

func TestBulkActionsOnChosenTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("failed-1", wire.StatusFailed, nil)
	b.record("done-1", wire.StatusCompleted, nil)
	b.record("done-2", wire.StatusCompleted, nil)
	matched := func(path, body string) int {
		t.Helper()
		got := b.post(path, body)
		require.Equal(t, http.StatusAccepted, got.status, string(got.body))
		var m wire.MatchedAnswer
		got.into(t, &m)
		return m.Matched
	}
	require.Equal(t, 2, matched("/tasks/delete", `{"ids":["done-1","failed-1","nobody"],"dryRun":true}`))
	require.Empty(t, b.commands())
	require.Equal(t, 1, matched("/tasks/retry", `{"ids":["done-1","failed-1"]}`), "only what can run again")
	require.Equal(t, 2, matched("/tasks/delete", `{"ids":["done-2","done-1","done-1"]}`), "each once")
	msgs := b.commands()
	require.Len(t, msgs, 2)
	cmd, err := wire.DecodeCommand(msgs[1].Data)
	require.NoError(t, err)
	require.Equal(t, []string{"done-1", "done-2"}, cmd.IDs)

	for _, body := range []string{`{"ids":[]}`, `{"ids":"done-1"}`, `{"ids":[3]}`, `{"ids":null}`, `{"ids":["done-1"],"status":"completed"}`} {
		require.Contains(t, b.post("/tasks/delete", body).faults(t), "ids", body)
	}
}

func TestTheAuditOfManyChosenTasksIsShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("done-1", wire.StatusCompleted, nil)
	ids := []string{"done-1"}
	for i := range 5000 {
		ids = append(ids, wire.MakeID(100, i+1))
	}
	body, err := json.Marshal(map[string]any{"ids": ids})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, b.post("/tasks/delete", string(body)).status)
	audits := b.audits("tasks.delete", 1)
	require.Len(t, audits, 1)
	require.JSONEq(t, `{"ids":5001}`, string(audits[0].Data.Change))
}
