// Package workercmd is the built-in worker process, `batuta worker`: the built-in task
// types behind the line protocol.
package workercmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/batuta-tasks/batuta/services/batuta/internal/builtin"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// memoryLimit makes the collector work harder before the process would exceed 64 MiB. It
// is soft: a large payload may go beyond. GOMEMLIMIT outranks it.
const memoryLimit = 44 << 20

// Run serves the pool at the other end of stdin and stdout until it says `drain`, or ctx
// ends, and all tasks have finished, and returns the exit status: 0, or 1 after a line on
// stderr. When stdin is closed it does not return but exits with 0 at once. env is as of
// os.Environ; read are BATUTA_FILES_DIR, BATUTA_EXEC_ALLOW, BATUTA_HEARTBEAT_MS,
// BATUTA_WORKER_ID. Where stdin and stdout are those of the process they are captured.
func Run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	if err := run(ctx, stdin, stdout, stderr, lookupIn(env)); err != nil {
		fmt.Fprintln(stderr, "batuta worker:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) (err error) {
	types, err := builtin.New(builtin.Config{
		FilesDir:  getenv("BATUTA_FILES_DIR"),
		ExecAllow: commands(getenv("BATUTA_EXEC_ALLOW")),
	})
	if err != nil {
		return fmt.Errorf("BATUTA_FILES_DIR: %w", err)
	}
	defer types.Close() //nolint:errcheck // nothing is left to lose
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if stdin == os.Stdin && stdout == os.Stdout {
		stdin, stdout = nil, nil // captured
	}
	mux := worker.NewMux()
	types.Register(mux)
	return worker.New(worker.Options{
		Mux: mux, Stdin: stdin, Stdout: stdout, Getenv: getenv, BeforeExit: types.KillChildren,
		Logger: slog.New(slog.NewTextHandler(stderr, nil)).With("worker_id", getenv("BATUTA_WORKER_ID")),
	}).Run(ctx)
}

// commands splits a list as the settings do.
func commands(list string) []string {
	var out []string
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// lookupIn reads a variable as os.Getenv does; of two the last counts.
func lookupIn(env []string) func(string) string {
	return func(name string) string {
		for _, pair := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
