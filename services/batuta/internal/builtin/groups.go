package builtin

import (
	"errors"
	"os/exec"
	"sync"
)

// groups knows the process groups that run.
type groups struct {
	mu      sync.Mutex
	running map[*exec.Cmd]struct{}
	closed  bool
}

var errClosing = errors.New("the worker is ending")

func (g *groups) start(cmd *exec.Cmd) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errClosing
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if g.running == nil {
		g.running = map[*exec.Cmd]struct{}{}
	}
	g.running[cmd] = struct{}{}
	return nil
}

func (g *groups) end(cmd *exec.Cmd) {
	g.mu.Lock()
	defer g.mu.Unlock()
	killGroup(cmd)
	delete(g.running, cmd)
}

// killAll kills all; nothing starts any more.
func (g *groups) killAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for cmd := range g.running {
		killGroup(cmd)
	}
}
