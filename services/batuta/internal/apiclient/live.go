package apiclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
)

const (
	// liveQuiet is the silence after which a WebSocket is taken for dead: the API sends
	// something at least every two seconds.
	liveQuiet = 10 * time.Second
	// pollInterval is used while there is no WebSocket.
	pollInterval = time.Second
	redialFirst  = 500 * time.Millisecond
	redialMost   = 10 * time.Second
)

// Changes tells when something may have changed: the channel gets a value at every
// message of the API's WebSocket, and once a second while there is none (a proxy may not
// let it through). Values that nobody takes are dropped. The channel is closed once ctx
// is done and all is cleaned up.
//
// The messages are a signal only. What is shown is read by ordinary requests, which are
// complete where a live feed is bounded.
func (c *Client) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		wait := redialFirst
		for ctx.Err() == nil {
			if c.relay(ctx, out) {
				wait = redialFirst
			}
			poll(ctx, out, wait)
			wait = min(wait*2, redialMost)
		}
	}()
	return out
}

// poll stands in for the WebSocket until the next try to open one.
func poll(ctx context.Context, out chan<- struct{}, wait time.Duration) {
	end := time.NewTimer(wait)
	defer end.Stop()
	tick := time.NewTicker(min(wait, pollInterval))
	defer tick.Stop()
	for {
		signal(out)
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-tick.C:
		}
	}
}

// relay passes on the messages of one WebSocket until it ends. It tells whether there was
// one at all.
func (c *Client) relay(ctx context.Context, out chan<- struct{}) bool {
	conn, err := c.dialLive(ctx)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	for {
		if conn.SetReadDeadline(time.Now().Add(liveQuiet)) != nil {
			return true
		}
		if _, _, err := conn.NextReader(); err != nil {
			return true
		}
		signal(out)
	}
}

func (c *Client) dialLive(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{HandshakeTimeout: dialTimeout, Proxy: http.ProxyFromEnvironment}
	header := c.header()
	header.Del("Accept")
	conn, resp, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(c.base.String(), "http")+"/ws", header)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, errors.Join(errors.New("open the WebSocket"), err)
	}
	return conn, nil
}

func signal(out chan<- struct{}) {
	select {
	case out <- struct{}{}:
	default:
	}
}
