package workerpool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// What a NATS server process is told by its environment.
const (
	envStore = "BATUTA_TEST_STORE"
	envPort  = "BATUTA_TEST_PORT"
)

// runNATSProcess is a NATS server in a process of its own, which can be killed.
func runNATSProcess() {
	port, err := strconv.Atoi(os.Getenv(envPort))
	if err != nil {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "killed", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: os.Getenv(envStore), NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 28,
	})
	if err == nil {
		s.Start()
		if !s.ReadyForConnections(patience) {
			err = fmt.Errorf("the NATS server did not come up")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.ClientURL()) //nolint:forbidigo // the test reads it
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM)
	<-ends
	s.Shutdown()
	s.WaitForShutdown()
}

// natsProcess is a NATS server that a test can kill.
type natsProcess struct {
	t     testing.TB
	store string
	cmd   *exec.Cmd
	url   string
}

func startNATSProcess(t testing.TB) *natsProcess {
	t.Helper()
	p := &natsProcess{t: t, store: t.TempDir()}
	p.start("")
	t.Cleanup(p.kill)
	return p
}

func (p *natsProcess) start(port string) {
	p.t.Helper()
	exe, err := os.Executable()
	require.NoError(p.t, err)
	p.cmd = exec.CommandContext(context.Background(), exe)
	p.cmd.Env = append(os.Environ(), envRole+"=nats", envStore+"="+p.store, envPort+"="+port)
	p.cmd.Stderr = p.t.Output()
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(p.t, err)
	p.url = strings.TrimSpace(line)
}

func (p *natsProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// again starts the server on the same port and store.
func (p *natsProcess) again() {
	p.t.Helper()
	p.start(p.url[strings.LastIndexByte(p.url, ':')+1:])
}

// killForgetful kills the server, and takes from it what its lanes' consumers knew. It writes
// that up to 100 ms late; on a slow machine a test is later.
func (p *natsProcess) killForgetful() {
	p.t.Helper()
	p.kill()
	states, err := filepath.Glob(filepath.Join(p.store, "jetstream", "*", "streams", wire.StreamReady, "obs", "*", "o.dat"))
	require.NoError(p.t, err)
	require.NotEmpty(p.t, states)
	for _, state := range states {
		require.NoError(p.t, os.Remove(state))
	}
}

// newKillableSystem is a system on a NATS server that can be killed.
func newKillableSystem(t testing.TB) (*system, *natsProcess) {
	t.Helper()
	p := startNATSProcess(t)
	nc, err := nats.Connect(p.url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.Timeout(10*time.Second))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return newSystemOn(t, p.url, nc), p
}

func TestTheFenceGrowsAlthoughTheServerForgotTheHandOut(t *testing.T) {
	t.Parallel()
	sys, server := newKillableSystem(t)
	holder := sys.poolProcess()
	dir := t.TempDir()
	env := sys.task("file", dir)
	sys.submit(env)
	first := sys.await(env.ID, wire.StatusInProgress)
	server.killForgetful()
	require.NoError(t, holder.Process.Kill())
	server.again()
	sys.pool(shortLease)
	second := sys.awaitThat(env.ID, func(r *wire.Record) bool { return r.Fence > first.Fence })
	require.Equal(t, 1, second.Meta.Crashes)
	letGo(t, dir, second.Fence)
	rec := sys.await(env.ID, wire.StatusCompleted)
	require.Equal(t, second.Fence, rec.Fence)
	sys.awaitAcknowledged()
}

func TestAServerThatForgotItsAcknowledgementsRunsNothingTwice(t *testing.T) {
	t.Parallel()
	sys, server := newKillableSystem(t)
	p := sys.pool(func(c *workerpool.Config) { c.Lease = 20 * time.Second }, size(2, 8))
	dir := t.TempDir()
	long := sys.task("file", dir)
	var all []*wire.Envelope
	for i := range 40 {
		all = append(all, sys.task("echo", i))
	}
	sys.submit(append(all, long)...)
	sys.awaitRunning(long.ID, "")
	for _, env := range all[:20] {
		sys.await(env.ID, wire.StatusCompleted)
	}
	server.killForgetful()
	server.again()
	for _, env := range all {
		sys.await(env.ID, wire.StatusCompleted)
		starts := 0
		for _, n := range sys.names(env.ID) {
			if n == wire.EventStarted {
				starts++
			}
		}
		require.Equal(t, 1, starts, "%s: %v", env.ID, sys.names(env.ID))
	}
	natstest.Eventually(t, p.Ready)
	letGo(t, dir, wire.FirstFence(41))
	rec := sys.await(long.ID, wire.StatusCompleted)
	require.Equal(t, wire.FirstFence(41), rec.Fence, "its holder kept it")
	require.Equal(t, 0, rec.Meta.Crashes)
	sys.awaitAcknowledged()
}
