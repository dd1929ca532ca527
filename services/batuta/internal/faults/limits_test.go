package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// held is a measured task that runs until the test lets it go.
const held = -1

// load is the payload of a measured task.
type load struct {
	Addr  string `json:"addr"`
	Label string `json:"label"`
	Ms    int    `json:"ms"`
}

// measured is a handler that says while it runs.
func measured(ctx context.Context, t *worker.Task) (any, error) {
	var l load
	if err := t.Bind(&l); err != nil {
		return nil, err
	}
	entered, err := natstest.Enter(ctx, l.Addr, l.Label)
	if err != nil {
		return nil, err
	}
	defer entered.Leave()
	if err := enter("began", t); err != nil {
		return nil, err
	}
	if l.Ms == held {
		if err := entered.Wait(ctx); err != nil {
			return nil, err
		}
		return t.Fence, enter("did", t)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(l.Ms) * time.Millisecond):
	}
	return t.Fence, enter("did", t)
}

// limit keeps the limits of the default queue and puts them in force, as the API does.
func (s *system) limit(q wire.QueueSettings) {
	s.t.Helper()
	kv, err := s.js.KeyValue(s.t.Context(), wire.BucketSettings)
	require.NoError(s.t, err)
	body, err := json.Marshal(q)
	require.NoError(s.t, err)
	_, err = kv.Put(s.t.Context(), wire.QueueSettingsKey("default"), body)
	require.NoError(s.t, err)
	require.NoError(s.t, topology.ApplyLimits(s.t.Context(), s.js, "default"))
}

func gaugeTask(g *natstest.Gauge, label string, ms int, priority wire.Priority) string {
	payload, _ := json.Marshal(load{g.Addr(), label, ms})
	return fmt.Sprintf(`{"type":"gauge","priority":%q,"payload":%s}`, priority, payload)
}

// Pools, schedulers and the NATS server are killed while tasks under a limit run. Never do
// more of them run than the limit says, by their own word, and all of them end; what has no
// limit goes on.
func TestALimitHoldsWhateverDies(t *testing.T) {
	t.Parallel()
	srv := natstest.StartProcess(t, natstest.SyncAlways)
	s := newSystem(t, srv.URL(), srv.URL(), "BATUTA_MAX_CRASHES=50")
	s.add("state-recorder", "scheduler", "scheduler", "worker-pool", "worker-pool", "worker-pool")
	const most = 3
	s.limit(wire.QueueSettings{Types: map[string]wire.Limits{"gauge": {MaxConcurrent: new(most)}}})
	g := natstest.StartGauge(t)
	stop := s.load(100*time.Millisecond, 2, gaugeTask(g, "limited", 60, wire.PriorityMedium), nap, gaugeTask(g, "limited", 20, wire.PriorityHigh))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 9 {
		s.moment(r, 1500)
		switch victim := s.procs[1+r.IntN(len(s.procs)-1)]; {
		case i%3 == 2:
			srv.Kill(t)
			s.moment(r, 1000)
			srv.StartAgain(t)
		case r.IntN(4) == 0:
			victim.terminate()
			victim.start()
			victim.awaitReady()
		default:
			victim.kill()
			victim.start()
			victim.awaitReady()
		}
		require.LessOrEqual(t, g.Most("limited"), most, "after fault %d", i)
	}
	stop()
	s.submit(4*most, gaugeTask(g, "limited", 500, wire.PriorityHigh)) // more at once than may run
	b := s.settle()
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, b.records[id].Status, "%+v", b.records[id])
	}
	require.Equal(t, most, g.Most("limited"), "all that is allowed was used, and never more")
	natstest.Eventually(t, func() error {
		kv, err := s.js.KeyValue(t.Context(), wire.BucketPermits)
		if err != nil {
			return err
		}
		e, err := kv.Get(t.Context(), wire.PermitsKey("default", "gauge"))
		if err != nil {
			return err
		}
		var p wire.Permits
		if err := json.Unmarshal(e.Value(), &p); err != nil || p.Total() > 0 {
			return fmt.Errorf("permits did not come back: %s %w", e.Value(), err)
		}
		return nil
	})
}
