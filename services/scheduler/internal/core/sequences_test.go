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

func TestAStreamMadeAnewGoesOnAbove(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	js := natstest.Start(t).JS(t)
	ensure := func() { require.NoError(t, topology.Ensure(ctx, js, topology.Options{Budget: 1 << 30})) }
	ensure()
	c, err := core.Open(ctx, js, time.Second, obs.NewTestLogger(t.Output()))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(context.Background()) })
	for range 3 {
		_, err := js.Publish(ctx, wire.SubjectSubmit, nil)
		require.NoError(t, err)
	}
	require.NoError(t, c.NoteSequences(ctx))
	require.NoError(t, c.NoteSequences(ctx), "nothing new")
	require.NoError(t, c.LiftStreams(ctx))
	ack, err := js.Publish(ctx, wire.SubjectSubmit, nil)
	require.NoError(t, err)
	require.Equal(t, uint64(4), ack.Sequence, "what goes on is left alone")

	require.NoError(t, js.DeleteStream(ctx, wire.StreamSubmit))
	ensure()
	require.NoError(t, c.LiftStreams(ctx))
	ack, err = js.Publish(ctx, wire.SubjectSubmit, nil)
	require.NoError(t, err)
	require.Greater(t, ack.Sequence, uint64(1_000_000))
	ack, err = js.Publish(ctx, wire.CancelSubject("x"), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(1), ack.Sequence)
}
