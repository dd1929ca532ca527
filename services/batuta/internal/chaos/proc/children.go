package proc

import (
	"context"
	"fmt"
	"slices"

	"github.com/shirou/gopsutil/v3/process"
)

// Children are the processes whose parent is pid, in order.
func Children(ctx context.Context, pid int) ([]int, error) {
	all, err := process.PidsWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []int
	for _, one := range all {
		p := &process.Process{Pid: one}
		if parent, err := p.PpidWithContext(ctx); err == nil && int(parent) == pid { // else it has ended
			out = append(out, int(one))
		}
	}
	slices.Sort(out)
	return out, nil
}
