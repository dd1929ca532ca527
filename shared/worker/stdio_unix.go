//go:build unix

package worker

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// captureStdio takes stdin and stdout for the protocol alone. It works on the descriptors,
// not only on the variables of package os: C code, child processes and variables that
// were set from os.Stdout before would write into the protocol otherwise, and a child that
// reads stdin would take lines away.
func captureStdio() (io.Reader, io.Writer, error) {
	in, err := private(0, "stdin")
	if err != nil {
		return nil, nil, err
	}
	out, err := private(1, "stdout")
	if err != nil {
		return nil, nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, fmt.Errorf("open: %w", err)
	}
	defer null.Close() //nolint:errcheck // only read
	if err := unix.Dup2(int(null.Fd()), 0); err != nil {
		return nil, nil, fmt.Errorf("replace stdin: %w", err)
	}
	if err := unix.Dup2(2, 1); err != nil {
		return nil, nil, fmt.Errorf("replace stdout: %w", err)
	}
	return in, out, nil
}

// private is a copy of a descriptor that child processes do not inherit.
func private(fd int, name string) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicate %s: %w", name, err)
	}
	return os.NewFile(uintptr(n), name), nil
}
