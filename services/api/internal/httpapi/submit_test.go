package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// submissions reads everything in the stream of submissions.
func (b *bundle) submissions() []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), wire.StreamSubmit)
	require.NoError(b.t, err)
	var all []*jetstream.RawStreamMsg
	state := s.CachedInfo().State
	for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		require.NoError(b.t, err)
		all = append(all, m)
	}
	return all
}

func TestPostOfOneTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.post("/tasks", `{"type":"image.resize","priority":"high","payload":{"n":12345678901234567890.10,"s":"<&>"}}`)
	require.Equal(t, http.StatusAccepted, got.status, string(got.body))
	var a wire.SubmitAnswer
	got.into(t, &a)
	require.Equal(t, wire.SubmitAnswer{ID: "task-001", Status: wire.StatusPending}, a)
	require.Equal(t, "/tasks/task-001", got.header.Get("Location"))

	msgs := b.submissions()
	require.Len(t, msgs, 1)
	require.Equal(t, wire.SubmitSubject("image.resize"), msgs[0].Subject)
	require.NotEmpty(t, msgs[0].Header.Get(wire.HeaderMsgID))
	members, group, err := wire.Decoder{Now: time.Now(), SubjectType: "image.resize"}.Decode(msgs[0].Data)
	require.NoError(t, err, "what the API stores must be what the scheduler reads")
	require.False(t, group)
	require.Equal(t, wire.PriorityHigh, members[0].Submission.Priority)
	require.Equal(t, `{"n":12345678901234567890.10,"s":"<&>"}`, string(members[0].Submission.Payload))

	var d wire.TaskDetail
	b.get("/tasks/task-001").into(t, &d)
	require.Equal(t, wire.StatusPending, d.Status)
	require.Equal(t, `{"n":12345678901234567890.10,"s":"<&>"}`, string(d.Payload))
}

func TestPostUnderThePrefixAndLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.post("/api/v1/tasks", `{"type":"a","delayMs":60000,"id":"mine"}`)
	require.Equal(t, http.StatusAccepted, got.status, string(got.body))
	require.Equal(t, "/api/v1/tasks/mine", got.header.Get("Location"))
	var a wire.SubmitAnswer
	got.into(t, &a)
	require.Equal(t, wire.SubmitAnswer{ID: "mine", Status: wire.StatusScheduled}, a)
	require.Equal(t, http.StatusOK, b.get("/api/v1/tasks/mine").status)
}

func TestPostNamesEveryFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	faults := b.post("/tasks", `{"priorty":"high","backoff":{"policy":"never"},"maxRetries":1000,"id":"task-104"}`).faults(t)
	require.Len(t, faults, 5)
	for _, field := range []string{"priorty", "backoff.policy", "maxRetries", "id", "type"} {
		require.Contains(t, faults, field)
	}
	require.Contains(t, b.post("/tasks", `{"type":"a",}`).faults(t)[""], "JSON")
	require.Contains(t, b.post("/tasks", ` `).faults(t)[""], "empty")
	require.Contains(t, b.post("/tasks?typ=a", `{"type":"a"}`).faults(t), "typ")
	require.Contains(t, b.post("/tasks", `[]`).faults(t)[""], "1 to 10000")
	require.Empty(t, b.submissions())
}

func TestPostOfOtherMediaTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for kind, status := range map[string]int{
		"text/plain": 415, "multipart/form-data; boundary=x": 415, "application/xml": 415,
		"application/json; charset=utf-8": 202, "application/x-www-form-urlencoded": 202, "application/vnd.x+json": 202, "": 202,
	} {
		req := b.request(http.MethodPost, "/tasks", strings.NewReader(`{"type":"a"}`))
		if req.Header.Set("Content-Type", kind); kind == "" {
			req.Header.Del("Content-Type")
		}
		require.Equal(t, status, b.send(req).status, kind)
	}
}

func TestPostOfAnIDThatExists(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a","id":"x","payload":{"a":1,"b":2}}`).status)
	again := b.post("/tasks", `{"payload":{"b":2, "a":1},"id":"x","type":"a"}`)
	require.Equal(t, http.StatusOK, again.status, string(again.body))
	require.JSONEq(t, `{"id":"x","status":"pending","duplicate":true}`, string(again.body))
	b.post("/tasks", `{"type":"a","id":"x","payload":{"a":1}}`).problem(t, http.StatusConflict)
	require.Len(t, b.submissions(), 1)
}

func TestPostOfAnIDThatALookupMisses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a","id":"x","payload":1}`).status)
	b.model.set(func() { b.model.blind = true })
	again := b.post("/tasks", `{"type":"a","id":"x","payload":1}`)
	require.Equal(t, http.StatusOK, again.status, string(again.body))
	require.JSONEq(t, `{"id":"x","status":"pending","duplicate":true}`, string(again.body))
	b.post("/tasks", `{"type":"a","id":"x","payload":2}`).problem(t, http.StatusConflict)
	var group wire.BulkAnswer
	b.post("/tasks", `[{"type":"a","id":"x","payload":2},{"type":"a","id":"y"},{"type":"a"}]`).into(t, &group)
	require.Equal(t, 2, group.Accepted)
	require.Equal(t, "[0].id", group.Results[0].Errors[0].Field)
	require.Equal(t, "y", group.Results[1].ID)
	require.Len(t, b.submissions(), 4, "they are stored, and the recorder refuses them")
}

func TestWhereNothingIsKnownOfAnEarlierTaskTheOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.set(func() { b.model.cut = true })
	p := b.post("/tasks", `{"type":"a","id":"x"}`).problem(t, http.StatusServiceUnavailable)
	require.EqualValues(t, wire.ProblemUnknownOutcome, p.Code)
	require.Contains(t, p.Detail, "the task is stored")
	require.Len(t, b.submissions(), 1)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a"}`).status, "ids made by Batuta are nobody else's")
}

func TestRacingPostsOfOneIDStoreOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const clients = 24
	statuses := make([]int, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() { statuses[i] = b.post("/tasks", `{"type":"a","id":"one"}`).status })
	}
	wait.Wait()
	slices.Sort(statuses)
	require.Equal(t, http.StatusAccepted, statuses[clients-1])
	require.Equal(t, http.StatusOK, statuses[clients-2])
	require.Len(t, b.submissions(), 1)
}

func TestPostOfAnArray(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a","id":"old"}`).status)
	got := b.post("/tasks", `[{"type":"a"},{"typ":"a"},{"type":"a","id":"new"},{"type":"a","id":"new"},
		{"type":"b","id":"new"},{"type":"a","id":"old"},{"type":"b","id":"old"},{"type":"a","delayMs":60000}]`)
	require.Equal(t, http.StatusAccepted, got.status, string(got.body))
	var a wire.BulkAnswer
	got.into(t, &a)
	require.Equal(t, [3]int{3, 3, 2}, [3]int{a.Accepted, a.Rejected, a.Duplicates})
	require.Equal(t, wire.SubmitResult{ID: "task-002-1", Status: wire.StatusPending}, a.Results[0])
	require.Equal(t, "[1].typ", a.Results[1].Errors[0].Field)
	require.Equal(t, wire.SubmitResult{ID: "new", Status: wire.StatusPending}, a.Results[2])
	require.Equal(t, wire.SubmitResult{ID: "new", Status: wire.StatusPending, Duplicate: true}, a.Results[3])
	require.Equal(t, "[4].id", a.Results[4].Errors[0].Field)
	require.Equal(t, wire.SubmitResult{ID: "old", Status: wire.StatusPending, Duplicate: true}, a.Results[5])
	require.Equal(t, "[6].id", a.Results[6].Errors[0].Field)
	require.Equal(t, wire.SubmitResult{ID: "task-002-3", Status: wire.StatusScheduled}, a.Results[7])

	faults := b.post("/tasks", `[{"type":"a","backoff":{"policy":"x"}},{"id":"-"}]`).faults(t)
	require.Contains(t, faults, "[0].backoff.policy")
	require.Contains(t, faults, "[1].type")
}

func TestPostOfALongArrayIsSplit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = wire.MaxGroupHTTP
	one := `{"type":"a","payload":"` + strings.Repeat("x", 200) + `"}`
	got := b.post("/tasks", "["+strings.Repeat(one+",", n-1)+one+"]")
	require.Equal(t, http.StatusAccepted, got.status, clipped(got.body))
	var a wire.BulkAnswer
	got.into(t, &a)
	require.Equal(t, n, a.Accepted)
	seen := map[string]bool{}
	for _, r := range a.Results {
		seen[r.ID] = true
	}
	require.Len(t, seen, n)
	members := 0
	for _, m := range b.submissions() {
		var group []json.RawMessage
		require.NoError(t, json.Unmarshal(m.Data, &group))
		require.LessOrEqual(t, len(group), wire.MaxGroup)
		members += len(group)
	}
	require.Equal(t, n, members)
	require.Equal(t, http.StatusBadRequest, b.post("/tasks", "["+strings.Repeat(one+",", n)+one+"]").status)
}

func TestConcurrentPostsAreGathered(t *testing.T) {
	t.Parallel()
	b := setupOn(t, natstest.Start(t, natstest.SyncAlways))
	const clients, each = 32, 10
	ids := make(chan string, clients*each)
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := range each {
				var a wire.SubmitAnswer
				b.post("/tasks", fmt.Sprintf(`{"type":"a","payload":[%d,%d]}`, c, i)).into(t, &a)
				ids <- a.ID
			}
		})
	}
	wait.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	require.Len(t, seen, clients*each, "every task has an id of its own")
	require.Less(t, len(b.submissions()), clients*each, "nothing was gathered")
	payloads := map[string]bool{}
	for id := range seen {
		var d wire.TaskDetail
		b.get("/tasks/"+id).into(t, &d)
		payloads[string(d.Payload)] = true
	}
	require.Len(t, payloads, clients*each, "an id names another task's payload")
}

func TestPostOfALargePayload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	payload := `{ "blob" : "` + strings.Repeat("é", 700_000) + `", "n": 1.10 }`
	got := b.post("/tasks", `{"type":"a","payload":`+payload+`,"id":"big"}`)
	require.Equal(t, http.StatusAccepted, got.status, string(got.body))
	msgs := b.submissions()
	require.Len(t, msgs, 1)
	h := msgs[0].Header
	require.True(t, strings.HasPrefix(h.Get(wire.HeaderPayloadObject), wire.IncomingObject("")))
	require.Equal(t, fmt.Sprint(len(payload)), h.Get(wire.HeaderPayloadBytes))
	require.Equal(t, wire.PayloadHash(json.RawMessage(payload)), h.Get(wire.HeaderPayloadHash))
	require.NotContains(t, string(msgs[0].Data), "payload")

	detail := b.get("/tasks/big")
	require.Equal(t, http.StatusOK, detail.status)
	require.Contains(t, string(detail.body), `"payload":`+payload+`,`, "not the bytes that came")
	require.Equal(t, http.StatusOK, b.post("/tasks", `{"type":"a","payload":`+payload+`,"id":"big"}`).status, "a duplicate")
}

func TestPostAboveTheLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"type":"a","payload":"` + strings.Repeat("x", httpapi.MaxBody) + `"}`
	b.post("/tasks", body).problem(t, http.StatusRequestEntityTooLarge)
	// Without a length the limit is found while reading.
	req := b.request(http.MethodPost, "/tasks", onlyReader{strings.NewReader(body)})
	req.ContentLength = -1
	b.send(req).problem(t, http.StatusRequestEntityTooLarge)
	require.Empty(t, b.submissions())
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a"}`).status)
}

type onlyReader struct{ r *strings.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

func TestPostWhileTheStreamIsFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, err := b.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1
	_, err = b.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a"}`).status)
	got := b.post("/tasks", `{"type":"a"}`)
	p := got.problem(t, http.StatusServiceUnavailable)
	require.Contains(t, p.Detail, "full")
	require.NotEmpty(t, got.header.Get("Retry-After"))
	b.post("/tasks", `[{"type":"a"},{"type":"b"}]`).problem(t, http.StatusServiceUnavailable)
}

// While NATS is away a client is told so long before a request would be given up.
func TestPostWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusAccepted, b.post("/tasks", `{"type":"a"}`).status)
	b.nats.Stop()
	require.Eventually(t, func() bool { return !b.js.Conn().IsConnected() }, soon, time.Millisecond)
	began := time.Now()
	got := b.post("/tasks", `{"type":"a"}`)
	got.problem(t, http.StatusServiceUnavailable)
	require.NotEmpty(t, got.header.Get("Retry-After"))
	require.Less(t, time.Since(began), httpapi.RequestTimeout, "it waited as long as for an answer")
	b.nats.StartAgain(t)
	require.Eventually(t, func() bool { return b.post("/tasks", `{"type":"a"}`).status == http.StatusAccepted }, soon, 10*time.Millisecond)
}
