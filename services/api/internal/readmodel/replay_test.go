package readmodel_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/readmodel"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// BenchmarkReplay measures the start of a model on a bucket of 200,000 records.
func BenchmarkReplay(b *testing.B) {
	const records = 200_000
	server := natstest.Start(b)
	js, err := jetstream.New(server.Conn(b), jetstream.WithPublishAsyncMaxPending(4096))
	require.NoError(b, err)
	require.NoError(b, topology.Ensure(b.Context(), js, topology.Options{Budget: 1 << 30}))
	for seq := range uint64(records) {
		r := record(1000+seq, done(wire.StatusCompleted))
		_, err := js.PublishAsync(wire.KVSubject(wire.BucketTasks, r.ID), encode(b, r))
		require.NoError(b, err)
		if seq%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	b.ResetTimer()
	for b.Loop() {
		m := readmodel.New(readmodel.Config{JS: js})
		require.NoError(b, m.Start(context.Background()))
		natstest.Eventually(b, m.Ready)
		require.Equal(b, records, m.Counts().Total)
		require.NoError(b, m.Stop(context.Background()))
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
