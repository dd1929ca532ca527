package scheduler_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// A server that was killed may know that a lane message was acknowledged, and hold it all the
// same: no consumer delivers it again, and none removes it.
func TestStrandedLaneMessagesOfEndedTasksAreRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ended := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	open := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.start()
	b.dispatched(open)
	b.dispatched(ended)
	first, second := b.run(ended, 1, 0), b.run(open, 1, 0)

	// Its consumer goes on after both: so both are stranded, and one of them has ended.
	st, err := b.js.Stream(t.Context(), wire.StreamReady)
	require.NoError(t, err)
	_, err = st.ResetConsumerToSequence(t.Context(), wire.Lane{Queue: "default", Priority: wire.PriorityMedium}.Consumer(), max(first.seq, second.seq)+1)
	require.NoError(t, err)
	b.emit(began(first, wire.FirstFence(first.seq)), completed(first, wire.FirstFence(first.seq)))
	b.status(ended, wire.StatusCompleted)
	require.Len(t, b.lane(ended), 1)

	natstest.Eventually(t, func() error {
		if left := len(b.lane(ended)); left > 0 {
			return fmt.Errorf("%d messages of the ended task are left", left)
		}
		return nil
	})
	require.Len(t, b.lane(open), 1, "the open task keeps its message")
}
