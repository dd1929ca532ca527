package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler/internal/core"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// A replica that lags does not have the lane message that a cancel is to remove. Taken for
// gone, it would run.
func TestALaneMessageThatAReplicaHasNotGotYetIsFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := natstest.Start(t)
	require.NoError(t, topology.Ensure(ctx, srv.JS(t), topology.Options{Budget: 1 << 30}))
	js, left := natstest.Lagging(t, srv.Conn(t), wire.StreamReady, 2)
	c, err := core.Open(ctx, js, time.Second, obs.NewTestLogger(t.Output()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(context.Background()) })
	c.Replicated = true

	env := &wire.Envelope{ID: "a", Attempt: 1, Round: 1}
	env.Task.Type, env.Task.Queue, env.Task.Priority = "sleep", "default", wire.PriorityHigh
	ack, err := js.Publish(ctx, wire.ReadySubject("default", wire.PriorityHigh, "sleep"), env.Encode())
	require.NoError(t, err)

	found, _, err := c.LaneMessage(ctx, "a", ack.Sequence)
	require.NoError(t, err)
	require.NotNil(t, found)
	require.Equal(t, "a", found.ID)
	require.EqualValues(t, 1, left.Load(), "a copy was asked first")

	rec := &wire.Record{}
	rec.ID, rec.Status, rec.Meta.LaneSeq, rec.Meta.Round = "a", wire.StatusCancelled, ack.Sequence, 1
	require.NoError(t, c.Withdraw(ctx, rec))
	info, err := c.Stream(wire.StreamReady).Info(ctx)
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs)
}
