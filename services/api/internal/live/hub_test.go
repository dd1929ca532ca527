package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source whose changes the test makes.
type fake struct {
	mu        sync.Mutex
	stats     wire.Stats
	workers   []wire.WorkerView
	changes   Changes
	newest    []wire.EventView
	collect   bool
	snapshots int
	broken    error
}

func (f *fake) Stats() wire.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.UpdatedAt, s.Uptime = wire.Now(), "00:00:01"
	return s
}

func (f *fake) Workers() wire.WorkersAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return wire.WorkersAnswer{Workers: append([]wire.WorkerView{}, f.workers...)}
}
func (f *fake) Pools() []wire.PoolView   { return []wire.PoolView{} }
func (f *fake) Queues() []wire.QueueView { return []wire.QueueView{} }

func (f *fake) NewestTasks(int) ([]wire.TaskResource, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots++
	return []wire.TaskResource{}, f.broken
}

func (f *fake) NewestEvents(n int) []wire.EventView {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]wire.EventView{}, f.newest[:min(n, len(f.newest))]...)
}

func (f *fake) Collect(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collect, f.changes = on, Changes{}
}

func (f *fake) Changes() Changes {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.changes
	f.changes = Changes{}
	return c
}

func (f *fake) change(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes.Upserted = append(f.changes.Upserted, wire.TaskResource{ID: id})
}

func (f *fake) happens(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := wire.EventView{Seq: wire.Position{Seq: seq}.String(), Event: wire.EventCancelled}
	f.newest = append([]wire.EventView{e}, f.newest...)
	if f.collect {
		f.changes.Events = append([]wire.EventView{e}, f.changes.Events...)
	}
}

func (f *fake) collecting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.collect
}

// run starts a hub inside a bubble, where time passes when nothing else is to be done.
func run(t *testing.T, test func(t *testing.T, h *Hub, f *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := NewHub(f, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		pass(interval / 2) // so that the test and the hub never act at the same instant
		test(t, h, f)
	})
}

func read(t *testing.T, s *Subscription) wire.Delta {
	t.Helper()
	body, more := <-s.Messages()
	require.True(t, more, "closed: %s", s.Reason())
	return decode(t, body)
}

// decode reads a message; of a snapshot it takes what both kinds have.
func decode(t *testing.T, body []byte) (d wire.Delta) {
	t.Helper()
	var head struct {
		Type   string
		Seq    uint64
		Events []wire.EventView
	}
	require.NoError(t, json.Unmarshal(body, &head))
	if head.Type == wire.LiveSnapshot {
		return wire.Delta{Type: head.Type, Seq: head.Seq, Events: head.Events}
	}
	require.NoError(t, json.Unmarshal(body, &d))
	return d
}

// pass lets the bubble's time go by.
func pass(d time.Duration) { <-time.After(d) }

// waiting empties the queue of a client.
func waiting(t *testing.T, s *Subscription) (all []wire.Delta) {
	t.Helper()
	synctest.Wait()
	for len(s.messages) > 0 {
		all = append(all, read(t, s))
	}
	return all
}

func TestTheFeedSpeaksAtMostFourTimesAndAtLeastOnceInTwoSeconds(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		s := h.Subscribe(0)
		require.Equal(t, wire.LiveSnapshot, read(t, s).Type)
		begun := time.Now()
		beat := read(t, s)
		require.LessOrEqual(t, time.Since(begun), 2*time.Second)
		require.NotNil(t, beat.Stats, "the clock goes on")
		require.Nil(t, beat.Tasks)
		begun = time.Now()
		require.Equal(t, beat.Seq+1, read(t, s).Seq)
		require.Greater(t, time.Since(begun), time.Second, "nothing has happened")

		stop := make(chan struct{})
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
					f.change(fmt.Sprint("t", i))
				}
			}
		}()
		waiting(t, s)
		pass(5 * time.Second)
		close(stop)
		deltas := waiting(t, s)
		require.Len(t, deltas, 20)
		for i, d := range deltas {
			require.Equal(t, deltas[0].Seq+uint64(i), d.Seq)
			require.Nil(t, d.Workers)
		}
	})
}

func TestManyClientsShareTheBytes(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		var all []*Subscription
		for range 200 {
			all = append(all, h.Subscribe(0))
		}
		synctest.Wait()
		f.change("t1")
		pass(interval)
		synctest.Wait()
		var first, second []byte
		for _, s := range all {
			snapshot, delta := <-s.Messages(), <-s.Messages()
			if first == nil {
				first, second = snapshot, delta
			}
			require.Same(t, &first[0], &snapshot[0])
			require.Same(t, &second[0], &delta[0])
		}
		require.Equal(t, 1, f.snapshots)
		require.Contains(t, string(second), `"t1"`)
	})
}

func TestAClientThatDoesNotKeepUpIsClosed(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		slow, quick := h.Subscribe(0), h.Subscribe(0)
		synctest.Wait()
		for i := range 3 * queued {
			f.change(fmt.Sprint("t", i))
			pass(interval)
			waiting(t, quick)
		}
		n := 0
		for range slow.Messages() { // ends: it was closed
			n++
		}
		require.Equal(t, queued+1, n)
		require.Contains(t, slow.Reason(), "too slow")
		require.Empty(t, quick.Reason())
		f.change("last")
		pass(interval)
		require.Len(t, waiting(t, quick), 1)
		slow.Close()
	})
}

func TestAClientGoesOnWhereItWas(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		a := h.Subscribe(0)
		f.change("t0")
		pass(interval)
		seen := waiting(t, a)
		last := seen[len(seen)-1].Seq
		a.Close()
		for i := range 100 {
			f.change(fmt.Sprint("u", i))
			pass(interval)
		}
		b := h.Subscribe(last)
		missed := waiting(t, b)
		require.Len(t, missed, 100)
		require.Equal(t, last+1, missed[0].Seq)
		require.Equal(t, "u99", missed[99].Tasks.Upserted[0].ID)

		upToDate := h.Subscribe(missed[99].Seq)
		require.Empty(t, waiting(t, upToDate))
		pass(longest)
		require.Equal(t, missed[99].Seq+1, waiting(t, upToDate)[0].Seq)
		for _, since := range []uint64{1, last + 1000, last - 1000} {
			require.Equal(t, wire.LiveSnapshot, waiting(t, h.Subscribe(since))[0].Type, "since %d", since)
		}
	})
}

func TestNothingIsCollectedWhileNobodyListens(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		pass(time.Hour)
		require.False(t, f.collecting())
		a := h.Subscribe(0)
		snapshot := read(t, a)
		require.True(t, f.collecting())
		require.True(t, h.Watched())
		a.Close()
		pass(lingers + longest)
		synctest.Wait()
		require.False(t, f.collecting())
		b := h.Subscribe(snapshot.Seq)
		require.Equal(t, wire.LiveSnapshot, read(t, b).Type, "what happened meanwhile is not known")
	})
}

func TestEventsAreToldOnce(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		f.happens(1)
		a := h.Subscribe(0)
		var seen []string
		note := func(deltas []wire.Delta) {
			for _, d := range deltas {
				for _, e := range d.Events {
					seen = append(seen, e.Seq)
				}
			}
		}
		note(waiting(t, a)) // the snapshot has the same field
		f.happens(2)
		b := h.Subscribe(0) // its snapshot does not tell what the next message will
		pass(interval)
		note(waiting(t, a))
		f.happens(3)
		pass(interval)
		note(waiting(t, a))
		require.Equal(t, []string{"1.0", "2.0", "3.0"}, seen)
		seen = nil
		note(waiting(t, b))
		require.Equal(t, []string{"1.0", "2.0", "3.0"}, seen)
	})
}

func TestOnlyWhatChangedIsTold(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		f.workers = []wire.WorkerView{{ID: "worker-1", LastHeartbeatAgoMs: new(int64(1))}, {ID: "worker-2"}, {ID: "worker-3"}}
		s := h.Subscribe(0)
		waiting(t, s)
		f.mu.Lock()
		f.workers = []wire.WorkerView{{ID: "worker-1", LastHeartbeatAgoMs: new(int64(9))}, {ID: "worker-2", PID: 7}}
		f.mu.Unlock()
		pass(interval)
		d := waiting(t, s)
		require.Len(t, d, 1)
		require.Len(t, d[0].Workers.Upserted, 1)
		require.Equal(t, "worker-2", d[0].Workers.Upserted[0].ID)
		require.Equal(t, []string{"worker-3"}, d[0].Workers.Removed)
		require.Nil(t, d[0].Stats)
	})
}

func TestClientsAreClosedWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := NewHub(f, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		s := h.Subscribe(0)
		read(t, s)
		cancel()
		synctest.Wait()
		_, more := <-s.Messages()
		require.False(t, more)
		require.Equal(t, reasonStopped, s.Reason())
		late := h.Subscribe(0)
		_, more = <-late.Messages()
		require.False(t, more)
		require.False(t, f.collecting())
	})
}

func TestAClientIsToldThatThereIsNoSnapshot(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, f *fake) {
		f.broken = errors.New("NATS is away")
		s := h.Subscribe(0)
		_, more := <-s.Messages()
		require.False(t, more)
		require.Equal(t, reasonFailed, s.Reason())
	})
}
