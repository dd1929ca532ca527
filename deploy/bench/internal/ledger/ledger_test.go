package ledger_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/ledger"
)

func saved(t *testing.T, books ...*ledger.Book) *ledger.Ledger {
	t.Helper()
	dir := t.TempDir()
	for _, b := range books {
		require.NoError(t, b.Save(dir))
	}
	l, err := ledger.Read(dir)
	require.NoError(t, err)
	return l
}

func TestEachTaskOnce(t *testing.T) {
	t.Parallel()
	done := make(chan int64, 2)
	a, b := ledger.NewBook(50, func(at int64) { done <- at }), ledger.NewBook(100, nil)
	var wait sync.WaitGroup
	for n := range 100 {
		wait.Go(func() {
			if n%2 == 0 {
				a.Run(uint32(n), 1, nil)
			} else {
				b.Run(uint32(n), 1, nil)
			}
		})
	}
	wait.Wait()
	require.Len(t, done, 1, "the end is told once")
	l := saved(t, a, b)
	require.NoError(t, l.Once(100))
	require.Len(t, l.Waits(nil), 100)
	first, last := l.Span()
	require.Positive(t, first)
	require.Equal(t, last, max(<-done, last))

	require.Equal(t, &ledger.OnceError{Missing: 1}, l.Once(101))
	require.Equal(t, &ledger.OnceError{Unknown: 1}, l.Once(99))
}

func TestWhatRanTwiceIsFound(t *testing.T) {
	t.Parallel()
	a := ledger.NewBook(3, nil)
	for _, n := range []uint32{0, 1, 1, 1} {
		a.Run(n, 5, nil)
	}
	l := saved(t, a)
	require.Equal(t, &ledger.OnceError{Missing: 1, Repeated: 2}, l.Once(3))
	_, err := l.AtLeastOnce(3)
	require.Error(t, err)
	again, err := l.AtLeastOnce(2)
	require.NoError(t, err)
	require.Equal(t, 2, again)
}

// A process that is killed leaves what it had started, and at worst half an entry.
func TestStartsAreOnDiskAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := ledger.NewBook(2, nil)
	require.NoError(t, b.AtOnce(dir))
	inside := false
	b.Run(0, 7, func() {
		l, err := ledger.Read(dir)
		inside = err == nil && len(l.Entries) == 1 && l.Entries[0].Submitted == 7
	})
	require.True(t, inside)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{1, 2, 3})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	l, err := ledger.Read(dir)
	require.NoError(t, err)
	require.Len(t, l.Entries, 1)
}
