//go:build !linux

package natstest

import "testing"

// Disk is a small file system of its own that a test can really fill.
type Disk struct{}

// OnSmallDisk runs a test on a file system of size bytes; here it has no way to mount one.
func OnSmallDisk(t *testing.T, _ string, _ func(t *testing.T, disk *Disk)) {
	t.Helper()
	t.Skip("NOT TESTED: a full disk is only made on Linux")
}

// Dir is where the disk is mounted.
func (*Disk) Dir() string { return "" }

// Fill leaves no byte free.
func (*Disk) Fill(testing.TB) {}

// Free gives back what Fill took.
func (*Disk) Free(testing.TB) {}
