package worker_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// process starts this binary as a real worker process.
func process(t *testing.T) (*pool, *exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envProgram+"=1", "BATUTA_HEARTBEAT_MS=50")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p := &pool{t: t, in: in, done: make(chan error, 1)}
	p.read(out)
	require.Equal(t, wire.OpReady, p.next().Op)
	return p, cmd, &stderr
}

func (p *pool) waitFor(cmd *exec.Cmd) error {
	go func() {
		<-p.ended // Wait closes the pipe, so all must be read before
		p.done <- cmd.Wait()
	}()
	return p.wait()
}

func TestAProcessOutlivesNoPool(t *testing.T) {
	t.Parallel()
	p, cmd, _ := process(t)
	p.task("x", "forever", "null")
	require.Equal(t, "running", p.next().Message)
	require.Equal(t, wire.OpHeartbeat, p.any().Op)
	require.NoError(t, p.in.Close())
	require.NoError(t, p.waitFor(cmd))
}

func TestWhatHandlersPrintDoesNotBreakTheProtocol(t *testing.T) {
	t.Parallel()
	p, cmd, stderr := process(t)
	p.task("x", "print", "null")
	require.Equal(t, wire.LineFromWorker{Op: wire.OpResult, ID: "x"}, p.next())
	p.send(wire.LineToWorker{Op: wire.OpDrain})
	require.NoError(t, p.waitFor(cmd))
	require.Contains(t, stderr.String(), "this goes to stderr\nand so does this\nand this\n")
}

func TestABrokenPipeEndsTheProcess(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envProgram+"=1", "BATUTA_HEARTBEAT_MS=20")
	in, err := cmd.StdinPipe() // stays open: only stdout breaks
	require.NoError(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, out.Close())
	require.NoError(t, cmd.Wait())
}
