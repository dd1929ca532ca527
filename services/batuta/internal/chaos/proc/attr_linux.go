package proc

import "syscall"

// attr gives a child a process group of its own, so that Ctrl-C reaches this process only,
// and its death with this one's, however that ends.
func attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
