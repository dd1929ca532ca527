package proc

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatWithAnyName(t *testing.T) {
	t.Parallel()
	s, ok := parseStat(7, "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 50 6 70 8 20 0 1 0")
	require.True(t, ok)
	require.Equal(t, stat{pid: 7, parent: 3, own: 56, ended: 78}, s)
	_, ok = parseStat(7, "7 (short")
	require.False(t, ok)
}

func TestAFamilyIsAProcessWithItsDescendants(t *testing.T) {
	t.Parallel()
	all := map[int]stat{
		1: {pid: 1}, 10: {pid: 10, parent: 1}, 11: {pid: 11, parent: 10}, 12: {pid: 12, parent: 11}, 20: {pid: 20, parent: 1},
	}
	pids := map[int]bool{}
	for _, s := range family(all, 10) {
		pids[s.pid] = true
	}
	require.Equal(t, map[int]bool{10: true, 11: true, 12: true}, pids)
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	_, err := CPU(os.Getpid())
	require.NoError(t, err)
	m, err := Memory(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, m, int64(1<<20))
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "f"), make([]byte, 1234), 0o600))
	n, err := Disk(dir)
	require.NoError(t, err)
	require.Equal(t, int64(1234), n)
}
