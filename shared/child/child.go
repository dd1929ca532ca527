// Package child starts processes that are to die with this one.
package child

import (
	"os/exec"
	"runtime"
	"sync"
)

// Start starts a process from one thread that never ends: on Linux the signal that a child
// gets when its parent dies (Pdeathsig) is sent when the parent's *thread* ends.
func Start(cmd *exec.Cmd) error {
	starterOnce.Do(func() { go starter() })
	answer := make(chan error)
	starts <- startRequest{cmd, answer}
	return <-answer
}

type startRequest struct {
	cmd    *exec.Cmd
	answer chan error
}

var (
	starterOnce sync.Once
	starts      = make(chan startRequest)
)

func starter() {
	runtime.LockOSThread()
	for r := range starts {
		r.answer <- r.cmd.Start()
	}
}
