package proc

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU times under /proc: the kernel shows hundredths of a second.
const tick = 10 * time.Millisecond

// CPU is what the processes and all their living descendants have used, and what those of
// the first have used that have ended.
func CPU(pids ...int) (time.Duration, error) {
	all, err := readAll()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range pids {
		for _, one := range family(all, pid) {
			sum += one.own
			if one.pid == pid {
				sum += one.ended
			}
		}
	}
	return time.Duration(sum) * tick, nil
}

// Memory is the proportional set size of the processes and their descendants in bytes: pages
// that several of them share count once.
func Memory(pids ...int) (int64, error) {
	all, err := readAll()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range pids {
		for _, one := range family(all, pid) {
			sum += pss(one.pid)
		}
	}
	return sum, nil
}

// Disk is the bytes of all files under dir.
func Disk(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what vanishes meanwhile takes no room
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// stat is one process.
type stat struct {
	pid, parent int
	// own and ended (of children that were waited for) in ticks.
	own, ended int64
}

func readAll() (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("CPU times: %w", err)
	}
	all := map[int]stat{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		if s, ok := parseStat(pid, string(b)); ok {
			all[pid] = s
		}
	}
	return all, nil
}

// parseStat reads proc_pid_stat(5); the name may hold spaces and brackets.
func parseStat(pid int, line string) (stat, bool) {
	i := strings.LastIndexByte(line, ')')
	if i < 0 {
		return stat{}, false
	}
	f := strings.Fields(line[i+1:])
	if len(f) < 15 {
		return stat{}, false
	}
	n := func(i int) int64 { v, _ := strconv.ParseInt(f[i], 10, 64); return v }
	return stat{pid: pid, parent: int(n(1)), own: n(11) + n(12), ended: n(13) + n(14)}, true
}

func family(all map[int]stat, root int) []stat {
	var out []stat
	for pid, s := range all {
		for at := pid; at > 1; at = all[at].parent {
			if at == root {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

func pss(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0 // it has ended
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// Children are the processes that a process has started and that live.
func Children(pid int) []int {
	all, err := readAll()
	if err != nil {
		return nil
	}
	var out []int
	for child, s := range all {
		if s.parent == pid {
			out = append(out, child)
		}
	}
	return out
}

// KillPID ends a process that a process of this benchmark has started.
func KillPID(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
