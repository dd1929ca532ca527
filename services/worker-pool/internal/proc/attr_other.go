//go:build !unix

package proc

import (
	"os"
	"os/exec"
	"syscall"
)

func groupAttr() *syscall.SysProcAttr { return nil }

// waitExited is false where a process cannot be waited for without reaping it.
func waitExited(*exec.Cmd) bool { return false }

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func exitOf(s *os.ProcessState) Exit {
	if s == nil {
		return Exit{Code: -1}
	}
	return Exit{Code: s.ExitCode()}
}
