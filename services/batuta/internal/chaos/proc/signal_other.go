//go:build !unix

package proc

import (
	"errors"
	"os"
	"syscall"
)

// errNoSignals is returned where processes cannot be stopped and go on.
var errNoSignals = errors.New("this system has no signals to stop and continue processes")

func attr() *syscall.SysProcAttr { return nil }

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func terminate(int) error { return errNoSignals }
func freeze(int) error    { return errNoSignals }

// Thaw lets a process go on that was stopped where it stood.
func Thaw(int) error { return errNoSignals }

// Kill ends a process.
func Kill(pid int) error { return kill(pid) }

// Terminate asks a process to end.
func Terminate(pid int) error { return terminate(pid) }

// Freeze stops a process where it stands.
func Freeze(pid int) error { return freeze(pid) }

// Alive tells whether there is a process of this id.
func Alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p != nil
}
