package up_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Without NATS the API says so, accepts nothing, and goes on by itself when NATS is back.
func TestAnOutageOfNATSIsToldAndEnds(t *testing.T) {
	t.Parallel()
	s := startProcesses(t, t.TempDir())
	before := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}}`)
	s.until(t, before, "completed")
	later := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}, "delayMs": 1000}`)

	s.nats.Stop()
	natstest.Eventually(t, func() error {
		code, out, _ := s.ask(t, http.MethodGet, "/readyz", nil)
		if code != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz: %d %v", code, out)
		}
		return nil
	})
	code, out, header := s.ask(t, http.MethodPost, "/tasks", `{"id": "refused", "type": "sleep", "payload": {"ms": 1}}`)
	require.Equal(t, http.StatusServiceUnavailable, code, "%v", out)
	require.NotEmpty(t, header.Get("Retry-After"))

	s.nats.StartAgain(t)
	natstest.Eventually(t, func() error {
		if status, body := s.do(t, http.MethodGet, "/readyz", nil); status != http.StatusOK {
			return fmt.Errorf("/readyz: %d %v", status, body)
		}
		return nil
	})
	s.until(t, s.submit(t, `{"type": "sleep", "payload": {"ms": 1}}`), "completed")
	s.until(t, later, "completed")
	code, _ = s.do(t, http.MethodGet, "/tasks/refused", nil)
	require.Equal(t, http.StatusNotFound, code)
}

// What is finished makes room for what comes: many times the bytes that the stream of
// submissions may hold pass through it, and no client is ever refused.
func TestFinishedWorkMakesRoomForMore(t *testing.T) {
	t.Parallel()
	s := startProcesses(t, t.TempDir())
	nc, err := nats.Connect(s.natsURL)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	const limit = 3 << 17
	for _, name := range []string{wire.StreamSubmit, wire.StreamReady} {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		c := stream.CachedInfo().Config
		c.MaxBytes = limit
		_, err = js.UpdateStream(t.Context(), c)
		require.NoError(t, err)
	}
	awaitTrim(t, js) // with that the scheduler learns of a changed limit

	body := fmt.Sprintf(`{"type": "hash", "payload": {"algorithm": "md5", "text": %q}}`, strings.Repeat("x", 30<<10))
	sent := 0
	for sent < 10*limit {
		code, out := s.do(t, http.MethodPost, "/tasks", body)
		require.Equal(t, http.StatusAccepted, code, "after %d bytes: %v", sent, out)
		s.until(t, out["id"].(string), "completed")
		sent += len(body)
	}
	stream, err := js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	require.Greater(t, stream.CachedInfo().State.FirstSeq, uint64(1), "nothing was purged")
}

// awaitTrim waits until the scheduler has looked at the streams' limits, as it does every 10 s at
// least: that is over after three more samples of 5 s, and one of a minute that may lie between.
func awaitTrim(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	samples := func() (uint64, error) {
		s, err := js.Stream(t.Context(), wire.StreamSeries)
		if err != nil {
			return 0, err
		}
		return s.CachedInfo().State.LastSeq, nil
	}
	before, err := samples()
	require.NoError(t, err)
	natstest.Eventually(t, func() error {
		now, err := samples()
		if err == nil && now < before+4 {
			err = fmt.Errorf("%d samples, there were %d", now, before)
		}
		return err
	})
}
