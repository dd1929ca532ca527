package worker_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const docs = "../../docs"

// The Node examples must run wherever the tests do: Node is needed to build the dashboard.
func TestTheNodeExamples(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "the tests need Node (https://nodejs.org)")
	for _, name := range []string{"worker.mjs", "worker-full.mjs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			example(t, node, name, strings.Contains(name, "full"))
		})
	}
}

// Python is no requirement of Batuta: its examples are run where it is installed.
func TestThePythonExamples(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("python3 is not installed: its examples were not run")
		return
	}
	for _, name := range []string{"worker.py", "worker-full.py"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			example(t, python, name, strings.Contains(name, "full"))
		})
	}
}

// example drives a worker through its life; a full one also takes cancels.
func example(t *testing.T, interpreter, name string, full bool) {
	t.Helper()
	p, cmd := interpreted(t, interpreter, name)
	p.task("x", "greet", `{"name": "Ñandú"}`)
	require.JSONEq(t, `{"greeting":"Hello, Ñandú"}`, string(p.outcome().Result))
	p.task("y", "greet", `null`)
	failed := p.outcome()
	require.Equal(t, wire.OpError, failed.Op)
	require.Equal(t, "y", failed.ID)
	require.Equal(t, wire.OpHeartbeat, p.any().Op)
	if full {
		p.task("z", "greet", `{"name": "z", "waitMs": 600000}`)
		require.Equal(t, wire.OpProgress, p.next().Op)
		for range 3 { // they go on while the handler works
			require.Equal(t, wire.OpHeartbeat, p.any().Op)
		}
		p.send(wire.LineToWorker{Op: wire.OpCancel, ID: "z", Reason: wire.CancelTimeout})
		require.Equal(t, "given up: timeout", p.outcome().Message)
	}
	p.send(wire.LineToWorker{Op: wire.OpDrain})
	require.NoError(t, p.waitFor(cmd))

	p, cmd = interpreted(t, interpreter, name)
	if full {
		p.task("z", "greet", `{"name": "z", "waitMs": 600000}`)
		require.Equal(t, wire.OpProgress, p.next().Op)
	}
	require.NoError(t, p.in.Close())
	require.NoError(t, p.waitFor(cmd))
}

func interpreted(t *testing.T, interpreter, name string) (*pool, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(interpreter, filepath.Join(docs, "examples", name))
	cmd.Env = append(os.Environ(), "BATUTA_HEARTBEAT_MS=100", "BATUTA_WORKER_ID=worker-1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p := &pool{t: t, in: in, done: make(chan error, 1)}
	p.read(out)
	ready := p.next()
	require.Equal(t, wire.OpReady, ready.Op)
	require.Equal(t, []string{"greet"}, ready.Types)
	return p, cmd
}

// outcome is the next result or error.
func (p *pool) outcome() wire.LineFromWorker {
	p.t.Helper()
	for {
		if l := p.next(); l.Op == wire.OpResult || l.Op == wire.OpError {
			return l
		}
	}
}

// The documentation shows what these tests have run.
func TestTheDocumentationShowsTheExamplesAsTheyAre(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(docs, "workers.md"))
	require.NoError(t, err)
	for _, name := range []string{"worker.mjs", "worker.py"} {
		code, err := os.ReadFile(filepath.Join(docs, "examples", name))
		require.NoError(t, err)
		require.Contains(t, string(page), string(code), name)
	}
	program, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, body, _ := strings.Cut(string(program), "func Example() {\n")
	body, _, _ = strings.Cut(body, "\tif os.Getenv")
	require.Contains(t, string(page), body)
}
