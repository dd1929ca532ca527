package builtin

import "syscall"

// dieWithParent covers the one end that no code of ours sees: SIGKILL to the worker.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
