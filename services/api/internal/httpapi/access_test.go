package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// tokensFile has one token for each role, named like it.
func tokensFile(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	lines.WriteString("# who may do what\n\n")
	for _, role := range []string{"viewer", "submitter", "operator", "admin"} {
		lines.WriteString(hashOf("token-of-"+role) + "  " + role + "  Jo the " + role + "\n")
	}
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	return path
}

func withTokens(t *testing.T, path string, origins ...string) option {
	t.Helper()
	tokens, err := httpapi.LoadTokens(path, obs.NewTestLogger(t.Output()))
	require.NoError(t, err)
	return func(d *httpapi.Deps) { d.Access.Tokens, d.Access.Origins = tokens, origins }
}

func TestWithoutTokensOnlyLoopbackNamesAreServed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *httpapi.Deps) { d.Access.Origins = []string{"https://ops.example.com"} })
	for host, status := range map[string]int{
		"evil.example": 403, "evil.example:8080": 403, "127.0.0.1.evil.example": 403, "10.0.0.1:80": 403, "localhost.evil.example": 403,
		"localhost:8080": 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.8.8.8:1": 200, "[::1]:8080": 200, "batuta.localhost": 200,
		"ops.example.com": 200,
	} {
		req := b.request(http.MethodGet, "/stats", nil)
		req.Host = host
		require.Equal(t, status, b.send(req).status, host)
	}
}

func TestAddressesThatEverybodyCouldReachAreRefused(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:0": true, "0.0.0.0:8080": false, ":8080": false, "192.168.1.2:80": false, "[::]:80": false,
	} {
		err := (&httpapi.Access{Addr: addr}).Validate()
		require.Equal(t, ok, err == nil, addr)
		if !ok {
			require.ErrorContains(t, err, "BATUTA_HTTP_ADDR")
			require.NotContains(t, err.Error(), "\n")
		}
		require.NoError(t, (&httpapi.Access{Addr: addr, Insecure: true}).Validate())
		require.NoError(t, (&httpapi.Access{Addr: addr, Tokens: &httpapi.Tokens{}}).Validate())
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	b := setup(t, func(d *httpapi.Deps) { d.Access.Origins = []string{"https://ops.example.com"} })
	post := func(origin, fetchSite string) answer {
		req := b.request(http.MethodPost, "/tasks", strings.NewReader(`{"type":"a"}`))
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		if fetchSite != "" {
			req.Header.Set("Sec-Fetch-Site", fetchSite)
		}
		return b.send(req)
	}
	require.Equal(t, 202, post("", "").status)
	require.Equal(t, 202, post("http://"+b.addr, "same-origin").status)
	listed := post("https://ops.example.com", "cross-site")
	require.Equal(t, 202, listed.status)
	require.Equal(t, "https://ops.example.com", listed.header.Get("Access-Control-Allow-Origin"))
	for _, origin := range []string{"https://evil.example", "null", "http://ops.example.com", "https://ops.example.com.evil.example", "http://" + b.addr + "0", "garbage"} {
		got := post(origin, "")
		got.problem(t, http.StatusForbidden)
		require.Empty(t, got.header.Get("Access-Control-Allow-Origin"), origin)
	}
	post("", "cross-site").problem(t, http.StatusForbidden)

	read := b.request(http.MethodGet, "/stats", nil)
	read.Header.Set("Origin", "https://evil.example")
	got := b.send(read)
	require.Equal(t, 200, got.status)
	require.Empty(t, got.header.Get("Access-Control-Allow-Origin"))

	preflight := b.request(http.MethodOptions, "/tasks", nil)
	preflight.Header.Set("Origin", "https://ops.example.com")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	got = b.send(preflight)
	require.Equal(t, 204, got.status)
	require.Contains(t, got.header.Get("Access-Control-Allow-Methods"), "POST")
	require.Contains(t, got.header.Get("Access-Control-Allow-Headers"), "Authorization")
}

func TestRoles(t *testing.T) {
	t.Parallel()
	b := setup(t, withTokens(t, tokensFile(t)))
	b.record("x", wire.StatusPending, nil)
	for role, want := range map[string][3]int{ // read, submit, cancel
		"viewer": {200, 403, 403}, "submitter": {200, 202, 403}, "operator": {200, 202, 202}, "admin": {200, 202, 202},
	} {
		b.token = "token-of-" + role
		require.Equal(t, want[0], b.get("/stats").status, role)
		require.Equal(t, want[1], b.post("/tasks", `{"type":"a"}`).status, role)
		require.Equal(t, want[2], b.post("/tasks/x/cancel", "").status, role)
	}
	b.token = "token-of-viewer"
	require.Contains(t, b.post("/tasks", `{"type":"a"}`).problem(t, http.StatusForbidden).Detail, "submitter")
	require.Contains(t, b.post("/tasks/cancel", `{"type":"a"}`).problem(t, http.StatusForbidden).Detail, "operator")
	actors := map[string]bool{}
	for _, e := range b.audits("task.cancel", 2) {
		actors[e.Data.Actor] = true
	}
	require.True(t, actors["Jo the operator"] || actors["Jo the admin"])
	require.False(t, actors["Jo the viewer"] || actors["Jo the submitter"])
}

func TestTokensAreNeededForAllButProbesAndTheDashboard(t *testing.T) {
	t.Parallel()
	b := setup(t, withTokens(t, tokensFile(t)), withDashboard)
	for _, path := range []string{"/healthz", "/readyz", "/", "/ui/tasks", "/ui/assets/app-abc123.js", "/api/v1/healthz"} {
		require.Equal(t, http.StatusOK, b.get(path).status, path)
	}
	for _, path := range []string{"/tasks", "/stats", "/metrics", "/openapi.json", "/docs", "/ws", "/session", "/api/v1/tasks", "/nothing", "/api/v1/nothing"} {
		got := b.get(path)
		got.problem(t, http.StatusUnauthorized)
		require.Contains(t, got.header.Get("WWW-Authenticate"), "Bearer", path)
	}
	b.do(http.MethodPut, "/tasks", "").problem(t, http.StatusUnauthorized)
	require.Equal(t, http.StatusNoContent, b.do(http.MethodOptions, "/tasks", "").status, "browsers ask without a token")
	b.token = "token-of-nobody"
	require.Contains(t, b.get("/stats").header.Get("WWW-Authenticate"), "invalid_token")
	b.token = ""
	req := b.request(http.MethodGet, "/stats", nil)
	req.Header.Set("Authorization", "Basic dG9rZW4=")
	b.send(req).problem(t, http.StatusUnauthorized)
	req = b.request(http.MethodGet, "/stats", nil)
	req.Host = "batuta.example.com"
	req.Header.Set("Authorization", "bearer token-of-viewer")
	require.Equal(t, http.StatusOK, b.send(req).status, "tokens protect any host")
}

func TestSession(t *testing.T) {
	t.Parallel()
	b := setup(t, withTokens(t, tokensFile(t)))
	b.post("/session", `{"token":"wrong"}`).problem(t, http.StatusUnauthorized)
	require.Contains(t, b.post("/session", `{"tok":"wrong"}`).faults(t), "tok")
	require.Contains(t, b.post("/session", `{}`).faults(t), "token")
	in := b.post("/session", `{"token":"token-of-submitter"}`)
	require.JSONEq(t, `{"name":"Jo the submitter","role":"submitter"}`, string(in.body))
	cookie := in.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "path=/", "max-age="} {
		require.Contains(t, cookie, part)
	}
	require.NotContains(t, cookie, "token-of")
	pair, _, _ := strings.Cut(cookie, ";")
	with := func(method, path, body string) answer {
		req := b.request(method, path, strings.NewReader(body))
		req.Header.Set("Cookie", pair)
		return b.send(req)
	}
	require.Equal(t, http.StatusOK, with(http.MethodGet, "/stats", "").status)
	require.Equal(t, http.StatusAccepted, with(http.MethodPost, "/tasks", `{"type":"a"}`).status)
	require.JSONEq(t, `{"name":"Jo the submitter","role":"submitter"}`, string(with(http.MethodGet, "/session", "").body))
	out := with(http.MethodDelete, "/session", "")
	require.Equal(t, http.StatusNoContent, out.status)
	require.Contains(t, out.header.Get("Set-Cookie"), "1970")
}

func TestTokensFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := tokensFile(t)
	b := setup(t, withTokens(t, path))
	b.token = "new token"
	require.Equal(t, http.StatusUnauthorized, b.get("/stats").status)
	require.NoError(t, os.WriteFile(path, []byte(hashOf("new token")+" viewer newcomer\n"), 0o600))
	require.Eventually(t, func() bool { return b.get("/stats").status == http.StatusOK }, soon, 10*pollEvery)
	b.token = "token-of-admin"
	require.Equal(t, http.StatusUnauthorized, b.get("/stats").status, "a removed token is of no use at once")
}

func TestFaultyTokensFiles(t *testing.T) {
	t.Parallel()
	log := obs.NewTestLogger(t.Output())
	for content, want := range map[string]string{
		"":                               "no token",
		"abc viewer x":                   "line 1",
		"\n" + hashOf("a") + " boss x":   "line 2",
		hashOf("a") + " viewer":          "three parts",
		hashOf("a") + "00 viewer nobody": "64 hex digits",
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := httpapi.LoadTokens(path, log)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "BATUTA_TOKENS_FILE")
	}
	_, err := httpapi.LoadTokens(filepath.Join(t.TempDir(), "none"), log)
	require.ErrorContains(t, err, "BATUTA_TOKENS_FILE")
}
