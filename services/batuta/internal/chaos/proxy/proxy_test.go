package proxy_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proxy"
)

const patience = 20 * time.Second

// echo answers every line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// line reads one within d.
func (c *client) line(d time.Duration) (string, error) {
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(d)))
	return c.r.ReadString('\n')
}

func (c *client) requireEcho(text string) {
	c.t.Helper()
	_, err := c.Write([]byte(text + "\n"))
	require.NoError(c.t, err)
	got, err := c.line(patience)
	require.NoError(c.t, err)
	require.Equal(c.t, text+"\n", got)
}

func start(t *testing.T) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(t.Context(), echo(t))
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func TestABlackHoleHoldsBackAndLetsGo(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := dial(t, p)
	c.requireEcho("one")
	p.Set(proxy.BlackHole)
	_, err := c.Write([]byte("two\n"))
	require.NoError(t, err, "the sender does not notice")
	_, err = c.line(100 * time.Millisecond)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	late := dial(t, p)
	p.Set(proxy.Open)
	got, err := c.line(patience)
	require.NoError(t, err)
	require.Equal(t, "two\n", got)
	late.requireEcho("three")
}

func TestAResetBreaksAndRefuses(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := dial(t, p)
	c.requireEcho("one")
	p.Set(proxy.Reset)
	_, err := c.line(patience)
	require.ErrorContains(t, err, "reset")
	// The reset may come before the dialler has its connection, or after.
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Cleanup(func() { _ = c.Close() })
		_, err = (&client{t, c, bufio.NewReader(c)}).line(patience)
		require.Error(t, err)
	}
	p.Set(proxy.Open)
	dial(t, p).requireEcho("two")
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := dial(t, p)
	c.requireEcho("one")
	p.Set(proxy.BlackHole)
	dial(t, p)
	p.Close()
	_, err := c.line(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, net.ErrClosed)
}
