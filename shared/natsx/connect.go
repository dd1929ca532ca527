// Package natsx is how Batuta's services speak to NATS: connections, group commit,
// acknowledgements that are known to have arrived, and reads behind the barrier.
package natsx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConnectOptions say how to reach NATS.
type ConnectOptions struct {
	// URL lists servers, comma separated.
	URL string
	// Name is shown by the server's tools.
	Name string
	// Creds is a credentials file, NKey a seed file; TLSCA, TLSCert and TLSKey are PEM files.
	Creds, NKey            string
	TLSCA, TLSCert, TLSKey string
	// InProcess connects without a network, to a server in this process.
	InProcess nats.InProcessConnProvider
	Log       *slog.Logger
	// OnReconnect is called, not concurrently, after every reconnection.
	OnReconnect func()
}

// MinServer is the oldest NATS server that has what Batuta uses: recurring schedules.
const MinServer = "2.14"

// reconnectWait is short, since a pool's leases go on while it is cut off.
const reconnectWait = 50 * time.Millisecond

// Connect opens a connection that reconnects for ever and buffers nothing while it is cut
// off: an acknowledgement sent later would remove a message from under its new holder. It
// fails where no server answers or the server is older than MinServer.
func Connect(o ConnectOptions) (*nats.Conn, error) {
	opts, err := options(o)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", o.URL, err)
	}
	if v := nc.ConnectedServerVersion(); !atLeast(v, MinServer) {
		nc.Close()
		return nil, fmt.Errorf("the NATS server at %s is %s: Batuta needs %s or later", o.URL, v, MinServer)
	}
	return nc, nil
}

// syncQueue is room for the largest answer that is read message by message: 1,024 of a
// multi-get (LastOf) and its end. The library's own value makes each such read clear and throw
// away half a megabyte, which was a third of what an idle system did.
const syncQueue = 2048

func options(o ConnectOptions) ([]nats.Option, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2 * time.Second),
		nats.SyncQueueLen(syncQueue),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() {
				log.Warn("disconnected from NATS", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("reconnected to NATS", "server", nc.ConnectedServerName())
			if o.OnReconnect != nil {
				o.OnReconnect()
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("NATS reports an error", "subject", subject, "err", err)
		}),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	return appendAccess(opts, o)
}

func appendAccess(opts []nats.Option, o ConnectOptions) ([]nats.Option, error) {
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("read the nkey seed %s: %w", o.NKey, err)
		}
		opts = append(opts, opt)
	}
	if o.TLSCA == "" && o.TLSCert == "" {
		return opts, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLSCA != "" {
		pem, err := os.ReadFile(o.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.TLSCA)
		}
	}
	if o.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return append(opts, nats.Secure(c)), nil
}

// atLeast compares versions such as 2.15.2 by major and minor number.
func atLeast(version, least string) bool {
	number := func(v string, i int) int {
		parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
		if i >= len(parts) {
			return 0
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return 0
		}
		return n
	}
	if number(version, 0) != number(least, 0) {
		return number(version, 0) > number(least, 0)
	}
	return number(version, 1) >= number(least, 1)
}

// ClusterSize is how many servers of a NATS cluster are known, those that were named and
// those that the server told of; 1 where there is no cluster.
func ClusterSize(nc *nats.Conn) int {
	if nc.ConnectedClusterName() == "" {
		return 1
	}
	return max(len(nc.Servers()), 1)
}

// codeOf is the JetStream error code in err, 0 where there is none.
func codeOf(err error) jetstream.ErrorCode {
	if ae, ok := errors.AsType[*jetstream.APIError](err); ok {
		return ae.ErrorCode
	}
	return 0
}

// Codes of the server that Batuta tells apart (nats-server, errors.json).
const (
	codeInsufficient1  jetstream.ErrorCode = 10023
	codeInsufficient2  jetstream.ErrorCode = 10047
	codeStreamFull     jetstream.ErrorCode = 10077
	codeWrongLast      jetstream.ErrorCode = 10071
	codeWrongLastInRun jetstream.ErrorCode = 10164
	codeInFlight       jetstream.ErrorCode = 10158
	codeOverloaded     jetstream.ErrorCode = 10167
	codeBatchDuplicate jetstream.ErrorCode = 10201
	codeBatchBroken    jetstream.ErrorCode = 10176
)

// IsFull tells whether a stream refused a message because it, or the disk, is full.
func IsFull(err error) bool {
	switch codeOf(err) {
	case codeStreamFull, codeInsufficient1, codeInsufficient2:
		return true
	}
	return false
}

// IsConflict tells whether a write was refused because the key has moved on.
func IsConflict(err error) bool {
	switch codeOf(err) {
	case codeWrongLast, codeWrongLastInRun:
		return true
	}
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// Final tells whether the server's answer will not change by asking again: its word on the
// message itself, not on its own state.
func Final(err error) bool {
	switch code := codeOf(err); code {
	case 0, codeInFlight, codeOverloaded, codeStreamFull, codeInsufficient1, codeInsufficient2:
		return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject)
	default:
		var ae *jetstream.APIError
		return errors.As(err, &ae) && ae.Code < 500
	}
}

// Passing tells whether an error may be gone at the next try although nobody does anything:
// no answer, no leader, or a stream that a cluster does not know of everywhere yet.
func Passing(err error) bool {
	if ae, ok := errors.AsType[*jetstream.APIError](err); ok {
		return (ae.Code == 404 || ae.Code == 503) && !IsFull(err)
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// tryTimeout is how long one try of a publish or acknowledgement waits for its answer.
const tryTimeout = 2 * time.Second

// pause waits before try n+1, at most half a second, or until ctx ends.
func pause(ctx context.Context, n int) error {
	d := min(time.Duration(1<<min(n, 10))*5*time.Millisecond, 500*time.Millisecond)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
