package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
)

// dial opens a WebSocket.
func (b *bundle) dial(query string, header http.Header) (*websocket.Conn, *http.Response, error) {
	b.t.Helper()
	d := websocket.Dialer{HandshakeTimeout: soon, EnableCompression: true}
	conn, resp, err := d.DialContext(b.t.Context(), "ws://"+b.addr+"/ws"+query, header)
	if conn != nil {
		b.t.Cleanup(func() { _ = conn.Close() })
		require.NoError(b.t, conn.SetReadDeadline(time.Now().Add(soon)))
	}
	return conn, resp, err
}

func (b *bundle) feed() *feed {
	b.t.Helper()
	select {
	case f := <-b.model.subs:
		return f
	case <-time.After(soon):
		require.Fail(b.t, "nobody subscribed")
		return nil
	}
}

func requireClosed(t *testing.T, f *feed) {
	t.Helper()
	select {
	case <-f.closed:
	case <-time.After(soon):
		require.Fail(t, "the subscription was not closed")
	}
}

func TestWebSocketPassesMessagesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, _, err := b.dial("?since=41", nil)
	require.NoError(t, err)
	f := b.feed()
	require.Equal(t, uint64(41), f.since)
	f.out <- []byte(`{"type":"snapshot"}`)
	f.out <- []byte(`{"type":"delta"}`)
	for _, want := range []string{`{"type":"snapshot"}`, `{"type":"delta"}`} {
		kind, got, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, websocket.TextMessage, kind)
		require.Equal(t, want, string(got))
	}
	require.NoError(t, conn.Close())
	requireClosed(t, f)
}

func TestWebSocketOfAClientThatCannotKeepUpIsClosedWithAReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, _, err := b.dial("", nil)
	require.NoError(t, err)
	f := b.feed()
	f.reason = "too slow"
	close(f.out)
	_, _, err = conn.ReadMessage()
	var closed *websocket.CloseError
	require.ErrorAs(t, err, &closed, "%v", err)
	require.Equal(t, websocket.ClosePolicyViolation, closed.Code)
	require.Equal(t, "too slow", closed.Text)
	requireClosed(t, f)
}

const sleeperMessage = 256 << 10

// sleeper is a client that reads nothing until it is woken up; the feed is stuck in a write.
func (b *bundle) sleeper() (*websocket.Conn, *feed) {
	b.t.Helper()
	plain := websocket.Dialer{HandshakeTimeout: soon} // what is compressed is too small to fill anything
	conn, _, err := plain.DialContext(b.t.Context(), "ws://"+b.addr+"/ws", nil)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	f := b.feed()
	message := []byte(`"` + strings.Repeat("x", sleeperMessage-2) + `"`)
	for stuck := false; !stuck; {
		select {
		case f.out <- message:
		case <-time.After(200 * time.Millisecond):
			stuck = true
		}
	}
	return conn, f
}

func TestASleepingClientThatWakesUpHearsWhyItIsClosed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, f := b.sleeper()
	f.reason = "too slow"
	close(f.out)
	err := error(nil)
	for err == nil {
		var message []byte
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(soon)))
		if _, message, err = conn.ReadMessage(); err == nil {
			require.Len(t, message, sleeperMessage, "messages come whole")
		}
	}
	var closed *websocket.CloseError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, "too slow", closed.Text)
	requireClosed(t, f)
}

func TestShutdownDoesNotWaitForASleepingClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, f := b.sleeper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, b.server.Shutdown(ctx))
	requireClosed(t, f)
}

func TestShutdownClosesWebSocketsWithAReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, _, err := b.dial("", nil)
	require.NoError(t, err)
	f := b.feed()
	require.NoError(t, b.server.Shutdown(t.Context()))
	_, _, err = conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
	requireClosed(t, f)
}

func TestWebSocketAccess(t *testing.T) {
	t.Parallel()
	b := setup(t, withTokens(t, tokensFile(t), "https://ops.example.com"))
	dial := func(header http.Header) int {
		conn, resp, err := b.dial("", header)
		if err == nil {
			_ = conn.Close()
			requireClosed(t, b.feed())
		}
		return resp.StatusCode
	}
	bearer := func(more ...string) http.Header {
		h := http.Header{"Authorization": {"Bearer token-of-viewer"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	require.Equal(t, http.StatusUnauthorized, dial(nil))
	require.Equal(t, http.StatusSwitchingProtocols, dial(bearer()))
	require.Equal(t, http.StatusSwitchingProtocols, dial(bearer("Origin", "http://"+b.addr)))
	require.Equal(t, http.StatusSwitchingProtocols, dial(bearer("Origin", "https://ops.example.com")))
	require.Equal(t, http.StatusForbidden, dial(bearer("Origin", "https://evil.example")))
	b.token = "token-of-viewer"
	cookie := b.post("/session", `{"token":"token-of-viewer"}`).header.Get("Set-Cookie")
	require.Equal(t, http.StatusSwitchingProtocols, dial(http.Header{"Cookie": {cookie}, "Origin": {"http://" + b.addr}}))

	got := b.get("/ws")
	got.problem(t, http.StatusUpgradeRequired)
	require.Contains(t, b.get("/ws?since=x").faults(t), "since")
}
