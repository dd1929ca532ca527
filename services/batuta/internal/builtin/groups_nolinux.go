//go:build unix && !linux

package builtin

import "syscall"

// dieWithParent: the system has no such thing.
func dieWithParent(*syscall.SysProcAttr) {}
