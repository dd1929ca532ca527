package builtin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/shared/worker"
)

const (
	// killAfter is how long a cancelled command has between SIGTERM and SIGKILL; it is
	// below the shortest default grace of a pool.
	killAfter = 2 * time.Second
	// errorTail is how much of stderr an error shows.
	errorTail = 2 << 10
)

type execInput struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
	Stdin   string   `json:"stdin"`
}

type execResult struct {
	ExitCode int    `json:"exitCode"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
}

// exec runs an allowed command without a shell. Exit code 0 completes the task; another
// one fails the attempt, to be retried.
func (b *Types) exec(ctx context.Context, t *worker.Task) (any, error) {
	var in execInput
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	if !b.allow[in.Command] {
		return nil, refuse("payload.command: %q: is not among the commands in BATUTA_EXEC_ALLOW", in.Command)
	}
	if err := noNulls(in.Args); err != nil {
		return nil, err
	}
	cmd := exec.Command(in.Command, in.Args...) //nolint:noctx // ended below, with all its children
	if cmd.Err != nil {
		return nil, refuse("payload.command: %w", cmd.Err)
	}
	if b.files != nil {
		cmd.Dir = b.files.dirs[0]
	}
	var stdout, stderr clippedOutput
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in.Stdin), &stdout, &stderr
	if err := b.run(ctx, t, cmd); err != nil {
		return nil, commandError(ctx, in.Command, err, &stderr)
	}
	return execResult{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}

func noNulls(args []string) error {
	for i, a := range args {
		if strings.ContainsRune(a, 0) {
			return refuse("payload.args[%d]: must not hold a NUL character", i)
		}
	}
	return nil
}

// run starts the command in a process group of its own and waits. Whatever is left of the
// group at the end is killed: a child that went to the background is nobody's task.
func (b *Types) run(ctx context.Context, t *worker.Task, cmd *exec.Cmd) error {
	ownGroup(cmd)
	cmd.WaitDelay = killAfter // for output that a left-over child keeps open
	if err := b.groups.start(cmd); err != nil {
		return worker.Permanent(fmt.Errorf("start: %w", err))
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	err := b.await(ctx, t, cmd, done)
	b.groups.end(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

func (b *Types) await(ctx context.Context, t *worker.Task, cmd *exec.Cmd, done <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	cancelled := ctx.Done()
	var kill <-chan time.Time
	for start := time.Now(); ; {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		case <-cancelled:
			terminateGroup(cmd)
			cancelled, kill = nil, time.After(killAfter)
		case <-kill:
			killGroup(cmd)
		case <-tick.C:
			t.Step(fmt.Sprintf("running for %s", time.Since(start).Round(time.Second)))
		}
	}
}

func commandError(ctx context.Context, command string, err error, stderr *clippedOutput) error {
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", command, err)
	}
	tail := strings.TrimSpace(stderr.tail(errorTail))
	if tail != "" {
		tail = ": " + tail
	}
	if exit.ExitCode() < 0 {
		return fmt.Errorf("%s: %s%s", command, exit.ProcessState, tail)
	}
	return fmt.Errorf("%s: exit code %d%s", command, exit.ExitCode(), tail)
}
