package natsx

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// whileConnected is ctx for one request to the server, for at most d where that is not 0. It
// ends when the connection breaks: an answer that was on its way is lost then, and whoever
// waited for it to the end would stand still long after the connection was made anew.
func whileConnected(ctx context.Context, nc *nats.Conn, d time.Duration) (context.Context, context.CancelFunc) {
	stop := context.CancelFunc(func() {})
	if d > 0 {
		ctx, stop = context.WithTimeout(ctx, d)
	}
	one, cancel := context.WithCancelCause(ctx)
	broken := nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go func() {
		for range broken { // closed below
			cancel(nats.ErrDisconnected)
		}
	}()
	return one, func() {
		nc.RemoveStatusListener(broken)
		cancel(nil)
		stop()
	}
}

// orBroken is err, or that the connection broke where err only says that the context ended.
func orBroken(one context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(one), nats.ErrDisconnected) {
		return nats.ErrDisconnected
	}
	return err
}
