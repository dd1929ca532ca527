package natstest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Disk is a small file system of its own that a test can really fill.
type Disk struct{ dir string }

// envMayMount marks a test process that was started again where it may mount.
const envMayMount = "BATUTA_TEST_MAY_MOUNT"

// OnSmallDisk runs a test on a file system of size bytes, which lives as long as the test.
// Mounting takes root; others run the same test once more in a user namespace of its own,
// where they may. Where not even that is allowed the test is skipped, and says so.
func OnSmallDisk(t *testing.T, size string, test func(t *testing.T, disk *Disk)) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv(envMayMount) == "" {
		inNamespace(t)
		return
	}
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size), "mount a small disk")
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	test(t, &Disk{dir: dir})
}

// inNamespace runs the calling test in another process that is root in its own namespace.
func inNamespace(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.Background(), exe, "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // the test itself
	cmd.Env = append(os.Environ(), envMayMount+"=1")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	err = cmd.Start()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("NOT TESTED: a full disk needs root, or user namespaces, to mount one: %v", err)
	}
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}

// Dir is where the disk is mounted.
func (d *Disk) Dir() string { return d.dir }

// Fill leaves no byte free.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.Create(d.ballast())
	require.NoError(t, err)
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
}

// Free gives back what Fill took.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Remove(d.ballast()))
}

func (d *Disk) ballast() string { return filepath.Join(d.dir, "ballast") }
