package apiclient_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
)

const patience = 20 * time.Second

func await(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case _, ok := <-changes:
		require.True(t, ok)
	case <-time.After(patience):
		require.Fail(t, "no change was signalled")
	}
}

func closed(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case _, ok := <-changes:
			return !ok
		default:
			return false
		}
	}, patience, time.Millisecond)
}

func TestChangesFollowTheWebSocketAndSurviveItsEnd(t *testing.T) {
	t.Parallel()
	var dials atomic.Int32
	upgrader := websocket.Upgrader{}
	send := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Origin") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		dials.Add(1)
		for range send {
			if conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"delta"}`)) != nil {
				return
			}
			if dials.Load() == 1 {
				return // as a restart of the API would
			}
		}
	}))
	defer server.Close()
	defer close(send)
	client, err := apiclient.New(apiclient.Options{URL: server.URL, Token: "secret"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	changes := client.Changes(ctx)
	send <- struct{}{}
	await(t, changes)
	require.Eventually(t, func() bool { return dials.Load() >= 2 }, patience, time.Millisecond)
	send <- struct{}{}
	await(t, changes)
	cancel()
	closed(t, changes)
}

func TestChangesPollWhereThereIsNoWebSocket(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client, err := apiclient.New(apiclient.Options{URL: server.URL})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	changes := client.Changes(ctx)
	await(t, changes)
	await(t, changes)
	cancel()
	closed(t, changes)
}

func TestTheURLIsChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"localhost:8080", "ftp://a", "http://", "http://a?b=c", "::"} {
		_, err := apiclient.New(apiclient.Options{URL: bad})
		require.ErrorContains(t, err, "is not a URL such as http://127.0.0.1:8080", bad)
	}
	client, err := apiclient.New(apiclient.Options{URL: "https://u:secret@host/prefix/"})
	require.NoError(t, err)
	require.Equal(t, "https://u:xxxxx@host/prefix", client.URL())
	_, err = apiclient.New(apiclient.Options{Token: "two\nlines"})
	require.ErrorIs(t, err, apiclient.ErrToken)
}

func TestIDsAreEscapedInPaths(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.URL.EscapedPath()
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client, err := apiclient.New(apiclient.Options{URL: server.URL + "/prefix"})
	require.NoError(t, err)
	_, err = client.Act(context.Background(), apiclient.ActionDelete, "../x?y")
	require.NoError(t, err)
	require.Equal(t, "/prefix/tasks/..%2Fx%3Fy", <-got)
}
