//go:build unix

package proc

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/shirou/gopsutil/v3/process"
)

func send(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %d: %w", s, pid, err)
	}
	return nil
}

func kill(pid int) error      { return send(pid, syscall.SIGKILL) }
func terminate(pid int) error { return send(pid, syscall.SIGTERM) }
func freeze(pid int) error    { return send(pid, syscall.SIGSTOP) }

// Thaw lets a process go on that was stopped where it stood.
func Thaw(pid int) error { return send(pid, syscall.SIGCONT) }

// Kill ends a process. As Terminate and Freeze it takes any, also one that was not started here.
func Kill(pid int) error { return kill(pid) }

// Terminate asks a process to end.
func Terminate(pid int) error { return terminate(pid) }

// Freeze stops a process where it stands.
func Freeze(pid int) error { return freeze(pid) }

// Alive tells whether a process of this id runs. One that has ended and that nobody has asked
// for how does not: where the first process of a container does not ask, it stays for ever.
func Alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	status, err := (&process.Process{Pid: int32(pid)}).Status()
	return err == nil && !slices.Contains(status, process.Zombie)
}
