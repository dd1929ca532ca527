// Package proc starts the processes of a benchmark, speaks with them and stops them, each by
// its own id.
package proc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// Process is a process that this one has started.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	in   io.WriteCloser

	lines chan []byte
	ended chan struct{}
	err   error
	stop  sync.Once
}

// Options of Start.
type Options struct {
	Name string
	Args []string
	Env  []string
	// Dir is the working directory, Log the file for stderr.
	Dir string
	Log string
	// UID and GID, where not 0, are whom it runs as.
	UID, GID uint32
}

// stopTimeout is how long a process may take to end before it is killed.
const stopTimeout = 20 * time.Second

// Start starts a process. It dies with this one.
func Start(o Options) (*Process, error) {
	p := &Process{name: o.Name, lines: make(chan []byte, 1024), ended: make(chan struct{})}
	p.cmd = exec.Command(o.Args[0], o.Args[1:]...)
	p.cmd.Env, p.cmd.Dir = append(os.Environ(), o.Env...), o.Dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.UID != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.UID, Gid: o.GID}
	}
	if err := os.MkdirAll(filepath.Dir(o.Log), 0o755); err != nil {
		return nil, err
	}
	var err error
	if p.log, err = os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	go p.read(out)
	return p, nil
}

func (p *Process) read(out io.Reader) {
	s := bufio.NewScanner(out)
	for s.Scan() {
		p.lines <- bytes.Clone(s.Bytes())
	}
	_ = p.log.Sync()
	p.err = p.cmd.Wait()
	_ = p.log.Close()
	close(p.ended)
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the file of its stderr.
func (p *Process) Log() string { return p.log.Name() }

// Text waits for a line of text that has the prefix, and returns the rest of it.
func (p *Process) Text(ctx context.Context, prefix string) (string, error) {
	for {
		b, err := p.next(ctx, prefix)
		if err != nil {
			return "", err
		}
		if rest, ok := strings.CutPrefix(string(b), prefix); ok {
			return rest, nil
		}
	}
}

// Hear waits for a line with the given word.
func (p *Process) Hear(ctx context.Context, op string) (role.Line, error) {
	for {
		b, err := p.next(ctx, op)
		if err != nil {
			return role.Line{}, err
		}
		var l role.Line
		if err := json.Unmarshal(b, &l); err != nil {
			return l, fmt.Errorf("%s said %q: %w", p.name, b, err)
		}
		if l.Op == role.OpError {
			return l, fmt.Errorf("%s: %s", p.name, l.Error)
		}
		if l.Op == op {
			return l, nil
		}
	}
}

func (p *Process) next(ctx context.Context, what string) ([]byte, error) {
	select {
	case b := <-p.lines:
		return b, nil
	default:
	}
	select {
	case b := <-p.lines:
		return b, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended before it said %q: %w\n%s", p.name, what, errors.Join(p.err, io.ErrUnexpectedEOF), p.Tail())
	case <-ctx.Done():
		return nil, fmt.Errorf("%s did not say %q: %w\n%s", p.name, what, context.Cause(ctx), p.Tail())
	}
}

// Tail is the end of its stderr.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(len(b)-2000, 0):])
}

// Say sends a line.
func (p *Process) Say(op string) error {
	b, err := json.Marshal(role.Line{Op: op})
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(b, '\n'))
	return err
}

// Kill ends it at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // or it has ended
	<-p.ended
}

// Stop asks the process to end, by the given signal, and kills it where it does not.
func (p *Process) Stop(sig os.Signal) {
	p.stop.Do(func() {
		_ = p.in.Close()
		_ = p.cmd.Process.Signal(sig) // or it has ended
		t := time.NewTimer(stopTimeout)
		defer t.Stop()
		for {
			select {
			case <-p.ended:
				return
			case <-p.lines: // so that it does not wait for a reader
			case <-t.C:
				_ = p.cmd.Process.Kill()
			}
		}
	})
}
