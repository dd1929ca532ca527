package natsx_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func setup(t *testing.T) (*natstest.Server, jetstream.JetStream) {
	t.Helper()
	s := natstest.Start(t)
	js := s.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	return s, js
}

func TestGatherMakesBatchesWhileAWriteIsInFlight(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan int, 10)
	g := natsx.NewGather(3, 100, func(int) int { return 1 }, func(_ context.Context, items []int) ([]int, error) {
		entered <- len(items)
		<-release
		return items, nil
	})
	var done sync.WaitGroup
	got := make([]int, 8)
	put := func(i int) {
		done.Add(1)
		g.Go(func(_ int, r int, err error) { got[i] = r; done.Done() }, i)
	}
	put(0)
	require.Equal(t, 1, <-entered)
	for i := 1; i < 8; i++ {
		put(i)
	}
	close(release)
	done.Wait()
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, got)
	require.Equal(t, []int{3, 3, 1}, []int{<-entered, <-entered, <-entered})
	g.Close(t.Context())
	_, err := g.Do(t.Context(), 9)
	require.ErrorIs(t, err, natsx.ErrClosed)
}

// What is handed in while the gatherer closes is either written or told that it was not.
func TestGatherClosesUnderLoad(t *testing.T) {
	t.Parallel()
	for range 50 {
		g := natsx.NewGather(3, 100, func(int) int { return 1 }, func(_ context.Context, items []int) ([]int, error) { return items, nil })
		var told sync.WaitGroup
		var senders sync.WaitGroup
		for range 4 {
			senders.Go(func() {
				for i := range 100 {
					told.Add(1)
					g.Go(func(int, int, error) { told.Done() }, i)
				}
			})
		}
		g.Close(t.Context())
		senders.Wait()
		told.Wait()
	}
}

func TestEventsKeepTheirOrderAndPlaces(t *testing.T) {
	t.Parallel()
	_, js := setup(t)
	ev := natsx.NewEvents(natsx.NewPublisher(js))
	const n = 1200
	var want []wire.Position
	for i := range n {
		_ = i
		want = append(want, wire.Position{})
	}
	var wg sync.WaitGroup
	for i := range n / 100 {
		batch := make([]wire.Event, 100)
		for k := range batch {
			batch[k] = wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: fmt.Sprintf("t%d", i*100+k)})
		}
		wg.Add(1)
		ev.PublishAsync(func(err error) { require.NoError(t, err); wg.Done() }, batch...)
	}
	wg.Wait()
	ev.Close(t.Context())
	st, err := js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	next := 0
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		events, err := wire.DecodeEvents(seq, m.Data)
		require.NoError(t, err)
		for i, e := range events {
			require.Equal(t, fmt.Sprintf("t%d", next), e.TaskID)
			require.Equal(t, wire.Position{Seq: seq, Index: i}.String(), e.Seq)
			next++
		}
	}
	require.Equal(t, n, next)
	require.Len(t, want, n)
}

func laneMsg(i int) *nats.Msg {
	m := nats.NewMsg(wire.ReadySubject("default", wire.PriorityLow, "t"))
	m.Header.Set(wire.HeaderMsgID, fmt.Sprintf("id-%d", i))
	m.Data = []byte("{}")
	return m
}

func TestPublishEachFindsWhatWasStoredBefore(t *testing.T) {
	t.Parallel()
	_, js := setup(t)
	p := natsx.NewPublisher(js)
	few, err := p.PublishEach(t.Context(), []*nats.Msg{laneMsg(5), laneMsg(17)})
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, few)
	var msgs []*nats.Msg
	for i := range 40 {
		msgs = append(msgs, laneMsg(i))
	}
	seqs, err := p.PublishEach(t.Context(), msgs)
	require.NoError(t, err)
	require.Equal(t, uint64(1), seqs[5])
	require.Equal(t, uint64(2), seqs[17])
	seen := map[uint64]bool{}
	for i, seq := range seqs {
		require.False(t, seen[seq], "two messages at %d", seq)
		seen[seq] = true
		st, err := js.Stream(t.Context(), wire.StreamReady)
		require.NoError(t, err)
		m, err := st.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("id-%d", i), m.Header.Get(wire.HeaderMsgID))
	}
	st, err := js.Stream(t.Context(), wire.StreamReady)
	require.NoError(t, err)
	require.EqualValues(t, 40, st.CachedInfo().State.Msgs)
}

func TestPublishSurvivesARestart(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: s.URL(), Name: "test"})
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	p := natsx.NewPublisher(js)
	errs := make(chan error, 1)
	go func() {
		for i := range 300 {
			if _, err := p.Publish(context.Background(), laneMsg(1000+i)); err != nil {
				errs <- err
				return
			}
		}
		errs <- nil
	}()
	s.Restart(t)
	require.NoError(t, <-errs)
	st, err := js.Stream(t.Context(), wire.StreamReady)
	require.NoError(t, err)
	require.EqualValues(t, 300, st.CachedInfo().State.Msgs)
}

func TestBarrierWaitsForTheRecorder(t *testing.T) {
	t.Parallel()
	_, js := setup(t)
	r, err := natsx.NewRecords(t.Context(), js)
	require.NoError(t, err)
	defer r.Close()
	ev := natsx.NewEvents(natsx.NewPublisher(js))
	defer ev.Close(t.Context())
	_, err = ev.Publish(t.Context(), wire.NewEvent(wire.Event{Event: wire.EventDeleted, TaskID: "a"}))
	require.NoError(t, err)

	got := make(chan map[string]*wire.Record, 1)
	go func() {
		m, err := r.Behind(context.Background(), "a", "b")
		if err == nil {
			got <- m
		}
		close(got)
	}()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = r.Behind(short, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is folded yet")
	require.Empty(t, got)

	kv, err := js.KeyValue(t.Context(), wire.BucketTasks)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "b", []byte(`{"id":"b","type":"x","status":"pending","meta":{"submitSeq":1}}`))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), wire.KeyPosition, []byte("1.0"))
	require.NoError(t, err)
	records := <-got
	require.Len(t, records, 1)
	require.Equal(t, wire.StatusPending, records["b"].Status)
}

func TestEpochIsOneForARunOfTheServer(t *testing.T) {
	t.Parallel()
	s, js := setup(t)
	first, err := natsx.Epoch(t.Context(), js)
	require.NoError(t, err)
	again, err := natsx.Epoch(t.Context(), s.JS(t))
	require.NoError(t, err)
	require.Equal(t, first, again)
	s.Restart(t)
	js = s.JS(t)
	var later time.Time
	natstest.Eventually(t, func() (err error) { later, err = natsx.Epoch(t.Context(), js); return err })
	require.True(t, later.After(first))
}
