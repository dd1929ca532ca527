//go:build !linux

package builtin

import "os"

// dropCache does nothing: the system has no such advice.
func dropCache(*os.File, int64, int64) {}
