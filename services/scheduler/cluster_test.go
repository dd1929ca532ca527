package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestOnACluster(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 3)
	b := &bench{t: t, server: servers.Server(0), js: servers.JS(t)}
	b.pub = natsx.NewPublisher(b.js)
	s, err := scheduler.New(scheduler.Config{
		Connect: natsx.ConnectOptions{URL: servers.URL(), Name: "scheduler"}, Lease: 2 * time.Second, Log: obs.NewTestLogger(t.Output()),
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	st, err := b.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.Equal(t, 3, st.CachedInfo().Config.Replicas)
	b.fold = startFold(t, servers.JS(t))
	b.put(wire.BucketWorkers, wire.InstanceKey("p", "a"), wire.Instance{Pool: "p", Instance: "a", Queues: []string{"default"}, Min: 2, Max: 4})
	id := wire.MakeID(b.submit(`{"type":"a"}`), 0)
	b.submit(`{"id":"chosen","type":"a"}`)
	b.publish(nats.NewMsg(wire.SubjectSubmit), `{"id":"later","type":"a","delayMs":500}`)
	for _, id := range []string{id, "chosen", "later"} {
		b.dispatched(id)
	}
	b.submitted()
	b.cancel("chosen")
	b.status("chosen", wire.StatusCancelled)
	natstest.Eventually(t, func() error {
		m, err := natsx.LastOf(t.Context(), b.js, wire.StreamWorkers, []string{wire.KVSubject(wire.BucketWorkers, wire.DesiredKey("p"))})
		if err != nil || len(m) == 0 {
			return fmt.Errorf("no word to the pool: %w", err)
		}
		var d wire.Desired
		if err := json.Unmarshal(m[0].Data, &d); err != nil || d.Desired != 2 {
			return fmt.Errorf("desired is %+v: %w", d, err)
		}
		return nil
	})
}
