package topology_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestEnsureByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var g errgroup.Group
	for range 4 {
		js := s.JS(t)
		g.Go(func() error { return topology.Ensure(context.Background(), js, topology.Options{}) })
	}
	require.NoError(t, g.Wait())
	js := s.JS(t)
	for _, want := range topology.Streams(topology.StandardBudget, 1) {
		_, err := js.Stream(t.Context(), want.Name)
		require.NoError(t, err, want.Name)
	}
	_, err := js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}), "a second time")
}

func TestEnsureFitsTheDisk(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, natstest.MaxStore(512<<20))
	js := s.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	st, err := js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.Less(t, st.CachedInfo().Config.MaxBytes, int64(512<<20))
	require.Positive(t, st.CachedInfo().Config.MaxBytes)
}

func TestEnsureNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: wire.StreamReady, Subjects: []string{wire.SubjectReadyAll}, Retention: jetstream.LimitsPolicy,
	})
	require.NoError(t, err)
	err = topology.Ensure(t.Context(), js, topology.Options{})
	var bad *topology.IncompatibleError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "stream BATUTA_READY exists with retention = Limits, wanted WorkQueue: change or remove it", bad.Error())
}

func TestLeaseIsSetOnce(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	first, err := topology.Lease(t.Context(), js, 3*time.Second)
	require.NoError(t, err)
	second, err := topology.Lease(t.Context(), js, 9*time.Second)
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, first)
	require.Equal(t, first, second)
}

func TestLanesArePausedWithTheirQueue(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	ctx := t.Context()
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{}))
	require.NoError(t, topology.EnsureLanes(ctx, js, "mail", 5*time.Second, true))
	paused := func() bool {
		c, err := js.Consumer(ctx, wire.StreamReady, wire.LaneConsumer("mail", wire.PriorityHigh))
		require.NoError(t, err)
		return c.CachedInfo().Paused
	}
	require.True(t, paused())
	require.NoError(t, topology.ResumeLanes(ctx, js, "mail"))
	require.False(t, paused())
	require.NoError(t, topology.PauseLanes(ctx, js, "mail"))
	require.NoError(t, topology.EnsureLanes(ctx, js, "mail", 5*time.Second, false), "a pool that starts")
	require.True(t, paused(), "keeps the pause")
}
