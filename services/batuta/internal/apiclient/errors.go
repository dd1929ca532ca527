package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// problemMax bounds what is read of an error's body.
const problemMax = 16 << 20

// ErrToken is returned for a token that cannot stand in a header.
var ErrToken = errors.New("the token holds characters that no token has (rule: printable ASCII without spaces)")

// UnreachableError is returned when no connection to the API could be made or kept.
type UnreachableError struct {
	// URL that was tried.
	URL string
	// Sent: the request may have arrived, so that its effect is unknown.
	Sent bool
	Err  error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %s", e.URL, e.Reason())
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Reason is the cause without the address, which the client's own errors repeat.
func (e *UnreachableError) Reason() string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(e.Err, &dns) && dns.IsNotFound:
		return "no host is called " + dns.Name
	case errors.Is(e.Err, io.EOF), errors.Is(e.Err, io.ErrUnexpectedEOF), errors.Is(e.Err, syscall.ECONNRESET):
		return "connection closed before the answer"
	case errors.As(e.Err, &timeout) && timeout.Timeout():
		return "timed out"
	}
	return root(e.Err).Error()
}

func root(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// StatusError is an error that the API answered with.
type StatusError struct {
	wire.Problem
	// RetryAfter is how long the API asks to wait before the next try; 0 where it does not.
	RetryAfter time.Duration
}

// Error implements error.
func (e *StatusError) Error() string { return e.Problem.Error() }

// StrangerError is returned when something answered that does not speak as Batuta does.
type StrangerError struct {
	URL    string
	Status int
	// Type is the media type of the answer.
	Type string
}

// Error implements error.
func (e *StrangerError) Error() string {
	kind := e.Type
	if kind == "" {
		kind = "no media type"
	}
	return fmt.Sprintf("what answers at %s is not the API of Batuta (status %d, %s)", e.URL, e.Status, kind)
}

// IsStatus tells whether err is an answer of the API with this HTTP status.
func IsStatus(err error, status int) bool {
	var e *StatusError
	return errors.As(err, &e) && e.Status == status
}

// Passing tells whether the same request may succeed a little later: the API was away or
// could not serve just then. A read may simply be repeated.
func Passing(err error) bool {
	var away *UnreachableError
	var status *StatusError
	switch {
	case errors.As(err, &away):
		return true
	case errors.As(err, &status):
		return status.Status == http.StatusTooManyRequests || status.Status >= http.StatusInternalServerError
	}
	return false
}

// failed makes an error of a request that got no answer.
func (c *Client) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var op *net.OpError
	dialing := errors.As(err, &op) && op.Op == "dial"
	return &UnreachableError{URL: c.URL(), Sent: !dialing, Err: err}
}

// refused makes an error of an answer that is none of success.
func (c *Client) refused(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, problemMax))
	e := &StatusError{RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || !strings.HasSuffix(kind, "json") || json.Unmarshal(body, &e.Problem) != nil || e.Title == "" {
		return &StrangerError{URL: c.URL(), Status: resp.StatusCode, Type: kind}
	}
	e.Status = resp.StatusCode
	return e
}

func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
