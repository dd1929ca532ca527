package natsx_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b) // never fails
	return b
}

func objectStore(t *testing.T) (jetstream.JetStream, jetstream.ObjectStore, jetstream.Stream) {
	t.Helper()
	js := natstest.Start(t).JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{Budget: 1 << 30}))
	objects, err := js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), wire.StreamObjects)
	require.NoError(t, err)
	return js, objects, s
}

func TestPutObject(t *testing.T) {
	t.Parallel()
	js, objects, s := objectStore(t)
	for _, n := range []int{0, 1, 128 << 10, 128<<10 + 1, 3<<20 + 5} {
		want := content(n)
		require.NoError(t, natsx.PutObject(t.Context(), js, objects, "x", want))
		got, err := objects.GetBytes(t.Context(), "x")
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes", n)
		info, err := objects.GetInfo(t.Context(), "x")
		require.NoError(t, err)
		st, err := s.Info(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, info.Chunks+1, st.State.Msgs, "what it replaced is gone")
	}
	other, err := objects.PutBytes(t.Context(), "y", content(300_000))
	require.NoError(t, err)
	require.NoError(t, natsx.PutObject(t.Context(), js, objects, "y", content(300_000)))
	ours, err := objects.GetInfo(t.Context(), "y")
	require.NoError(t, err)
	require.Equal(t, other.Digest, ours.Digest)
	require.Equal(t, other.Chunks, ours.Chunks)
	require.Equal(t, other.Opts, ours.Opts)

	full, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, natsx.PutObject(full, js, objects, "z", content(1)), context.Canceled)
}

// While a stream has no leader, nobody answers what is published to it. Whatever of an
// object was not taken then is not published later, in another order or with other content.
func TestAnObjectIsWholeAlthoughItsStreamComesAndGoes(t *testing.T) {
	t.Parallel()
	js, objects, s := objectStore(t)
	with, without := s.CachedInfo().Config, s.CachedInfo().Config
	without.Subjects = []string{"nobody.publishes.here"}

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			for _, c := range []jetstream.StreamConfig{without, with} {
				_, _ = js.UpdateStream(ctx, c) // the last of them is cut off
			}
		}
	})
	put, refused := 0, 0
	for put < 6 || refused == 0 {
		name, want := "x"+strconv.Itoa(put), content(700_000+put)
		one, stop := context.WithCancel(t.Context())
		err := natsx.PutObject(one, js, objects, name, want)
		stop()
		if err != nil {
			refused++
			continue
		}
		put++
		natstest.Eventually(t, func() error {
			got, err := objects.GetBytes(t.Context(), name)
			if err == nil {
				require.True(t, bytes.Equal(want, got))
			}
			return err
		})
	}
	cancel()
	wg.Wait()
}
