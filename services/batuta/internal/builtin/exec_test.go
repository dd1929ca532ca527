package builtin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type execResult struct {
	ExitCode       int
	Stdout, Stderr string
}

func (b *bench) exec(payload string) execResult {
	b.t.Helper()
	var r execResult
	require.NoError(b.t, json.Unmarshal([]byte(b.ok("exec", payload)), &r))
	return r
}

func TestExecRunsAllowedCommandsWithoutAShell(t *testing.T) {
	t.Parallel()
	b := newBench(t, "sh", "echo", "no-such-command")
	require.Equal(t, execResult{Stdout: "$HOME; *\n"}, b.exec(`{"command":"echo","args":["$HOME; *"]}`))
	require.Equal(t, execResult{Stdout: "in", Stderr: "err\n"}, b.exec(`{"command":"sh","args":["-c","cat; echo err >&2"],"stdin":"in"}`))
	require.Equal(t, b.dir, strings.TrimSpace(b.exec(`{"command":"sh","args":["-c","pwd -P"]}`).Stdout))
	require.Contains(t, b.refused("exec", `{"command":"/bin/sh"}`), "BATUTA_EXEC_ALLOW")
	require.Contains(t, b.refused("exec", `{"command":"no-such-command"}`), "not found")
	require.Contains(t, b.refused("exec", `{"command":"echo","args":["a\u0000b"]}`), "payload.args[0]")
}

func TestExecFailuresSayWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t, "sh")
	f := b.fails("exec", `{"command":"sh","args":["-c","echo out; echo it broke >&2; exit 3"]}`)
	require.Equal(t, "sh: exit code 3: it broke", f.Message)
	require.True(t, f.Retryable)
	f = b.fails("exec", `{"command":"sh","args":["-c","kill -9 $$"]}`)
	require.Equal(t, "sh: signal: killed", f.Message)
}

func TestExecOutputIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "sh")
	r := b.exec(`{"command":"sh","args":["-c","echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last"]}`)
	require.True(t, strings.HasPrefix(r.Stdout, "first\nxxx"))
	require.True(t, strings.HasSuffix(r.Stdout, "xxx\nlast\n"))
	require.Contains(t, r.Stdout, "\n[batuta: 1951436 bytes left out]\n") // 3,000,012 - 1 MiB
	require.Len(t, r.Stdout, 1<<20+len("\n[batuta: 1951436 bytes left out]\n"))
}

func TestExecDoesNotWaitForWhatItLeavesBehind(t *testing.T) {
	t.Parallel()
	b := newBench(t, "sh")
	require.Equal(t, "done\n", b.exec(`{"command":"sh","args":["-c","sleep 600 & echo done"]}`).Stdout)
}
