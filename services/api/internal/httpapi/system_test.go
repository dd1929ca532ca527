package httpapi_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const pollEvery = 10 * time.Millisecond

func TestListPassesOnWhatWasAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("x", wire.StatusFailed, nil)
	got := b.get("/tasks?status=failed,cancelled&type=image.*,demo&queue=&priority=high&worker=worker-1&tag=customer=a:b,k:v%20w&q=x&sort=-priority&limit=7&facets=1")
	require.Contains(t, got.faults(t), "tag", "a tag is key:value")
	got = b.get("/tasks?status=failed,cancelled&type=image.*,demo&queue=&tag=customer:a:b,k:v%20w&q=x&sort=priority&limit=7&facets=1")
	require.Equal(t, http.StatusOK, got.status, string(got.body))
	require.Equal(t, httpapi.Query{
		Filter: httpapi.Filter{
			Status: []wire.Status{wire.StatusFailed, wire.StatusCancelled}, Type: []string{"image.*", "demo"},
			Tag: []httpapi.Tag{{Key: "customer", Value: "a:b"}, {Key: "k", Value: "v w"}}, Prefix: "x",
		}, Sort: "priority", Limit: 7, Facets: true,
	}, b.model.asked)
	var page wire.TaskPage
	got.into(t, &page)
	require.Equal(t, 1, page.Total)
	require.NotNil(t, page.Facets)

	require.Equal(t, http.StatusOK, b.get("/tasks").status)
	require.Equal(t, httpapi.Query{Sort: "submittedAt", Descending: true, Limit: 50}, b.model.asked)
}

func TestListNamesEveryFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	faults := b.get("/tasks?status=done&staus=x&priority=urgent&sort=age&limit=5000&facets=yes&type=a..b&queue=a/b").faults(t)
	require.Len(t, faults, 8)
	require.Contains(t, faults["staus"], "status, type, queue")
	require.Contains(t, b.get("/tasks?cursor=bad").faults(t), "cursor")
	require.Contains(t, b.get("/tasks?status=failed&status=pending").faults(t)["status"], "twice")
	for _, path := range []string{
		"/stats", "/workers/status", "/pools", "/queues", "/openapi.json", "/docs", "/docs/style.css", "/metrics", "/healthz", "/readyz", "/session",
	} {
		require.Contains(t, b.get(path+"?a=1").faults(t), "a", path)
		require.Equal(t, http.StatusOK, b.get(path).status, path)
	}
}

func TestFaultsOfQueryAndBodyAreToldTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.set(func() { b.model.pools = []wire.PoolView{{Name: "default"}} })
	for _, c := range []struct {
		method, path, body string
		fields             []string
	}{
		{"POST", "/tasks?a=1", `{"type": "x", "prioritty": 1, "queue": "a b"}`, []string{"a", "prioritty", "queue"}},
		{"POST", "/tasks?a=1", `[{"type": "x"}, {"type": "x", "retries": 1}]`, []string{"[1].retries", "a"}},
		{"POST", "/tasks?a=1", `[]`, []string{"", "a"}},
		{"POST", "/tasks/cancel?a=1", `{"state": "x", "status": "done", "dryRun": 1}`, []string{"a", "dryRun", "state", "status"}},
		{"POST", "/tasks/x/cancel?a=1", `{"reason": "x"}`, []string{"a", "reason"}},
		{"PATCH", "/pools/default?a=1", `{"size": 1, "min": -1, "paused": "no"}`, []string{"a", "min", "paused", "size"}},
		{"PATCH", "/pools/default", `[]`, []string{""}},
		{"POST", "/tasks/delete", `{"status": ["done", "failed", "x"], "tag": ["a:b", "c"]}`, []string{"status[0]", "status[2]", "tag[1]"}},
		{"POST", "/tasks", "{\"type\": \"a\xff\"}", []string{""}},
		{"PATCH", "/pools/default", "{\"paused\": \"\xff\"}", []string{""}},
		{"PATCH", "/queues/default?a=1", `{"size": 1, "paused": "no"}`, []string{"a", "paused", "size"}},
		{"POST", "/session", `{"tokn": "x"}`, []string{"token", "tokn"}},
	} {
		got := b.do(c.method, c.path, c.body)
		require.Equal(t, c.fields, slices.Sorted(maps.Keys(got.faults(t))), c.path+" "+c.body)
	}
}

func TestEventsAndSeries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusOK, b.get("/events?task=x&event=task.failed,audit&since=2026-01-01T00:00:00Z&limit=3&cursor=10.2").status)
	require.Equal(t, httpapi.EventQuery{
		Task: "x", Event: []wire.EventName{wire.EventFailed, wire.EventAudit},
		Since: wire.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), Limit: 3, Before: wire.Position{Seq: 10, Index: 2},
	}, b.model.askedFor)
	require.Len(t, b.get("/events?event=task.dispatched&since=now&until=x&cursor=a&limit=-1&kind=x").faults(t), 6)
	require.Equal(t, http.StatusOK, b.get("/stats/series?window=1h&step=15s").status)
	require.Equal(t, http.StatusOK, b.get("/stats/series").status)
	require.Len(t, b.get("/stats/series?window=48h&step=1ms").faults(t), 2)
	require.Contains(t, b.get("/stats/series?window=1m&step=2m").faults(t), "step")
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.do(http.MethodPut, "/tasks/x", "{}")
	got.problem(t, http.StatusMethodNotAllowed)
	require.Equal(t, "DELETE, GET, HEAD, OPTIONS", got.header.Get("Allow"))
	require.Equal(t, "GET, HEAD, OPTIONS, POST", b.do(http.MethodDelete, "/api/v1/tasks", "").header.Get("Allow"))
	b.do(http.MethodPost, "/stats", "").problem(t, http.StatusMethodNotAllowed)
	b.do(http.MethodPost, "/", "").problem(t, http.StatusMethodNotAllowed)
	b.get("/nothing").problem(t, http.StatusNotFound)
	b.get("/Tasks").problem(t, http.StatusNotFound)
	b.get("/api/v2/tasks").problem(t, http.StatusNotFound)
	b.do(http.MethodPatch, "/nothing/there", "").problem(t, http.StatusNotFound)
	require.Equal(t, http.StatusOK, b.do(http.MethodHead, "/stats", "").status)
	options := b.do(http.MethodOptions, "/tasks", "")
	require.Equal(t, http.StatusNoContent, options.status)
	require.Equal(t, "GET, HEAD, OPTIONS, POST", options.header.Get("Allow"))
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusOK, b.get("/healthz").status)
	require.Equal(t, http.StatusOK, b.get("/readyz").status)
	b.model.set(func() { b.model.notReady = errors.New("the read model is 12 events behind") })
	require.Contains(t, b.get("/readyz").problem(t, http.StatusServiceUnavailable).Detail, "12 events behind")
	require.Equal(t, http.StatusOK, b.get("/healthz").status)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record("x", wire.StatusFailed, nil)
	b.model.set(func() {
		b.model.totals.CountFinished(wire.StatusCompleted, "demo")
		for _, ms := range []float64{0.05, 3, 50, 7000} {
			b.model.totals.DurationMs.Add(ms)
		}
		b.model.workers.Workers = []wire.WorkerView{{ID: "worker-1", Pool: "default", Status: wire.WorkerBusy}}
		b.model.pools = []wire.PoolView{{Name: "default", Desired: new(3), Running: 2}}
		b.model.queues = []wire.QueueView{{Name: "default", Depth: wire.Depth{High: 4}, OldestWaitMs: new(int64(1500))}}
	})
	got := b.get("/metrics")
	require.Equal(t, http.StatusOK, got.status, string(got.body))
	require.Contains(t, got.header.Get("Content-Type"), "text/plain; version=0.0.4")
	for _, line := range []string{
		`batuta_tasks{status="failed"} 1`, `batuta_tasks{status="pending"} 0`, `batuta_tasks_finished_total{outcome="completed",type="demo"} 1`,
		`batuta_task_duration_seconds_count 4`, `batuta_task_duration_seconds_bucket{le="+Inf"} 4`, `batuta_task_duration_seconds_bucket{le="0.0001"} 1`,
		`batuta_task_duration_seconds_bucket{le="0.0064"} 2`, `batuta_task_wait_seconds_count 0`,
		`batuta_workers{pool="default",status="busy"} 1`, `batuta_pool_desired_workers{pool="default"} 3`,
		`batuta_queue_depth{priority="high",queue="default"} 4`, `batuta_queue_oldest_wait_seconds{queue="default"} 1.5`,
	} {
		require.Contains(t, string(got.body), line+"\n")
	}
	require.Contains(t, string(b.get("/metrics").body), `batuta_http_requests_total{method="GET",route="/metrics",status="200"} 1`)
}

func withDashboard(d *httpapi.Deps) {
	d.Dashboard = fstest.MapFS{
		"index.html":           {Data: []byte("<!doctype html><title>dashboard</title>")},
		"favicon.svg":          {Data: []byte("<svg/>")},
		"assets/app-abc123.js": {Data: []byte(strings.Repeat("console.log(1);\n", 200))},
	}
}

func TestDashboardFiles(t *testing.T) {
	t.Parallel()
	b := setup(t, withDashboard)
	for _, path := range []string{"/", "/ui", "/ui/", "/ui/tasks/task-104", "/ui/tasks?status=failed"} {
		got := b.get(path)
		require.Equal(t, http.StatusOK, got.status, path)
		require.Contains(t, string(got.body), "<title>dashboard</title>", path)
		require.Contains(t, got.header.Get("Content-Type"), "text/html", path)
		require.Equal(t, "no-cache", got.header.Get("Cache-Control"), path)
		require.Contains(t, got.header.Get("Content-Security-Policy"), "default-src 'self'", path)
		require.Contains(t, got.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
	}
	script := b.get("/ui/assets/app-abc123.js") // Go's client asks for gzip and undoes it
	require.Contains(t, script.header.Get("Content-Type"), "javascript")
	require.Contains(t, script.header.Get("Cache-Control"), "immutable")
	require.Len(t, script.body, 200*len("console.log(1);\n"))
	b.get("/ui/assets/app-old.js").problem(t, http.StatusNotFound)
	require.Equal(t, "<svg/>", string(b.get("/ui/favicon.svg").body))

	req := b.request(http.MethodGet, "/ui/assets/app-abc123.js", nil)
	req.Header.Set("Accept-Encoding", "gzip;q=0, br")
	coded := b.send(req)
	require.Equal(t, "br", coded.header.Get("Content-Encoding"))
	require.Less(t, len(coded.body), len(script.body))
	plain, err := io.ReadAll(brotli.NewReader(bytes.NewReader(coded.body)))
	require.NoError(t, err)
	require.Equal(t, script.body, plain)
	req = b.request(http.MethodGet, "/ui/assets/app-abc123.js", nil)
	req.Header.Set("If-None-Match", coded.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, b.send(req).status)
}

func TestDashboardThatIsNotBuilt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.get("/")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, string(got.body), "make build")
}

func TestDescriptionOfTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	b.get("/openapi.json").into(t, &doc)
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.Contains(t, doc.Paths["/tasks/{id}/logs"], "get")
	page := string(b.get("/docs").body)
	require.Contains(t, page, "/tasks/{id}/logs")
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "http://")
	require.NotContains(t, page, "https://")
	require.Contains(t, b.get("/docs/style.css").header.Get("Content-Type"), "text/css")
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := wire.NewWorkerView(&wire.Worker{ID: "worker-1", Pool: "default", Status: wire.WorkerIdle, StartedAt: 1, LastHeartbeat: wire.Now()}, wire.Now())
	b.model.set(func() {
		b.model.workers.Workers = []wire.WorkerView{w}
		b.model.workers.Ended = []wire.EndedWorker{{WorkerView: w, EndedAt: wire.Now(), Reason: "drain"}}
	})
	require.Equal(t, http.StatusOK, b.get("/workers/status").status)
	var one wire.WorkerView
	b.get("/workers/worker-1").into(t, &one)
	require.Equal(t, "worker-1", one.ID)
	b.get("/workers/worker-2").problem(t, http.StatusNotFound)
	require.Equal(t, http.StatusAccepted, b.post("/workers/worker-1/drain", "").status)
	kv, err := b.js.KeyValue(t.Context(), wire.BucketWorkers)
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), wire.WorkerCommandKey("worker-1"))
	require.NoError(t, err)
	require.Contains(t, string(e.Value()), `"command":"drain"`)
	require.Equal(t, http.StatusAccepted, b.post("/workers/worker-1/kill", "").status)
	b.post("/workers/worker-2/kill", "").problem(t, http.StatusNotFound)
	require.Len(t, b.audits("worker.kill", 1), 1)
	require.Equal(t, "worker-1", b.audits("worker.drain", 1)[0].Data.Target)
}

func TestPools(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.set(func() {
		b.model.pools = []wire.PoolView{{Name: "default", Min: 1, Max: 4, Queues: []string{"default"}, Instances: []wire.InstanceView{{ID: "i"}}}}
	})
	require.Equal(t, http.StatusOK, b.get("/pools").status)
	require.Equal(t, http.StatusOK, b.get("/pools/default").status)
	b.get("/pools/other").problem(t, http.StatusNotFound)
	b.do(http.MethodPatch, "/pools/other", `{"max":2}`).problem(t, http.StatusNotFound)

	var p wire.PoolView
	b.do(http.MethodPatch, "/pools/default", `{"max":8}`).into(t, &p)
	require.Equal(t, 8, p.Max)
	b.do(http.MethodPatch, "/pools/default", `{"min":6,"paused":true}`).into(t, &p)
	require.Equal(t, [3]any{6, 8, true}, [3]any{p.Min, p.Max, p.Paused})
	kv, err := b.js.KeyValue(t.Context(), wire.BucketSettings)
	require.NoError(t, err)
	stored := func() string {
		e, err := kv.Get(t.Context(), wire.PoolSettingsKey("default"))
		require.NoError(t, err)
		return string(e.Value())
	}
	require.JSONEq(t, `{"min":6,"max":8,"paused":true}`, stored())
	require.Contains(t, b.do(http.MethodPatch, "/pools/default", `{"max":5}`).faults(t)["max"], "6")
	require.Contains(t, b.do(http.MethodPatch, "/pools/default", `{"min":9}`).faults(t)["min"], "8")
	require.Len(t, b.do(http.MethodPatch, "/pools/default", `{"min":-1,"max":"x","paused":null}`).faults(t), 3)
	require.Contains(t, b.do(http.MethodPatch, "/pools/default", `{"size":3}`).faults(t), "size")
	require.Contains(t, b.do(http.MethodPatch, "/pools/default", `{}`).faults(t), "")
	require.JSONEq(t, `{"min":6,"max":8,"paused":true}`, stored(), "what is refused changes nothing")
	require.Equal(t, http.StatusOK, b.do(http.MethodPatch, "/pools/default", `{"min":null,"max":null,"paused":false}`).status)
	require.JSONEq(t, `{"paused":false}`, stored())
	require.Len(t, b.audits("pool.change", 3), 3)
	changed := b.audits("pool.changed", 3)
	require.Equal(t, "default", changed[0].Pool)
	require.JSONEq(t, `{"max":8}`, string(changed[0].Data.Change))
}

func TestQueues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.set(func() {
		b.model.queues = []wire.QueueView{{Name: "default", ServedBy: []string{}, Types: map[string]wire.QueueLimits{}}}
	})
	require.Equal(t, http.StatusOK, b.get("/queues").status)
	require.Equal(t, http.StatusOK, b.get("/queues/default").status)
	b.get("/queues/other").problem(t, http.StatusNotFound)
	b.post("/queues/other/pause", "").problem(t, http.StatusNotFound)
	var q wire.QueueView
	b.post("/queues/default/pause", "").into(t, &q)
	require.True(t, q.Paused)
	require.Equal(t, http.StatusOK, b.post("/queues/default/pause", "").status)
	kv, err := b.js.KeyValue(t.Context(), wire.BucketSettings)
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), wire.QueueSettingsKey("default"))
	require.NoError(t, err)
	require.JSONEq(t, `{"paused":true}`, string(e.Value()))
	b.post("/queues/default/resume", "").into(t, &q)
	require.False(t, q.Paused)
	b.do(http.MethodPatch, "/queues/default", `{"paused":true,"maxConcurrent":null}`).into(t, &q)
	require.True(t, q.Paused)
	require.Len(t, b.audits("queue.pause", 2), 2, "a pause of a paused queue changes nothing")
	require.Len(t, b.audits("queue.paused", 2), 2)
	require.Len(t, b.audits("queue.resumed", 1), 1)
	require.Contains(t, b.do(http.MethodPatch, "/queues/default", `{"paused":"yes"}`).faults(t), "paused")
	e, err = kv.Get(t.Context(), wire.QueueSettingsKey("default"))
	require.NoError(t, err)
	require.JSONEq(t, `{"paused":true}`, string(e.Value()), "a refused change changes nothing")
}

func TestTheDescriptionNamesWhatIsAnsweredAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var doc struct {
		Paths map[string]map[string]any
	}
	b.get("/openapi.json").into(t, &doc)
	fill := strings.NewReplacer("{id}", "some", "{name}", "some")
	for path := range doc.Paths {
		documented := map[string]bool{} // also what a path with a parameter takes
		for template, methods := range doc.Paths {
			for m := range methods {
				if template == path || matches(template, path) {
					documented[strings.ToUpper(m)] = true
				}
			}
		}
		for _, prefix := range []string{"", "/api/v1"} {
			allow := b.do(http.MethodOptions, prefix+fill.Replace(path), "").header.Get("Allow")
			answered := slices.DeleteFunc(strings.Split(allow, ", "), func(m string) bool { return m == http.MethodHead || m == http.MethodOptions })
			require.ElementsMatch(t, answered, slices.Collect(maps.Keys(documented)), path)
		}
	}
}
