package program

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not parallel: what other tests need would be work.
func TestMemoryIsGivenBackOnceABurstIsOver(t *testing.T) {
	const burst = 256 << 20
	g := giver{last: readMemory().allocated, looks: giveBackPause}
	hold := make([][]byte, burst>>20)
	for i := range hold {
		hold[i] = make([]byte, 1<<20)
	}
	require.False(t, g.look(), "it is at work")
	full := readMemory()
	require.Greater(t, full.mapped, uint64(burst))
	runtime.KeepAlive(hold)

	require.True(t, g.look())
	require.Less(t, readMemory().mapped, full.mapped-burst/2)
	for range 2 * giveBackPause {
		require.False(t, g.look(), "nothing was allocated since")
	}
}
