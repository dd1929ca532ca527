package workerpool_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// BenchmarkHandOver measures how long the tasks of a killed worker wait: from the signal
// until the last of their new starts is stored. One iteration is one kill:
//
//	go test ./services/worker-pool -run - -bench HandOver -benchtime 100x
func BenchmarkHandOver(b *testing.B) {
	for _, c := range []struct {
		name                       string
		workers, concurrent, tasks int
	}{
		{"one task, another worker is free", 2, 4, 1},
		{"one task, the only worker", 1, 4, 1},
		{"four tasks, the only worker", 1, 4, 4},
		{"fifty tasks, the only worker", 1, 50, 50},
		{"fifty tasks, another worker is free", 2, 50, 50},
	} {
		b.Run(c.name, func(b *testing.B) { benchHandOver(b, c.workers, c.concurrent, c.tasks) })
	}
}

func benchHandOver(b *testing.B, workers, concurrent, tasks int) {
	b.Helper()
	sys := newSystem(b)
	sys.pool(size(workers, concurrent), quiet)
	stored := sys.starts()
	var took []time.Duration
	for b.Loop() {
		var envs []*wire.Envelope
		for range tasks {
			envs = append(envs, sys.task("finishes", nil))
		}
		sys.submit(envs...)
		victim := awaitStarts(b, stored, envs)
		pid := sys.workerOf(envs[0].ID).PID
		mine := slices.DeleteFunc(slices.Clone(envs), func(e *wire.Envelope) bool { return victim[e.ID] != victim[envs[0].ID] })
		begin := time.Now()
		require.NoError(b, syscall.Kill(pid, syscall.SIGKILL))
		awaitStarts(b, stored, mine)
		took = append(took, time.Since(begin))
		for _, e := range envs {
			sys.cancel(e.ID)
		}
		sys.awaitAcknowledged()
		sys.awaitIdle(workers)
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "worst-ms")
}

// start of a task as it was stored.
type start struct{ id, worker string }

// starts brings every start once it is stored.
func (sys *system) starts() <-chan start {
	c, err := sys.js.OrderedConsumer(sys.t.Context(), wire.StreamEvents, jetstream.OrderedConsumerConfig{})
	require.NoError(sys.t, err)
	out := make(chan start, 1<<16)
	consume, err := c.Consume(func(m jetstream.Msg) {
		events, _ := wire.DecodeEvents(0, m.Data())
		for _, e := range events {
			if e.Event == wire.EventStarted {
				out <- start{e.TaskID, e.WorkerID}
			}
		}
	})
	require.NoError(sys.t, err)
	sys.t.Cleanup(func() { consume.Stop(); <-consume.Closed() })
	return out
}

// awaitStarts waits for one start of each task, and says in which workers.
func awaitStarts(b *testing.B, stored <-chan start, envs []*wire.Envelope) map[string]string {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	in := map[string]string{}
	want := map[string]bool{}
	for _, e := range envs {
		want[e.ID] = true
	}
	for len(in) < len(want) {
		select {
		case s := <-stored:
			if want[s.id] {
				in[s.id] = s.worker
			}
		case <-ctx.Done():
			b.Fatalf("%d of %d tasks run", len(in), len(want))
		}
	}
	return in
}

func (sys *system) awaitIdle(n int) {
	sys.awaitWorkers(fmt.Sprintf("%d idle workers", n), func(w map[string]wire.Worker) bool {
		idle := 0
		for _, one := range w {
			if one.Status == wire.WorkerIdle {
				idle++
			}
		}
		return idle == n && len(w) == n
	})
}

func quiet(c *workerpool.Config) { c.Log = nil }
