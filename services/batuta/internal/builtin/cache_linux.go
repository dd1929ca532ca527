package builtin

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache gives back the page cache of a part of a file. It is advice: failing is harmless.
func dropCache(f *os.File, from, length int64) {
	if length >= cacheStep || from > 0 {
		_ = unix.Fadvise(int(f.Fd()), from, length, unix.FADV_DONTNEED)
	}
}
