//go:build unix && !linux

package proc

import (
	"os/exec"
	"syscall"
)

// groupAttr gives a child a process group of its own. That its pool died it learns from
// its stdin.
func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// waitExited is false where a process cannot be waited for without reaping it.
func waitExited(*exec.Cmd) bool { return false }
