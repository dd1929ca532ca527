package natsx_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// Of several that store an event under one name, one is the first, whoever asks how often,
// and also when the server was started anew in between.
func TestPublishFirstHasOneWinner(t *testing.T) {
	t.Parallel()
	s, js := setup(t)
	type verdict struct {
		first bool
		err   error
	}
	ask := func(ev *natsx.Events, name, worker string) verdict {
		out := make(chan verdict, 1)
		ev.PublishFirst(name, wire.Event{Event: wire.EventStarted, Timestamp: 1, TaskID: "t", WorkerID: worker}, func(first bool, err error) {
			out <- verdict{first, err}
		})
		return <-out
	}
	var all []*natsx.Events
	for range 4 {
		ev := natsx.NewEvents(natsx.NewPublisher(js))
		t.Cleanup(func() { ev.Close(context.Background()) })
		all = append(all, ev)
	}
	const names = 50
	winners := make([]atomic.Int64, names)
	var wg sync.WaitGroup
	for i, ev := range all {
		for n := range names {
			wg.Go(func() {
				v := ask(ev, fmt.Sprintf("n%d", n), fmt.Sprintf("worker-%d", i+1))
				require.NoError(t, v.err)
				if v.first {
					require.True(t, winners[n].CompareAndSwap(0, int64(i+1)), "two are the first of n%d", n)
				}
			})
		}
	}
	wg.Wait()
	s.Restart(t)
	for n := range names {
		winner := winners[n].Load()
		require.NotZero(t, winner)
		for i := range all {
			v := ask(all[i], fmt.Sprintf("n%d", n), fmt.Sprintf("worker-%d", i+1))
			require.NoError(t, v.err)
			require.Equal(t, int64(i+1) == winner, v.first, "asked again after a restart: n%d, worker-%d", n, i+1)
		}
	}
	st, err := js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	require.EqualValues(t, names, st.CachedInfo().State.Msgs)
}

// What a pool said before the start of a hand-out stands before it, also where an outage held
// it up.
func TestPublishFirstDoesNotOvertake(t *testing.T) {
	t.Parallel()
	s, js := setup(t)
	ev := natsx.NewEvents(natsx.NewPublisher(js))
	t.Cleanup(func() { ev.Close(context.Background()) })
	s.Stop()
	const tasks = 20
	var wg sync.WaitGroup
	wg.Add(tasks)
	for i := range tasks {
		id := fmt.Sprintf("t%d", i)
		ev.PublishAsync(nil, wire.Event{Event: wire.EventReassigned, Timestamp: 1, TaskID: id})
		ev.PublishFirst(id, wire.Event{Event: wire.EventStarted, Timestamp: 1, TaskID: id}, func(bool, error) { wg.Done() })
	}
	s.StartAgain(t)
	wg.Wait()
	st, err := js.Stream(t.Context(), wire.StreamEvents)
	require.NoError(t, err)
	handedBack, started := map[string]bool{}, 0
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		events, err := wire.DecodeEvents(seq, m.Data)
		require.NoError(t, err)
		for _, e := range events {
			if e.Event == wire.EventStarted {
				require.True(t, handedBack[e.TaskID], "%s was started before it was handed back", e.TaskID)
				started++
				continue
			}
			handedBack[e.TaskID] = true
		}
	}
	require.Equal(t, tasks, started)
}

// Whoever waits for an answer that was lost with the connection hears of it at once, and does
// not stand still until the request's own time is over.
func TestRequestsEndWithTheConnection(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func(context.Context, jetstream.JetStream, *nats.Msg) error{
		"a read": func(ctx context.Context, js jetstream.JetStream, _ *nats.Msg) error {
			_, err := natsx.LastOf(ctx, js, wire.StreamTasks, []string{wire.KVSubject(wire.BucketTasks, wire.KeyPosition)})
			return err
		},
		"a commit": func(ctx context.Context, js jetstream.JetStream, m *nats.Msg) error {
			_, err := natsx.NewPublisher(js).Commit(ctx, []*nats.Msg{m, m})
			return err
		},
		"a single commit": func(ctx context.Context, js jetstream.JetStream, m *nats.Msg) error {
			_, err := natsx.NewPublisher(js).Commit(ctx, []*nats.Msg{m})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := setup(t)
			p := natstest.NewProxy(t, s.URL())
			nc, err := natsx.Connect(natsx.ConnectOptions{URL: p.URL(), Name: name})
			require.NoError(t, err)
			t.Cleanup(nc.Close)
			through, err := jetstream.New(nc)
			require.NoError(t, err)
			before := s.NATS().NumSubscriptions()
			p.Delay(8 * time.Second) // requests arrive, answers do not in time
			ended := make(chan error, 1)
			go func() {
				m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, strings.ReplaceAll(name, " ", "-")))
				ended <- request(t.Context(), through, m)
			}()
			natstest.Eventually(t, func() error {
				if s.NATS().NumSubscriptions() == before {
					return errors.New("nothing has been asked")
				}
				return nil
			})
			select {
			case err := <-ended:
				require.Fail(t, "it ended with the connection whole", "%v", err)
			default:
			}
			p.Break()
			require.ErrorIs(t, <-ended, nats.ErrDisconnected)
		})
	}
}
