package up_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/up"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// system is a running system, seen from outside.
type system struct {
	url, natsURL string
	dir          string
	// stop stops it in order; a second call does nothing.
	stop func(t *testing.T)
	// nats stops and starts the NATS server of a system that has one of its own; else nil.
	nats *natstest.Server
}

// starter starts a system that keeps everything in a folder.
type starter func(t *testing.T, dir string, flags ...string) *system

// both runs a test against the system in one process, and against one of separate
// processes on one NATS server.
func both(t *testing.T, test func(t *testing.T, start starter)) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]starter{"up": startUp, "processes": startProcesses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

// flagsOf are the settings of every system under test.
func flagsOf(dir string, more []string) ([]string, error) {
	exe, err := os.Executable()
	return append([]string{
		"--worker-command=" + exe + " worker", "--lease=2s", "--heartbeat=200ms", "--hung-after=2s", "--files-dir=" + dir,
	}, more...), err
}

func settingsOf(dir string, flags ...string) (*settings.Settings, error) {
	fs := pflag.NewFlagSet("up", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Up)
	flags, err := flagsOf(dir, append([]string{"--http-addr=127.0.0.1:0", "--nats-addr=127.0.0.1:0", "--data-dir=" + dir, "--sync=1s"}, flags...))
	if err != nil {
		return nil, err
	}
	if err := fs.Parse(flags); err != nil {
		return nil, err
	}
	return settings.Load(fs, nil)
}

// startUp is `batuta up`.
func startUp(t *testing.T, dir string, flags ...string) *system {
	t.Helper()
	set, err := settingsOf(dir, flags...)
	require.NoError(t, err)
	sys := up.New(set, obs.NewTestLogger(t.Output()))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, sys.Start(ctx))
	s := &system{url: "http://" + sys.Addr(), natsURL: sys.NATSURL(), dir: dir}
	s.stop = func(t *testing.T) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, sys.Stop(ctx))
	}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// startProcesses runs each service as a process of its own.
func startProcesses(t *testing.T, dir string, flags ...string) *system {
	t.Helper()
	store := filepath.Join(dir, "store")
	ns := natstest.Start(t, func(o *server.Options) { o.StoreDir, o.SyncInterval = store, time.Second })
	s := &system{natsURL: ns.URL(), dir: dir, nats: ns}
	httpAddr := freeAddr(t)
	s.url = "http://" + httpAddr
	flags, err := flagsOf(dir, append([]string{"--nats-url=" + ns.URL(), "--http-addr=" + httpAddr}, flags...))
	require.NoError(t, err)
	var all []*process
	for name := range specs {
		all = append(all, startService(t, name, flags))
	}
	for _, p := range all {
		p.awaitReady(t)
	}
	s.stop = func(t *testing.T) {
		t.Helper()
		for _, p := range all {
			p.stop(t)
		}
		ns.Stop()
	}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// process is one service.
type process struct {
	name, ops string
	cmd       *exec.Cmd
	ended     chan struct{}
}

func startService(t *testing.T, name string, flags []string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{name: name, ops: freeAddr(t), ended: make(chan struct{})}
	p.cmd = exec.Command(exe, "service", name) // it ends with its stdin
	for _, f := range append([]string{"--ops-addr=" + p.ops}, flags...) {
		key, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		p.cmd.Env = append(p.cmd.Env, "BATUTA_"+strings.ToUpper(strings.ReplaceAll(key, "-", "_"))+"="+value)
	}
	p.cmd.Env = append(p.cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "TMPDIR="+os.TempDir())
	p.cmd.Stdout, p.cmd.Stderr = t.Output(), t.Output()
	stdin, err := p.cmd.StdinPipe() // its end tells the service that the test is gone
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is in ProcessState
		_ = stdin.Close()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // where it was not stopped in order
		<-p.ended
	})
	return p
}

func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	natstest.Eventually(t, func() error {
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %v", p.name, p.cmd.ProcessState)
		default:
		}
		res, err := http.Get("http://" + p.ops + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: /readyz answers %d", p.name, res.StatusCode)
		}
		return nil
	})
}

// stop sends SIGTERM and wants the exit code 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
		require.Zero(t, p.cmd.ProcessState.ExitCode(), "%s: %v", p.name, p.cmd.ProcessState)
	case <-time.After(time.Minute):
		t.Fatalf("%s did not stop on SIGTERM", p.name)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (s *system) do(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	code, out, _ := s.ask(t, method, path, body)
	return code, out
}

// ask is do with the headers of the answer.
func (s *system) ask(t *testing.T, method, path string, body any) (int, map[string]any, http.Header) {
	t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(t, err)
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, in)
	require.NoError(t, err)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var out map[string]any
	if len(raw) > 0 {
		require.NoError(t, json.Unmarshal(raw, &out), "%s %s: %d %s", method, path, res.StatusCode, raw)
	}
	return res.StatusCode, out, res.Header
}

func (s *system) submit(t *testing.T, task string) string {
	t.Helper()
	code, out := s.do(t, http.MethodPost, "/tasks", task)
	require.Equal(t, http.StatusAccepted, code, "%v", out)
	return out["id"].(string)
}

// until polls a task until it has the status.
func (s *system) until(t *testing.T, id, status string) map[string]any {
	t.Helper()
	var task map[string]any
	natstest.Eventually(t, func() error {
		code, out := s.do(t, http.MethodGet, "/tasks/"+id, nil)
		if code != http.StatusOK || out["status"] != status {
			return fmt.Errorf("GET /tasks/%s: %d, status %v, error %v", id, code, out["status"], out["error"])
		}
		task = out
		return nil
	})
	return task
}
