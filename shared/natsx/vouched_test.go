package natsx_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestVouched(t *testing.T) {
	t.Parallel()
	peer := func(name string, active time.Duration, current bool) *jetstream.PeerInfo {
		return &jetstream.PeerInfo{Name: name, Active: active, Current: current}
	}
	of := func(leader string, peers ...*jetstream.PeerInfo) *jetstream.ClusterInfo {
		return &jetstream.ClusterInfo{Leader: leader, Replicas: peers}
	}
	for name, c := range map[string]struct {
		info *jetstream.ClusterInfo
		took time.Duration
		want bool
	}{
		"a server alone":                {nil, time.Minute, true},
		"one copy in a cluster":         {of("a"), 0, true},
		"both heard from":               {of("a", peer("b", time.Second, true), peer("c", time.Second, true)), 0, true},
		"one is enough of three":        {of("a", peer("b", time.Minute, false), peer("c", time.Second, false)), 0, true},
		"one is too few of five":        {of("a", peer("b", time.Second, true), peer("c", time.Hour, false), peer("d", time.Hour, false), peer("e", time.Hour, false)), 0, false},
		"nobody heard from lately":      {of("a", peer("b", 3*time.Second, true), peer("c", 3*time.Second, true)), 0, false},
		"never heard from":              {of("a", peer("b", 0, false), peer("c", 0, false)), 0, false},
		"at this very moment":           {of("a", peer("b", 0, true), peer("c", time.Hour, false)), 0, true},
		"the answer was long under way": {of("a", peer("b", time.Second, true), peer("c", time.Second, true)), 2 * time.Second, false},
		"a follower that answers":       {of("b", peer("b", time.Second, true), peer("c", time.Second, true)), 0, false},
	} {
		require.Equal(t, c.want, natsx.Vouched(c.info, c.took), name)
	}
}

// A leader whose followers are gone answers for some seconds still; so does one that is cut
// off from them, while they have elected another and store more.
func TestALeaderWithoutFollowersIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := natstest.Cluster(t, 3)
	nc, err := nats.Connect(c.URL())
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s", nil)
	require.NoError(t, err)
	info, err := natsx.StreamInfo(t.Context(), js, "S")
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.LastSeq)
	leader := s.CachedInfo().Cluster.Leader
	defer nc.Close()
	var alone *natstest.Server
	for i := range 3 {
		if srv := c.Server(i); srv.NATS().Name() == leader {
			alone = srv
		}
	}
	require.NotNil(t, alone)
	js = alone.JS(t)
	for i := range 3 {
		if srv := c.Server(i); srv != alone {
			srv.Stop()
		}
	}
	answered := 0
	natstest.Eventually(t, func() error {
		one, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		st, err := js.Stream(one, "S")
		if err != nil {
			if answered > 0 {
				return nil // it knows by now
			}
			return err
		}
		answered++
		for _, p := range st.CachedInfo().Cluster.Replicas {
			if p.Active < 3*time.Second {
				return fmt.Errorf("%s was heard from %s ago", p.Name, p.Active)
			}
		}
		return nil
	})
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = natsx.StreamInfo(short, js, "S")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestWhatAReplicaHasNotGotYetIsNotGone(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	direct := srv.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), direct, topology.Options{Budget: 1 << 30, Replicas: 1}))
	store, err := direct.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	_, err = store.PutString(t.Context(), "payload.x", "1")
	require.NoError(t, err)
	_, err = store.PutString(t.Context(), "payload.removed", "1")
	require.NoError(t, err)
	require.NoError(t, store.Delete(t.Context(), "payload.removed"))
	ack, err := direct.Publish(t.Context(), wire.SubjectSubmit, []byte("1"))
	require.NoError(t, err)

	js, _ := natstest.Lagging(t, srv.Conn(t), wire.StreamObjects, 3) // the description, the read behind the barrier, the description again
	lagging, err := js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	_, err = lagging.GetInfo(t.Context(), "payload.x")
	require.ErrorIs(t, err, jetstream.ErrObjectNotFound, "the library believes it")
	info, err := natsx.ObjectInfo(t.Context(), js, lagging, "payload.x")
	require.NoError(t, err)
	require.Equal(t, "payload.x", info.Name)
	for _, name := range []string{"payload.never", "payload.removed"} {
		_, err = natsx.ObjectInfo(t.Context(), js, lagging, name)
		require.ErrorIs(t, err, jetstream.ErrObjectNotFound, name)
	}

	js, _ = natstest.Lagging(t, srv.Conn(t), wire.StreamSubmit, 2)
	m, err := natsx.Message(t.Context(), js, wire.StreamSubmit, ack.Sequence)
	require.NoError(t, err)
	require.Equal(t, "1", string(m.Data))
	m, err = natsx.MessageOfLeader(t.Context(), direct, wire.StreamSubmit, ack.Sequence)
	require.NoError(t, err)
	require.Equal(t, "1", string(m.Data))
	require.Equal(t, wire.SubjectSubmit, m.Subject)
	_, err = natsx.MessageOfLeader(t.Context(), direct, wire.StreamSubmit, ack.Sequence+1)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
	_, err = natsx.Message(t.Context(), js, wire.StreamSubmit, ack.Sequence+1)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
	s, err := direct.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context()))
	_, err = natsx.Message(t.Context(), js, wire.StreamSubmit, ack.Sequence)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
}
