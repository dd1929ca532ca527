package natstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is what runs as processes beside the tests; the test itself where it is empty.
var program string

// Program is the file to start for a process that is not the test: the test itself, or what
// BuildWithoutRace has built.
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

// BuildWithoutRace builds the tests of the package in the current directory once more, as
// Batuta is shipped: without the race detector, which makes processes about four times as
// slow. Program gives it from then on. For tests whose processes are killed: of a race in
// those nobody would hear, for the detector speaks by the exit status. Call it in TestMain;
// remove deletes what was built.
func BuildWithoutRace() (remove func(), err error) {
	dir, err := os.MkdirTemp("", "batuta-test-")
	if err != nil {
		return nil, fmt.Errorf("build the test without the race detector: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	file := filepath.Join(dir, "processes.test")
	cmd := exec.Command("go", "test", "-c", "-race=false", "-trimpath", "-o", file, ".") //nolint:gosec,noctx // go test has a timeout
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		remove()
		return nil, errors.Join(fmt.Errorf("build the test without the race detector: %w", err), errors.New(string(out)))
	}
	program = file
	return remove, nil
}
