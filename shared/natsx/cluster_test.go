package natsx_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
)

func TestClusterSize(t *testing.T) {
	t.Parallel()
	one, c := natstest.Start(t), natstest.Cluster(t, 3)
	size := func(url string) int {
		nc, err := nats.Connect(url)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return natsx.ClusterSize(nc)
	}
	require.Equal(t, 1, size(one.URL()))
	require.Equal(t, 1, size(one.URL()+","+natstest.Start(t).URL()), "two names of servers are no cluster")
	require.Equal(t, 3, size(c.URL()), "all are named")
	natstest.Eventually(t, func() error { // the others are heard of
		if n := size(c.Server(1).URL()); n != 3 {
			return errors.New(fmt.Sprint(n))
		}
		return nil
	})
}
