package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/embedded"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// A disk that is really full freezes a stream for good: publishes get no answer, and
// acknowledgements are answered without being kept. Once there is room the server opens
// its store anew, by itself, and nothing that was acknowledged before is missing.
func TestAFrozenStoreIsOpenedAgainOnceTheDiskHasRoom(t *testing.T) {
	t.Parallel()
	natstest.OnSmallDisk(t, "400m", frozenAndOpenedAgain)
}

func frozenAndOpenedAgain(t *testing.T, disk *natstest.Disk) {
	t.Helper()
	s := embedded.New(embedded.Config{
		Addr: "127.0.0.1:0", DataDir: disk.Dir(), Sync: settings.Sync{Always: true}, CheckEvery: 20 * time.Millisecond,
		Log: obs.NewTestLogger(t.Output()),
	})
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	first, url := s.NATS(), s.NATS().ClientURL()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(t, err)
	put := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "s", make([]byte, 64<<10))
		return err
	}
	require.NoError(t, put())

	disk.Fill(t)
	natstest.Eventually(t, func() error {
		if put() == nil {
			return errors.New("a full disk takes a message")
		}
		return nil
	})
	natstest.Eventually(t, func() error {
		if err := s.Ready(); err == nil {
			return errors.New("the server calls itself ready")
		}
		return nil
	})
	require.ErrorContains(t, s.Ready(), "BATUTA_DATA_DIR: the disk is full")
	require.ErrorContains(t, s.Ready(), "'$G > S' write error")
	require.Same(t, first, s.NATS(), "a restart would not help yet")

	disk.Free(t)
	natstest.Eventually(t, func() error { return errors.Join(s.Ready(), put()) })
	require.NotSame(t, first, s.NATS())
	require.Equal(t, url, s.NATS().ClientURL())
	info, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.GreaterOrEqual(t, info.CachedInfo().State.Msgs, uint64(2))
}

// Streams reserve bytes. Where the disk has less to give at a later start than they have
// reserved, they are opened all the same: what is in them is not given up.
func TestOpensWhatNoLongerFits(t *testing.T) {
	t.Parallel()
	natstest.OnSmallDisk(t, "400m", opensWhatNoLongerFits)
}

func opensWhatNoLongerFits(t *testing.T, disk *natstest.Disk) {
	t.Helper()
	s := server(t, "127.0.0.1:0", disk.Dir())
	require.NoError(t, s.Start(t.Context()))
	js := use(t, s)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxBytes: 300 << 20})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s", []byte("kept"))
	require.NoError(t, err)
	require.NoError(t, s.Stop(t.Context()))

	other := filepath.Join(disk.Dir(), "somebody-elses")
	require.NoError(t, os.WriteFile(other, make([]byte, 100<<20), 0o600))
	s = server(t, "127.0.0.1:0", disk.Dir())
	require.NoError(t, s.Start(t.Context()))
	js = use(t, s)
	m, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.EqualValues(t, 1, m.CachedInfo().State.Msgs)
	var refused *jetstream.APIError
	for i := range 400 {
		if _, err = js.Publish(t.Context(), "s", make([]byte, 900<<10)); err != nil {
			require.ErrorAs(t, err, &refused)
			require.Equal(t, jetstream.ErrorCode(10023), refused.ErrorCode, "after %d MB", i)
			break
		}
	}
	require.NotNil(t, refused, "the disk takes more than it has")
	require.NoError(t, s.Ready(), "refused cleanly, before the disk was full")
}
