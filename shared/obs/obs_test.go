package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/obs"
)

func TestLoggerFormats(t *testing.T) {
	t.Parallel()
	var text, other bytes.Buffer
	log, err := obs.NewLogger(&text, "warn", "text")
	require.NoError(t, err)
	log.Info("quiet")
	log.Warn("loud", obs.KeyTaskID, "task-104", obs.Err(errors.New("broken")))
	require.NotContains(t, text.String(), "quiet")
	require.Contains(t, text.String(), "level=WARN msg=loud task_id=task-104 err=broken\n")

	log, err = obs.NewLogger(&other, "debug", "")
	require.NoError(t, err)
	log.Debug("to a buffer")
	var line map[string]any
	require.NoError(t, json.Unmarshal(other.Bytes(), &line), "what is no terminal gets JSON")
	require.Equal(t, "to a buffer", line[slog.MessageKey])
	require.True(t, strings.HasSuffix(line[slog.TimeKey].(string), "Z"), "times are UTC")
}

func TestLoggerToAFileThatIsNoTerminal(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, null.Close()) }()
	log, err := obs.NewLogger(null, "info", "")
	require.NoError(t, err)
	require.IsType(t, &slog.JSONHandler{}, log.Handler())
}

func TestLoggerRefusesNonsense(t *testing.T) {
	t.Parallel()
	_, err := obs.NewLogger(io.Discard, "shout", "text")
	require.ErrorContains(t, err, "shout")
	_, err = obs.NewLogger(io.Discard, "info", "xml")
	require.ErrorContains(t, err, "xml")
}

type ops struct {
	server  *obs.Server
	healthy atomic.Pointer[string]
	ready   atomic.Pointer[string]
}

func check(reason *atomic.Pointer[string]) obs.Check {
	return func(context.Context) error {
		if r := reason.Load(); r != nil {
			return errors.New(*r)
		}
		return nil
	}
}

func start(t *testing.T) *ops {
	t.Helper()
	o := &ops{}
	o.server = obs.NewServer(obs.Config{
		Addr:    "127.0.0.1:0",
		Healthy: check(&o.healthy),
		Ready:   obs.All(check(&o.healthy), check(&o.ready)),
		Metrics: obs.NewRegistry("test", "v1"),
		Log:     obs.NewTestLogger(t.Output()),
	})
	require.NoError(t, o.server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, o.server.Stop(context.Background())) })
	return o
}

func (o *ops) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+o.server.Addr()+path, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(data)
}

func TestHealthAndReadinessSayWhy(t *testing.T) {
	t.Parallel()
	o := start(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		status, body := o.get(t, path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "ok\n", body)
	}
	require.NoError(t, obs.Healthcheck(t.Context(), o.server.Addr()))

	why := "NATS does not answer"
	o.ready.Store(&why)
	status, body := o.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, why+"\n", body)
	status, _ = o.get(t, "/healthz")
	require.Equal(t, http.StatusOK, status)
	require.ErrorContains(t, obs.Healthcheck(t.Context(), o.server.Addr()), why)

	o.healthy.Store(&why)
	status, _ = o.get(t, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

func TestMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	o := start(t)
	_, metrics := o.get(t, "/metrics")
	require.Contains(t, metrics, `batuta_build_info{service="test",version="v1"} 1`)
	require.Contains(t, metrics, "go_goroutines")
	status, profile := o.get(t, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, profile, "goroutine profile:")
	status, _ = o.get(t, "/elsewhere")
	require.Equal(t, http.StatusNotFound, status)
}

func TestTakenPortIsOneLine(t *testing.T) {
	t.Parallel()
	o := start(t)
	second := obs.NewServer(obs.Config{Addr: o.server.Addr(), Log: obs.NewTestLogger(t.Output())})
	err := second.Start(t.Context())
	require.EqualError(t, err, `BATUTA_OPS_ADDR: cannot listen on "`+o.server.Addr()+
		`": bind: address already in use (rule: a free address of this machine)`)
	require.NoError(t, second.Stop(t.Context()))
}

func TestServerWithoutAddressDoesNothing(t *testing.T) {
	t.Parallel()
	s := obs.NewServer(obs.Config{})
	require.NoError(t, s.Start(t.Context()))
	require.Empty(t, s.Addr())
	require.NoError(t, s.Stop(t.Context()))
}

func TestServerStartsAgain(t *testing.T) {
	t.Parallel()
	s := obs.NewServer(obs.Config{Addr: "127.0.0.1:0", Log: obs.NewTestLogger(t.Output())})
	for range 3 {
		require.NoError(t, s.Start(t.Context()))
		require.ErrorIs(t, s.Start(t.Context()), lifecycle.ErrStarted)
		require.NoError(t, obs.Healthcheck(t.Context(), s.Addr()))
		require.NoError(t, s.Stop(t.Context()))
		require.Error(t, obs.Healthcheck(t.Context(), s.Addr()))
	}
}

func TestHealthcheckAddresses(t *testing.T) {
	t.Parallel()
	o := start(t)
	_, port, err := net.SplitHostPort(o.server.Addr())
	require.NoError(t, err)
	for _, host := range []string{"", "0.0.0.0"} {
		require.NoError(t, obs.Healthcheck(t.Context(), net.JoinHostPort(host, port)))
	}
	require.ErrorContains(t, obs.Healthcheck(t.Context(), ""), "no ops address")
}

func TestVersionLine(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^scheduler \S+ \(commit \S+, built \S+, go1\.\d+(\.\d+)? \w+/\w+\)$`, obs.VersionLine("scheduler"))
}
