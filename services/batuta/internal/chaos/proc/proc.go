// Package proc runs the processes of a chaos run: it starts, stops, kills and revives them,
// and lets none outlive this process.
package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/child"
)

// Spec says what a process is.
type Spec struct {
	// Name of the process in the report, for example scheduler-1.
	Name string
	// Path and Args of the program, Env as of os.Environ.
	Path string
	Args []string
	Env  []string
	// LogDir is where its output goes, appended over all its lives.
	LogDir string
	Log    *slog.Logger
}

// Process is a program that is started again whenever it has ended, until Close.
type Process struct {
	spec Spec
	out  *os.File

	mu      sync.Mutex
	cmd     *exec.Cmd
	begun   time.Time
	ended   chan struct{} // closed when cmd has ended
	held    bool          // is not to be started again for now
	wanted  bool          // its end was asked for
	closed  bool
	lives   int
	strange []string
	wake    chan struct{}
	done    chan struct{}
}

// again is how long a process that ended by itself stays away, as with a service manager.
const again = 200 * time.Millisecond

// Start runs the program and keeps it running.
func Start(spec Spec) (*Process, error) {
	out, err := os.OpenFile(filepath.Join(spec.LogDir, spec.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := p.launch(); err != nil {
		_ = out.Close()
		return nil, err
	}
	go p.keep()
	return p, nil
}

// Name of the process.
func (p *Process) Name() string { return p.spec.Name }

func (p *Process) launch() error {
	cmd := exec.Command(p.spec.Path, p.spec.Args...) //nolint:noctx // it lives until it is killed
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.spec.Env, p.out, p.out, attr()
	if err := child.Start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.begun, p.ended, p.wanted = cmd, time.Now(), ended, false
	p.lives++
	closed := p.closed
	p.mu.Unlock()
	if closed {
		_ = cmd.Process.Kill()
	}
	go func() {
		_ = cmd.Wait() // what there is to know stands in ProcessState
		close(ended)
	}()
	return nil
}

// keep starts the program again after each end.
func (p *Process) keep() {
	defer close(p.done)
	for {
		p.mu.Lock()
		cmd, ended := p.cmd, p.ended
		p.mu.Unlock()
		<-ended
		p.note(cmd)
		if !p.awaitTurn() {
			return
		}
		for p.launch() != nil {
			if !p.pause(again) {
				return
			}
		}
	}
}

// note remembers an end that nobody asked for. A service that finds no NATS server at its
// start ends with 1 and is simply started again.
func (p *Process) note(cmd *exec.Cmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted || p.closed {
		return
	}
	p.spec.Log.Info("a process ended by itself", "process", p.spec.Name, "how", cmd.ProcessState.String())
	if cmd.ProcessState.ExitCode() != 1 {
		p.strange = append(p.strange, fmt.Sprintf("%s ended by itself: %s", p.spec.Name, cmd.ProcessState))
	}
}

// awaitTurn waits until the program may be started again; false at the end.
func (p *Process) awaitTurn() bool {
	for {
		p.mu.Lock()
		held, wanted, closed := p.held, p.wanted, p.closed
		p.mu.Unlock()
		switch {
		case closed:
			return false
		case held:
			<-p.wake
		case wanted:
			return true
		default:
			return p.pause(again)
		}
	}
}

func (p *Process) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-p.wake:
		}
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return false
		}
	}
}

func (p *Process) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// PID of the process; 0 while there is none.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid()
}

func (p *Process) pid() int {
	select {
	case <-p.ended:
		return 0
	default:
		return p.cmd.Process.Pid
	}
}

// Strange lists the ends that nobody asked for.
func (p *Process) Strange() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.strange...)
}

// Lives is how often it was started.
func (p *Process) Lives() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives
}

// errDown is returned where there is no process to do something to.
var errDown = errors.New("it is down already")

// Kill ends the process with SIGKILL; it stays away until Revive.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid := p.pid()
	if pid == 0 {
		return fmt.Errorf("kill %s: %w", p.spec.Name, errDown)
	}
	p.wanted, p.held = true, true
	return kill(pid)
}

// infancy is how long a process may take until it hears signals: before, one ends it.
const infancy = 5 * time.Second

// Terminate asks the process to end and waits for that; it stays away until Revive. The
// error says that it did not end with 0.
func (p *Process) Terminate(ctx context.Context) error {
	p.mu.Lock()
	pid, ended, cmd, young := p.pid(), p.ended, p.cmd, time.Since(p.begun) < infancy
	if pid == 0 {
		p.mu.Unlock()
		return fmt.Errorf("stop %s: %w", p.spec.Name, errDown)
	}
	p.wanted, p.held = true, true
	err := terminate(pid)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		_ = kill(pid)
		<-ended
		return fmt.Errorf("stop %s: it did not end in time", p.spec.Name)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 && !young {
		return fmt.Errorf("stop %s: %s instead of 0", p.spec.Name, cmd.ProcessState)
	}
	return nil
}

// Revive lets a process that was killed or stopped be started again.
func (p *Process) Revive() {
	p.mu.Lock()
	p.held = false
	p.mu.Unlock()
	p.poke()
}

// Freeze stops the process where it stands (SIGSTOP), Thaw lets it go on.
func (p *Process) Freeze() error { return p.signal(freeze) }

// Thaw undoes Freeze.
func (p *Process) Thaw() error { return p.signal(Thaw) }

func (p *Process) signal(f func(int) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid := p.pid()
	if pid == 0 {
		return fmt.Errorf("signal %s: %w", p.spec.Name, errDown)
	}
	return f(pid)
}

// Close kills the process and waits for its end.
func (p *Process) Close() {
	p.mu.Lock()
	p.closed, p.wanted, p.held = true, true, false
	pid := p.pid()
	if pid != 0 {
		_ = kill(pid)
	}
	p.mu.Unlock()
	p.poke()
	<-p.done
	_ = p.out.Close()
}
