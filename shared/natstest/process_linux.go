package natstest

import "syscall"

// dieWithParent keeps a server from outliving a test binary that was killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
