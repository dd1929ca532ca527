package readmodel

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestAStateThatDoesNotHoldIsNotTold(t *testing.T) {
	t.Parallel()
	var s standing
	at := func(ms wire.Time) wire.Time { return 1_000_000 + ms }
	require.Empty(t, s.turn(at(0), wire.SystemStable), "the first")
	require.Empty(t, s.turn(at(100), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(1000), wire.SystemStable))
	require.Empty(t, s.turn(at(2000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(3900), wire.SystemHighLoad))
	require.Equal(t, wire.SystemStable, s.turn(at(4000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(9000), wire.SystemHighLoad), "told already")
}

// The loss of a worker makes the system Recovering, and an event tells so.
func TestAChangeOfStateIsAnEvent(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	m := New(Config{JS: js})
	require.NoError(t, m.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, m.Stop(context.Background())) })
	natstest.Eventually(t, func() error {
		m.standing.mu.Lock()
		defer m.standing.mu.Unlock()
		if m.standing.told != wire.SystemStable {
			return fmt.Errorf("the system stands at %q (%w)", m.standing.told, m.Ready())
		}
		return nil
	})
	ev := natsx.NewEvents(natsx.NewPublisher(js))
	defer ev.Close(context.Background())
	_, err := ev.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventWorkerLost, WorkerID: "worker-9", Pool: "default"}))
	require.NoError(t, err)
	natstest.Eventually(t, func() error {
		page, err := m.Events(t.Context(), httpapi.EventQuery{Event: []wire.EventName{wire.EventSystem}, Limit: 10})
		if err == nil && (len(page.Events) == 0 || page.Events[len(page.Events)-1].Data.Previous != string(wire.SystemStable)) {
			err = fmt.Errorf("told: %+v; the system is %s", page.Events, m.Stats().SystemStatus)
		}
		return err
	})
}
