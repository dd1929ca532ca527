package ledger_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
)

func TestWhatManyWriteIsReadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := ledger.Create(dir, "worker-1")
	require.NoError(t, err)
	var wg sync.WaitGroup
	failed := make(chan error, 40)
	for i := range 20 {
		wg.Go(func() {
			failed <- w.Write(ledger.Began, "task-"+strconv.Itoa(i), i+1, uint64(i))
			failed <- w.Sync()
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	r := ledger.NewReader(dir)
	defer r.Close()
	seen := map[string]ledger.Entry{}
	got, err := r.Next()
	require.NoError(t, err)
	for _, e := range got {
		seen[e.ID] = e
	}
	require.Len(t, got, 20)
	require.Len(t, seen, 20)
	e := seen["task-7"]
	require.Equal(t, ledger.Began, e.Kind)
	require.Equal(t, 8, e.Attempt)
	require.EqualValues(t, 7, e.Fence)
	require.Equal(t, os.Getpid(), e.PID)
	require.Equal(t, "worker-1", e.Worker)

	require.NoError(t, w.Write(ledger.Succeeded, "task-7", 8, 7))
	other, err := ledger.Create(dir, "worker-2")
	require.NoError(t, err)
	require.NoError(t, other.Write(ledger.Yielded, "x", 1, 1))
	got, err = r.Next()
	require.NoError(t, err)
	require.Len(t, got, 2, "only what is new")
	require.NoError(t, w.Close())
	require.NoError(t, other.Close())
}

func TestALineThatWasCutOffWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.ledger")
	r := ledger.NewReader(filepath.Dir(name))
	defer r.Close()
	add := func(text string) []ledger.Entry {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		got, err := r.Next()
		require.NoError(t, err)
		return got
	}
	require.Empty(t, add("began task-1 1 1025 17"))
	require.Len(t, add("00 42 worker-1\nfailed task-1"), 1)
	require.NoError(t, os.WriteFile(name+".ledger", []byte("nonsense\n"), 0o600))
	_, err := r.Next()
	require.ErrorContains(t, err, `"nonsense" is not a line`)
}
