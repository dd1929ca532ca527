package natstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
)

func connectTo(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func addStream(t *testing.T, js jetstream.JetStream, replicas int) {
	t.Helper()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "S", Subjects: []string{"s.>"}, Replicas: replicas,
	})
	require.NoError(t, err)
}

func publish(t *testing.T, js jetstream.JetStream, body []byte) {
	t.Helper()
	natstest.Eventually(t, func() error {
		_, err := js.Publish(t.Context(), "s.a", body)
		return err
	})
}

func requireStored(t *testing.T, js jetstream.JetStream, body string) {
	t.Helper()
	natstest.Eventually(t, func() error {
		stream, err := js.Stream(t.Context(), "S")
		if err != nil {
			return err
		}
		msg, err := stream.GetLastMsgForSubject(t.Context(), "s.a")
		if err != nil {
			return err
		}
		if string(msg.Data) != body {
			return errors.New("found " + string(msg.Data))
		}
		return nil
	})
}

func TestRestartKeepsPortStoreAndClients(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, natstest.SyncAlways)
	js, url, id := srv.JS(t), srv.URL(), srv.NATS().ID()
	addStream(t, js, 1)
	publish(t, js, []byte("before"))
	srv.Restart(t)
	require.Equal(t, url, srv.URL())
	require.NotEqual(t, id, srv.NATS().ID())
	requireStored(t, js, "before")
	publish(t, js, []byte("after"))
	requireStored(t, js, "after")
}

func TestStopAndStartAgain(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	nc := srv.Conn(t)
	srv.Stop()
	srv.Stop()
	natstest.Eventually(t, func() error {
		if nc.IsConnected() {
			return errors.New("the client is connected to a stopped server")
		}
		return nil
	})
	srv.StartAgain(t)
	natstest.Eventually(t, nc.Flush)
}

func TestMaxStoreRefusesCleanly(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, natstest.MaxStore(1<<20)).JS(t)
	addStream(t, js, 1)
	body := make([]byte, 256<<10)
	var refused *jetstream.APIError
	for range 8 {
		if _, err := js.Publish(t.Context(), "s.a", body); err != nil {
			require.ErrorAs(t, err, &refused)
			break
		}
	}
	require.NotNil(t, refused, "2 MiB went into a store of 1 MiB")
	require.Equal(t, jetstream.ErrorCode(10023), refused.ErrorCode)
}

func TestTwoServersShareNothing(t *testing.T) {
	t.Parallel()
	a, b := natstest.Start(t), natstest.Start(t)
	require.NotEqual(t, a.URL(), b.URL())
	require.NotEqual(t, a.NATS().Name(), b.NATS().Name())
	addStream(t, a.JS(t), 1)
	_, err := b.JS(t).Stream(t.Context(), "S")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestClusterSurvivesTheLossOfAServer(t *testing.T) {
	t.Parallel()
	c := natstest.Cluster(t, 3)
	require.Equal(t, 3, c.Len())
	js := c.JS(t)
	addStream(t, js, 3)
	publish(t, js, []byte("three"))
	c.Server(0).Stop()
	publish(t, js, []byte("two"))
	requireStored(t, js, "two")
	c.Server(0).StartAgain(t)
	c.WaitReady(t)
	requireStored(t, c.Server(0).JS(t), "two")
}
