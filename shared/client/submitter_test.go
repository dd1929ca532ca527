package client_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const soon = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty is a JetStream whose answers can get lost, and whose publishes can be held up.
type faulty struct {
	jetstream.JetStream
	// lose is how many answers get lost from now on.
	lose atomic.Int32
	// gate, where set, must be read from before each publish.
	gate chan struct{}
}

func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if f.gate != nil {
		<-f.gate
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, opts...)
	if err == nil && f.lose.Add(-1) >= 0 {
		return nil, context.DeadlineExceeded
	}
	return ack, err
}

func setup(t *testing.T) (*natstest.Server, *faulty, *client.Submitter) {
	t.Helper()
	srv := natstest.Start(t)
	nc := srv.Conn(t, nats.ReconnectBufSize(-1))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{Budget: 1 << 30, Replicas: 1}))
	objects, err := js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	f := &faulty{JetStream: js}
	s := client.NewSubmitter(f, objects)
	t.Cleanup(s.Close)
	return srv, f, s
}

func task(id string) *wire.Submission {
	members, _, err := wire.Decoder{Defaults: wire.StandardDefaults, Now: time.Now()}.Decode([]byte(`{"type":"demo","payload":{"a" : 1.0}}`))
	if err != nil {
		panic(err)
	}
	sub := members[0].Submission
	sub.ID = id
	return &sub
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func stored(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

func TestEncodeKeepsThePayloadsBytes(t *testing.T) {
	t.Parallel()
	sub := task("x")
	sub.Payload = json.RawMessage("{ \"a\" :\t1.50, \"s\":\"<&>\" }")
	members, _, err := wire.Decoder{Defaults: wire.StandardDefaults, Now: time.Now()}.Decode(client.Encode(sub))
	require.NoError(t, err)
	require.Equal(t, *sub, members[0].Submission)
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	_, f, s := setup(t)
	f.lose.Store(3)
	at, err := s.Submit(within(t, soon), task(""))
	require.NoError(t, err)
	require.Equal(t, "task-001", at.ID)
	require.Equal(t, uint64(1), stored(t, f), "the repetition was stored as another task")
}

func TestAnOutcomeThatStaysUnknownIsSaidToBe(t *testing.T) {
	t.Parallel()
	_, f, s := setup(t)
	f.lose.Store(1 << 30)
	_, err := s.Submit(within(t, 300*time.Millisecond), task(""))
	require.ErrorIs(t, err, client.ErrUnknownOutcome)
	require.Equal(t, uint64(1), stored(t, f))
	f.lose.Store(0)
	_, err = s.Submit(within(t, soon), task(""))
	require.NoError(t, err, "the next task is not held up")
}

func TestWithoutNATSNothingIsStored(t *testing.T) {
	t.Parallel()
	srv, f, s := setup(t)
	srv.Stop()
	require.Eventually(t, func() bool { return !f.Conn().IsConnected() }, soon, time.Millisecond)
	// Long enough for a first try, which tells that nothing leaves this process.
	_, err := s.Submit(within(t, 2*time.Second), task(""))
	require.ErrorIs(t, err, client.ErrNotStored)
	var wait sync.WaitGroup
	wait.Go(func() { srv.StartAgain(t) })
	at, err := s.Submit(within(t, soon), task("mine"))
	wait.Wait()
	require.NoError(t, err, "a task waits for NATS to come back")
	require.Equal(t, "mine", at.ID)
	require.Equal(t, uint64(1), stored(t, f))
}

func TestWhatComesWhileAPublishIsInFlightGoesTogether(t *testing.T) {
	t.Parallel()
	_, f, s := setup(t)
	f.gate = make(chan struct{})
	const n = wire.MaxGroup + 5
	results := make(chan client.Stored, n+1)
	var wait sync.WaitGroup
	one := func() {
		at, err := s.Submit(within(t, soon), task(""))
		if err != nil {
			t.Error(err)
		}
		results <- at
	}
	wait.Go(one)
	wait.Go(func() {
		subs := make([]*wire.Submission, n)
		for i := range subs {
			subs[i] = task("")
		}
		all, errs := s.SubmitAll(within(t, soon), subs)
		for i := range all {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			results <- all[i]
		}
	})
	close(f.gate)
	wait.Wait()
	close(results)
	ids := map[string]bool{}
	for at := range results {
		ids[at.ID] = true
		require.Equal(t, wire.MakeID(at.Seq, at.Member), at.ID)
	}
	require.Len(t, ids, n+1)
	require.LessOrEqual(t, stored(t, f), uint64(3))
	require.GreaterOrEqual(t, stored(t, f), uint64(2), "a message holds at most 1,000 tasks")
}

func TestAFullStreamIsSaidToBeFull(t *testing.T) {
	t.Parallel()
	_, f, s := setup(t)
	st, err := f.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	cfg := st.CachedInfo().Config
	cfg.MaxMsgs = 1
	_, err = f.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	_, err = s.Submit(within(t, soon), task(""))
	require.NoError(t, err)
	_, err = s.Submit(within(t, soon), task(""))
	require.ErrorIs(t, err, client.ErrFull)

	large := task("")
	large.Payload, err = json.Marshal(string(make([]byte, wire.MaxPayload)))
	require.NoError(t, err)
	_, err = s.Submit(within(t, soon), large)
	require.ErrorIs(t, err, client.ErrFull)
	objects, err := f.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	_, err = objects.List(t.Context())
	require.ErrorIs(t, err, jetstream.ErrNoObjectsFound, "the payload of a task that was not stored stays")
}

func TestAfterCloseNothingIsTaken(t *testing.T) {
	t.Parallel()
	_, f, s := setup(t)
	s.Close()
	_, err := s.Submit(within(t, soon), task(""))
	require.ErrorIs(t, err, client.ErrStopped)
	require.ErrorIs(t, err, client.ErrNotStored)
	require.Zero(t, stored(t, f))
}
