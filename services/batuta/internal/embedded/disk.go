package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shirou/gopsutil/v3/disk"
)

// Shares of the disk: what is left free, so that the store is refused cleanly before the
// disk is really full, which would freeze it.
const (
	reservePercent = 10
	smallestStore  = 256 << 20
	// goOnAbove is how much must be free before a frozen store is opened again.
	goOnAbove = 32 << 20
)

// room is how many bytes the store may take: what it holds and what is free, less a reserve.
func (s *Server) room(ctx context.Context, dir string) (int64, error) {
	usage, err := disk.UsageWithContext(ctx, dir)
	if err != nil {
		return 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	var held int64
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that vanishes meanwhile is not held
		}
		if info, err := d.Info(); err == nil {
			held += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	free := int64(usage.Free) / 100 * (100 - reservePercent)
	if s.NATS() == nil && held+free < smallestStore { // a restart must not fail for that

		return 0, fmt.Errorf("%s: %d MB are free, at least %d MB are needed", dir, usage.Free>>20, smallestStore>>20)
	}
	return held + free, nil
}
