package recorder_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// fill publishes events until the stream refuses more, and returns how many it has taken.
func (b *bundle) fill(t *testing.T, each func(i int) []wire.Event) int {
	t.Helper()
	for i := range 1_000_000 {
		body, err := wire.EncodeEvents(each(i))
		require.NoError(t, err)
		m := nats.NewMsg(wire.EventsSubject(wire.Shard0))
		m.Data = body
		if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
			require.True(t, natsx.IsFull(err), "%v", err)
			return i
		}
	}
	t.Fatal("the stream of events is never full")
	return 0
}

// limitEvents gives the stream of events little room.
func (b *bundle) limitEvents(t *testing.T, bytes int64) {
	t.Helper()
	s, err := b.js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	_, err = b.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
}

// Without a recorder the stream of events fills up. It refuses more and drops nothing;
// publishers say so and wait. A recorder that starts then folds all of it and makes room,
// also where it has something to tell itself, for which the stream has none.
func TestAFullStreamOfEventsLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.limitEvents(t, 512<<10)
	// The very first message makes the recorder tell of a duplicate.
	n := b.fill(t, func(i int) []wire.Event {
		id, fence := fmt.Sprintf("t%d", i), uint64(i+1)*wire.FencePerLane+1
		return []wire.Event{submitted(id, uint64(i+1)), started(id, uint64(i+1), fence), submitted(id, 1_000_000)}
	})
	pub := natsx.NewPublisher(b.js)
	late := natsx.NewEvents(pub)
	stored := make(chan error, 1)
	late.PublishAsync(func(err error) { stored <- err }, completed("t0", wire.FencePerLane+1))
	natstest.Eventually(t, func() error {
		if !pub.Full() {
			return errors.New("the publisher does not know that it is refused")
		}
		return nil
	})
	b.start(t, func(c *recorder.Config) { c.Keep = 50 * time.Millisecond })
	natstest.Eventually(t, func() error {
		select {
		case err := <-stored:
			require.NoError(t, err)
			return nil
		default:
			return errors.New("the stream stays full")
		}
	})
	late.Close(t.Context())
	require.False(t, pub.Full())
	require.Equal(t, wire.StatusCompleted, b.behind(t, "t0")["t0"].Status)
	totals := b.totals(t)
	require.EqualValues(t, n, totals.Submitted)
	require.EqualValues(t, n-1, totals.Open)
	require.EqualValues(t, 1, totals.Finished[wire.StatusCompleted]["sleep"])
	b.requireTold(t, n)
}

// requireTold waits until each of the first n tasks has been told of one more thing than its
// submission, its start and its end. The records say so: the events themselves may be trimmed.
func (b *bundle) requireTold(t *testing.T, n int) {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("t%d", i)
	}
	for some := range slices.Chunk(ids, 500) {
		natstest.Eventually(t, func() error {
			for id, rec := range b.behind(t, some...) {
				want := 3
				if rec.Status.Ended() {
					want++
				}
				require.LessOrEqual(t, len(rec.Meta.History), want, "%s: told more than once", id)
				if len(rec.Meta.History) < want {
					return fmt.Errorf("%s is not told of: %v", id, rec.Meta.History)
				}
			}
			return nil
		})
	}
}
