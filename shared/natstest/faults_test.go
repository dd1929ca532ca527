package natstest_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
)

func TestMain(m *testing.M) {
	natstest.ServeIfAsked()
	os.Exit(m.Run())
}

func TestProxyCutsHealsAndDelays(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	proxy := natstest.NewProxy(t, srv.URL())
	nc := connectTo(t, proxy.URL())
	require.NoError(t, nc.Flush())
	proxy.Cut()
	natstest.Eventually(t, func() error {
		if nc.IsConnected() {
			return errors.New("the client is connected through a cut")
		}
		return nil
	})
	proxy.Heal()
	natstest.Eventually(t, nc.Flush)
	proxy.Break()
	natstest.Eventually(t, nc.Flush)
	proxy.Delay(200 * time.Millisecond)
	before := time.Now()
	require.NoError(t, nc.Flush())
	require.GreaterOrEqual(t, time.Since(before), 200*time.Millisecond)
}

func TestAKilledServerProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	p := natstest.StartProcess(t)
	js := p.JS(t)
	addStream(t, js, 1)
	publish(t, js, []byte("kept"))
	p.Kill(t)
	p.StartAgain(t)
	requireStored(t, js, "kept")
	p.Signal(t, syscall.SIGSTOP)
	p.Signal(t, syscall.SIGCONT)
	publish(t, js, []byte("again"))
}

func TestClusterOfProcessesLosesItsLeader(t *testing.T) {
	t.Parallel()
	all := natstest.ClusterProcesses(t, 3)
	js, err := jetstream.New(connectTo(t, all[0].URL()+","+all[1].URL()+","+all[2].URL()))
	require.NoError(t, err)
	addStream(t, js, 3)
	publish(t, js, []byte("three"))
	s, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	for _, p := range all {
		if p.Name() == s.CachedInfo().Cluster.Leader {
			p.Kill(t)
			publish(t, js, []byte("two"))
			p.StartAgain(t)
		}
	}
	requireStored(t, js, "two")
}
