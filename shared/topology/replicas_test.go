package topology_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// A system that began with one copy of everything gets more when its cluster has grown, or
// when it is told to; what is stored, and what lanes know, stays.
func TestEnsureAddsReplicas(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 3)
	js := servers.JS(t)
	ctx := t.Context()
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{Replicas: 1}))
	require.NoError(t, topology.EnsureLanes(ctx, js, "mail", 5*time.Second, false))
	for range 3 {
		_, err := js.Publish(ctx, wire.ReadySubject("mail", wire.PriorityHigh, "a"), nil)
		require.NoError(t, err)
	}
	lane, err := js.Consumer(ctx, wire.StreamReady, wire.LaneConsumer("mail", wire.PriorityHigh))
	require.NoError(t, err)
	held, err := lane.Fetch(1)
	require.NoError(t, err)
	for m := range held.Messages() {
		require.NoError(t, m.DoubleAck(ctx))
	}

	require.NoError(t, topology.Ensure(ctx, js, topology.Options{ClusterSize: 3}))
	names := []string{wire.StreamObjects}
	for _, want := range topology.Streams(topology.StandardBudget, 1) {
		names = append(names, want.Name)
	}
	for _, name := range names {
		natstest.Eventually(t, func() error {
			s, err := js.Stream(ctx, name)
			if err != nil {
				return err
			}
			info := s.CachedInfo()
			if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
				return fmt.Errorf("%s has %d replicas", name, info.Config.Replicas)
			}
			for _, peer := range info.Cluster.Replicas {
				if !peer.Current {
					return fmt.Errorf("%s is not current on %s", name, peer.Name)
				}
			}
			return nil
		})
	}
	natstest.Eventually(t, func() error {
		lane, err := js.Consumer(ctx, wire.StreamReady, wire.LaneConsumer("mail", wire.PriorityHigh))
		if err != nil {
			return err
		}
		if i := lane.CachedInfo(); i.NumPending != 2 || i.NumAckPending != 0 || i.Cluster == nil || len(i.Cluster.Replicas) != 2 {
			return fmt.Errorf("the lane has %d pending, %d held", i.NumPending, i.NumAckPending)
		}
		// Until both copies know what the lane knows, the loss of its first server is the
		// loss of the lane's only copy.
		for _, peer := range lane.CachedInfo().Cluster.Replicas {
			if !peer.Current {
				return fmt.Errorf("the lane is not current on %s", peer.Name)
			}
		}
		return nil
	})
	require.NoError(t, topology.Ensure(ctx, js, topology.Options{Replicas: 1}), "fewer are never made of more")
	s, err := js.Stream(ctx, wire.StreamSubmit)
	require.NoError(t, err)
	require.Equal(t, 3, s.CachedInfo().Config.Replicas)

	servers.Server(0).Stop()
	natstest.Eventually(t, func() error {
		lane, err := js.Consumer(ctx, wire.StreamReady, wire.LaneConsumer("mail", wire.PriorityHigh))
		if err != nil {
			return err
		}
		got, err := lane.FetchNoWait(1)
		if err != nil {
			return err
		}
		for range got.Messages() {
			return nil
		}
		return errors.Join(errors.New("nothing is handed out"), got.Error())
	})
}

// A stream that acknowledges before it writes loses what it acknowledged when its server
// dies: it is not used.
func TestEnsureRefusesAsynchronousPersistence(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: wire.StreamSubmit, Subjects: []string{wire.SubjectSubmit, wire.SubjectSubmitAll}, Discard: jetstream.DiscardNew,
		AllowDirect: true, PersistMode: jetstream.AsyncPersistMode,
	})
	require.NoError(t, err)
	err = topology.Ensure(t.Context(), js, topology.Options{})
	var bad *topology.IncompatibleError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "persist_mode", bad.Setting)
}

// What nobody has read yet must not age away, nor be pushed out by what is newer.
func TestNoStreamDropsWhatIsUnread(t *testing.T) {
	t.Parallel()
	for _, s := range topology.Streams(topology.StandardBudget, 1) {
		switch s.Name {
		case wire.StreamLogs, wire.StreamSeries, wire.StreamRejected: // kept for people, for a while
			continue
		}
		require.Zero(t, s.MaxAge, s.Name)
		if s.Name == wire.StreamLater {
			require.Equal(t, int64(-1), s.MaxBytes, "schedules exclude discard new, so there must be no limit")
			continue
		}
		require.Equal(t, jetstream.DiscardNew, s.Discard, s.Name)
	}
	js := natstest.Start(t).JS(t)
	aging := topology.Streams(1<<30, 1)[0]
	aging.MaxAge = time.Hour
	_, err := js.CreateStream(t.Context(), aging)
	require.NoError(t, err)
	var bad *topology.IncompatibleError
	require.ErrorAs(t, topology.Ensure(t.Context(), js, topology.Options{}), &bad)
	require.Equal(t, "max_age", bad.Setting)
}

// On a cluster, services that start together make and remove the same streams: a request may
// stay without an answer, and that must not stop a start.
func TestEnsureByManyAtOnceOnACluster(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 3)
	var g errgroup.Group
	for range 4 {
		js := servers.JS(t)
		g.Go(func() error { return topology.Ensure(context.Background(), js, topology.Options{ClusterSize: 3}) })
	}
	require.NoError(t, g.Wait())
	missing, err := topology.Missing(t.Context(), servers.JS(t))
	require.NoError(t, err)
	require.Empty(t, missing)
}
