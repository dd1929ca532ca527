package program

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
)

// Not parallel: other tests would be the work that it waits for the end of.
func TestMemoryIsGivenBackOnceABurstIsOver(t *testing.T) {
	const burst = 256 << 20
	hold := make([][]byte, burst>>20)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { giveBack(ctx, 10*time.Millisecond) })
	for i := range hold {
		hold[i] = make([]byte, 1<<20)
	}
	runtime.GC()
	full := readMemory()
	require.Greater(t, full.mapped, uint64(burst))
	runtime.KeepAlive(hold)
	natstest.Eventually(t, func() error {
		if now := readMemory(); now.mapped > full.mapped-burst/2 {
			return fmt.Errorf("%d MiB of %d MiB are still there", now.mapped>>20, full.mapped>>20)
		}
		return nil
	})
}
