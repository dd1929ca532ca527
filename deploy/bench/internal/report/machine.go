package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where and when it was measured.
func machine() string {
	name := "an unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	kernel := runtime.GOOS
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%d cores of %s, %s, %s, %s", runtime.NumCPU(), name, kernel, runtime.Version(), time.Now().UTC().Format("2 January 2006"))
}
