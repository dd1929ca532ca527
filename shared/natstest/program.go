package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is what runs as processes beside the tests; the test itself where it is empty.
var program string

// Program is the file to start for a process that is not the test: the test itself, or what
// WithoutRace has built.
func Program() string {
	if program != "" {
		return program
	}
	exe, err := os.Executable()
	if err != nil {
		panic(fmt.Sprintf("where the test itself lies: %v", err)) // nothing can be started then
	}
	return exe
}

// WithoutRace runs tests whose processes are as Batuta is shipped: where the race detector is
// on, which makes processes about four times as slow, it builds the tests of the package in
// the current directory once more without it, and Program gives that. For tests whose
// processes are killed: of a race in those nobody would hear, for the detector speaks by the
// exit status. Call it in TestMain; it gives the status of run.
func WithoutRace(run func() int) int {
	if !race {
		return run()
	}
	dir, err := os.MkdirTemp("", "batuta-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = buildWithoutRace(filepath.Join(dir, "processes.test"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the tests without the race detector:", err)
		return 1
	}
	return run()
}

func buildWithoutRace(file string) error {
	cmd := exec.Command("go", "test", "-c", "-race=false", "-trimpath", "-o", file, ".") //nolint:gosec,noctx // go test has a timeout
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	program = file
	return nil
}
