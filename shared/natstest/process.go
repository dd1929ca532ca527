package natstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// envServer makes a test binary a NATS server: the options as JSON.
const envServer = "BATUTA_TEST_NATS_SERVER"

// processOptions is what a server process is told.
type processOptions struct {
	Name, Dir, Cluster string
	Port, ClusterPort  int
	// Monitor is the port of the server's monitoring.
	Monitor    int
	Routes     []string
	SyncAlways bool
}

// ServeIfAsked turns this process into the NATS server that StartProcess asks for. Call it
// first in TestMain; it returns where this is a process of tests.
func ServeIfAsked() {
	asked := os.Getenv(envServer)
	if asked == "" {
		return
	}
	if err := serve(asked); err != nil {
		fmt.Fprintln(os.Stderr, "NATS server process:", err)
		os.Exit(1)
	}
	select {} // until a signal ends it
}

func serve(asked string) error {
	var p processOptions
	if err := json.Unmarshal([]byte(asked), &p); err != nil {
		return fmt.Errorf("read its options: %w", err)
	}
	o := &server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, JetStream: true, StoreDir: p.Dir, SyncAlways: p.SyncAlways,
		JetStreamMaxStore: maxStoreDefault, JetStreamMaxMemory: 1 << 30, NoLog: true,
		HTTPHost: "127.0.0.1", HTTPPort: p.Monitor,
	}
	if p.Cluster != "" {
		o.Cluster = server.ClusterOpts{Name: p.Cluster, Host: "127.0.0.1", Port: p.ClusterPort}
		for _, r := range p.Routes {
			u, err := url.Parse(r)
			if err != nil {
				return fmt.Errorf("route %s: %w", r, err)
			}
			o.Routes = append(o.Routes, u)
		}
	}
	_, err := launch(o)
	return err
}

// Process is a NATS server in a process of its own, which can be killed.
type Process struct {
	opts processOptions
	cmd  *exec.Cmd
}

// StartProcess runs a server on a free port that stores under t.TempDir(); its package's
// TestMain must call ServeIfAsked.
func StartProcess(t testing.TB, opts ...Option) *Process {
	t.Helper()
	ports := freePorts(t, 2)
	p := newProcess(t, opts, ports[0], ports[1])
	p.StartAgain(t)
	return p
}

func newProcess(t testing.TB, opts []Option, port, monitor int) *Process {
	t.Helper()
	o := options(t, opts)
	p := &Process{opts: processOptions{Name: o.ServerName, Dir: o.StoreDir, Port: port, Monitor: monitor, SyncAlways: o.SyncAlways}}
	t.Cleanup(p.end)
	return p
}

// StartAgain starts the server on its port and store; it must not be running.
func (p *Process) StartAgain(t testing.TB) {
	t.Helper()
	p.launch(t)
	p.WaitReady(t)
}

func (p *Process) launch(t testing.TB) {
	t.Helper()
	body, err := json.Marshal(p.opts)
	require.NoError(t, err)
	p.cmd = exec.Command(Program()) //nolint:gosec,noctx // the test itself; it ends by end, or by a fault
	p.cmd.Env = append(os.Environ(), envServer+"="+string(body))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = dieWithParent()
	require.NoError(t, p.cmd.Start(), "start the NATS server's process")
}

// WaitReady waits until JetStream answers.
func (p *Process) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, func() error {
		nc, err := nats.Connect(p.URL(), nats.Timeout(2*time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
		if err != nil {
			return err
		}
		_, err = js.AccountInfo(t.Context())
		return err
	})
}

// Signal sends the process a signal: SIGSTOP and SIGCONT, say.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// Kill ends the server with SIGKILL and waits for that.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	_ = p.cmd.Wait() // "signal: killed"
}

// Name is the server's name, by which JetStream tells who leads.
func (p *Process) Name() string { return p.opts.Name }

// URL is where clients connect.
func (p *Process) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", p.opts.Port) }

// MetaLeader is the name of the server that leads the cluster, as this one knows it; empty
// where it knows of none.
func (p *Process) MetaLeader() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/jsz", p.opts.Monitor), http.NoBody)
	if err != nil {
		return ""
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	var info server.JSInfo
	if err := json.NewDecoder(res.Body).Decode(&info); err != nil || info.Meta == nil {
		return ""
	}
	return info.Meta.Leader
}

// Dir is the server's store.
func (p *Process) Dir() string { return p.opts.Dir }

// JS is JetStream on a connection of its own; see Server.Conn.
func (p *Process) JS(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(connect(t, p.URL(), nil))
	require.NoError(t, err)
	return js
}

func (p *Process) end() {
	if p.cmd == nil || p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ClusterProcesses runs size servers (three or more) as processes joined by routes, and
// returns when all answer.
func ClusterProcesses(t testing.TB, size int, opts ...Option) []*Process {
	t.Helper()
	name := fmt.Sprintf("cluster-%d", serverCount.Add(1))
	ports := freePorts(t, 3*size)
	var routes []string
	for _, port := range ports[size : 2*size] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	all := make([]*Process, size)
	for i := range all {
		p := newProcess(t, opts, ports[i], ports[2*size+i])
		p.opts.Cluster, p.opts.ClusterPort, p.opts.Routes = name, ports[size+i], routes
		p.launch(t)
		all[i] = p
	}
	for _, p := range all {
		p.WaitReady(t)
	}
	waitReplicas(t, all[0].JS(t), size)
	return all
}

// waitReplicas waits until the cluster takes a stream with a copy on every server.
func waitReplicas(t testing.TB, js jetstream.JetStream, size int) {
	t.Helper()
	Eventually(t, func() error {
		_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "READY_PROBE", Storage: jetstream.MemoryStorage, Replicas: size})
		return err
	})
	Eventually(t, func() error { return js.DeleteStream(t.Context(), "READY_PROBE") })
}
