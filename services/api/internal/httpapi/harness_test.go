package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/services/api/internal/openapi"
	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// soon bounds waits for what should happen at once.
const soon = 30 * time.Second

// TestMain finds goroutines that nobody waited for. Two of the HTTP library's never end, or
// only within ten seconds: the clock of the Date header, and the sweep of idle workers.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// bundle is a server on a NATS of its own, and a client that checks every answer against
// the OpenAPI document.
type bundle struct {
	t      testing.TB
	nats   *natstest.Server
	js     jetstream.JetStream
	model  *kvModel
	addr   string
	client *http.Client
	server *httpapi.Server
	token  string
}

type option func(*httpapi.Deps)

func setup(t *testing.T, opts ...option) *bundle {
	t.Helper()
	return setupOn(t, natstest.Start(t), opts...)
}

func setupOn(t *testing.T, nats *natstest.Server, opts ...option) *bundle {
	t.Helper()
	js := nats.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{Budget: 1 << 30, Replicas: 1}))
	store, err := httpapi.OpenStore(t.Context(), js)
	require.NoError(t, err)
	b := &bundle{t: t, nats: nats, js: js, model: newKVModel(t, js)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.addr = listener.Addr().String()
	submitter := client.NewSubmitter(js, store.Objects())
	events := natsx.NewEvents(natsx.NewPublisher(js))
	deps := httpapi.Deps{
		Model: b.model, Store: store, Submit: submitter, Events: events, Access: httpapi.Access{Addr: b.addr},
		Defaults: wire.StandardDefaults, Dashboard: fstest.MapFS{}, Registry: prometheus.NewRegistry(),
		Log: obs.NewTestLogger(t.Output()), Version: "test",
	}
	for _, o := range opts {
		o(&deps)
	}
	b.server, err = httpapi.New(deps)
	require.NoError(t, err)
	b.client = &http.Client{Transport: newValidating(t)}
	b.serve(listener, submitter, events)
	return b
}

func (b *bundle) serve(l net.Listener, s *client.Submitter, e *natsx.Events) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.server.WatchTokens(ctx) })
	served := make(chan error, 1)
	running.Go(func() { served <- b.server.Serve(l) })
	b.t.Cleanup(func() {
		b.client.CloseIdleConnections()
		end, stop := context.WithTimeout(context.Background(), soon)
		defer stop()
		require.NoError(b.t, b.server.Shutdown(end))
		require.NoError(b.t, <-served)
		cancel()
		running.Wait()
		s.Close()
		e.Close(end)
	})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// into decodes an answer.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, v), string(a.body))
}

func (a answer) problem(t testing.TB, status int) wire.Problem {
	t.Helper()
	var p wire.Problem
	require.Equal(t, status, a.status, string(a.body))
	require.Equal(t, wire.ProblemType, a.header.Get("Content-Type"))
	a.into(t, &p)
	require.Equal(t, status, p.Status)
	require.Equal(t, http.StatusText(status), p.Title)
	require.NotEmpty(t, p.Detail)
	return p
}

// faults are the fields and rules of a 400.
func (a answer) faults(t testing.TB) map[string]string {
	t.Helper()
	p := a.problem(t, http.StatusBadRequest)
	require.NotEmpty(t, p.Errors)
	out := map[string]string{}
	for _, f := range p.Errors {
		out[f.Field] = f.Rule
	}
	return out
}

func (b *bundle) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.addr+path, body)
	require.NoError(b.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return req
}

func (b *bundle) send(req *http.Request) answer {
	b.t.Helper()
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return answer{resp.StatusCode, resp.Header, body}
}

func (b *bundle) do(method, path, body string) answer {
	b.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	return b.send(b.request(method, path, r))
}

func (b *bundle) get(path string) answer { b.t.Helper(); return b.do(http.MethodGet, path, "") }
func (b *bundle) post(path, body string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, path, body)
}

// validating checks every answer against the OpenAPI document: a status or shape that it
// lacks fails the test.
type validating struct {
	t        testing.TB
	next     *http.Transport
	doc      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
}

var document = sync.OnceValues(func() (*openapi.Document, error) { return openapi.New("test") })

func newValidating(t testing.TB) *validating {
	t.Helper()
	d, err := document()
	require.NoError(t, err)
	v := &validating{t: t, next: &http.Transport{MaxIdleConnsPerHost: 64}, compiler: jsonschema.NewCompiler()}
	require.NoError(t, json.Unmarshal(d.JSON, &v.doc))
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.JSON))
	require.NoError(t, err)
	require.NoError(t, v.compiler.AddResource("openapi.json", parsed))
	v.compiler.AssertFormat()
	return v
}

func (v *validating) CloseIdleConnections() { v.next.CloseIdleConnections() }

func (v *validating) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := v.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if req.Method != http.MethodHead {
		if err := v.check(req, resp, body); err != nil {
			v.t.Errorf("%s %s answered %d: %v\n%s", req.Method, req.URL.Path, resp.StatusCode, err, clipped(body))
		}
	}
	return resp, nil
}

func clipped(b []byte) string { return string(b[:min(len(b), 2000)]) }

func (v *validating) check(req *http.Request, resp *http.Response, body []byte) error {
	path := strings.TrimPrefix(req.URL.Path, "/api/v1")
	template, methods := v.find(path)
	op, ok := methods[strings.ToLower(req.Method)].(map[string]any)
	if !ok {
		return v.undocumented(path, resp.StatusCode, body)
	}
	responses, _ := op["responses"].(map[string]any)
	one, ok := responses[fmt.Sprint(resp.StatusCode)].(map[string]any)
	if !ok {
		return errors.New("the document lacks this status")
	}
	content, _ := one["content"].(map[string]any)
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case content == nil && len(body) == 0:
		return nil
	case content[kind] == nil:
		return fmt.Errorf("the document lacks the media type %q", kind)
	case !strings.HasSuffix(kind, "json"):
		return nil
	}
	pointer := strings.Join([]string{"#", "paths", escape(template), strings.ToLower(req.Method), "responses", fmt.Sprint(resp.StatusCode), "content", escape(kind), "schema"}, "/")
	return v.validate(pointer, body)
}

// undocumented answers are those of the dashboard, and problems.
func (v *validating) undocumented(path string, status int, body []byte) error {
	if path == "/" || strings.HasPrefix(path, "/ui") || strings.HasPrefix(path, "/favicon") || status == http.StatusNoContent {
		return nil
	}
	if !slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError}, status) {
		return errors.New("the document lacks this request")
	}
	return v.validate("#/components/schemas/Problem", body)
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

func (v *validating) validate(pointer string, body []byte) error {
	v.mu.Lock()
	schema, err := v.compiler.Compile("openapi.json" + pointer)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// find looks for the path's template; literal ones win.
func (v *validating) find(path string) (string, map[string]any) {
	paths, _ := v.doc["paths"].(map[string]any)
	if methods, ok := paths[path].(map[string]any); ok {
		return path, methods
	}
	for template, methods := range paths {
		if matches(template, path) {
			return template, methods.(map[string]any)
		}
	}
	return "", nil
}

func matches(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(a, b, func(x, y string) bool { return x == y || strings.HasPrefix(x, "{") && y != "" })
}
