package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Whoever makes a stream anew makes it go on above what is known of the old one: ids and
// fences would come twice otherwise.
func TestStreamsMadeAnewGoOnAbove(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	ctx := t.Context()
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{}))
	missing, err := topology.Missing(ctx, js)
	require.NoError(t, err)
	require.Empty(t, missing)
	for bucket, kv := range map[string][2]string{
		wire.BucketSettings: {wire.KeySequences, `{"BATUTA_SUBMIT":70,"BATUTA_READY":90}`},
		wire.BucketTasks:    {wire.KeyPosition, "55.0"},
	} {
		_, err := js.Publish(ctx, wire.KVSubject(bucket, kv[0]), []byte(kv[1]))
		require.NoError(t, err)
	}
	gone := []string{wire.StreamSubmit, wire.StreamControl, wire.StreamReady, wire.StreamEvents, wire.StreamWorkers, wire.StreamObjects}
	for _, name := range gone {
		require.NoError(t, js.DeleteStream(ctx, name))
	}
	missing, err = topology.Missing(ctx, js)
	require.NoError(t, err)
	require.ElementsMatch(t, gone, missing)
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{}))
	for stream, want := range map[string]uint64{
		wire.StreamSubmit: 70 + topology.LiftMargin, wire.StreamReady: 90 + topology.LiftMargin, wire.StreamEvents: 55, wire.StreamControl: 0,
	} {
		s, err := js.Stream(ctx, stream)
		require.NoError(t, err)
		last := s.CachedInfo().State.LastSeq
		if want > topology.LiftMargin {
			last++ // it begins there, with nothing in it
		}
		require.Equal(t, want, last, stream)
	}
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{}), "once more")
}
