//go:build unix && !linux

package proc

import "syscall"

// attr gives a child a process group of its own, so that Ctrl-C reaches this process only.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
