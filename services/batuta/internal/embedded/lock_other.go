//go:build !unix

package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// lock opens a file in the folder; where there are no advisory locks nothing keeps a second
// server away.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the lock: %w", err)
	}
	return f, nil
}
