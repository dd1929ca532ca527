package builtin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHTTPSendsWhatIsAskedAndReturnsTheAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("X-Mine")+" "+r.Header.Get("Content-Type")+" "+r.Host)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	}))
	defer s.Close()
	type result struct {
		Status  int
		Headers map[string]string
		Body    any
	}
	do := func(payload string) (r result) {
		payload = strings.ReplaceAll(payload, "URL", s.URL)
		require.NoError(t, json.Unmarshal([]byte(b.ok("http", payload)), &r))
		return r
	}
	r := do(`{"method":"PUT","url":"URL/x","headers":{"X-Mine":"yes","Host":"other.example"},"body":"héllo"}`)
	require.Equal(t, 201, r.Status)
	require.Equal(t, "héllo", r.Body)
	require.Equal(t, "PUT yes  other.example", r.Headers["X-Seen"])

	r = do(`{"method":"POST","url":"URL","body":{"n":1.10}}`)
	require.Equal(t, `{"n":1.10}`, r.Body)
	require.Contains(t, r.Headers["X-Seen"], "POST  application/json")
	require.Empty(t, do(`{"method":"GET","url":"URL"}`).Body)
}

func TestHTTPAnswersThatAreNotText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, _ = w.Write(make([]byte, 8<<20+1))
			return
		}
		_, _ = w.Write([]byte{0xff, 0xfe})
	}))
	defer s.Close()
	require.Contains(t, b.ok("http", `{"method":"GET","url":"`+s.URL+`"}`), `"body":{"base64":"//4="}`)
	require.Contains(t, b.refused("http", `{"method":"GET","url":"`+s.URL+`/big"}`), "larger than 8 MiB")
}

func TestHTTPFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/404":
			http.Error(w, "no such thing", http.StatusNotFound)
		case "/429":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/503":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	get := func(path string) string { return `{"method":"GET","url":"` + s.URL + path + `"}` }
	require.Contains(t, b.refused("http", get("/404")), "404 Not Found: no such thing")
	b.refused("http", get("/429"))
	f := b.fails("http", get("/500"))
	require.True(t, f.Retryable)
	require.Nil(t, f.RetryAfterMs)
	f = b.fails("http", get("/503"))
	require.True(t, f.Retryable)
	require.Equal(t, new(int64(7000)), f.RetryAfterMs)
	s.Close()
	f = b.fails("http", strings.Replace(get("/"), "http://", "http://me:secret@", 1))
	require.True(t, f.Retryable)
	require.NotContains(t, f.Message, "secret")
}

func TestHTTPYieldsToACancel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reached, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		close(reached)
		<-release
	}))
	defer s.Close()
	defer close(release)
	b.yields("http", `{"method":"GET","url":"`+s.URL+`"}`, func() bool {
		select {
		case <-reached:
			return true
		default:
			return false
		}
	})
}
