// Package apiclient speaks with the HTTP API of a Batuta that runs somewhere.
//
// Answers keep the JSON they came as beside the decoded value (Doc), so that a program
// that prints them passes on every field and every digit.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultURL is where `batuta up` serves the API.
const DefaultURL = "http://127.0.0.1:8080"

const (
	dialTimeout = 5 * time.Second
	// answerTimeout bounds the wait for the first byte of an answer. The API itself
	// answers or gives up much sooner.
	answerTimeout = 90 * time.Second
)

// Client is safe for use by several goroutines.
type Client struct {
	base  *url.URL
	token string
	agent string
	http  *http.Client
}

// Options of a client; the zero value is an API on this machine without tokens.
type Options struct {
	// URL of the API, http or https; empty: DefaultURL.
	URL string
	// Token for the Authorization header; empty: none is sent.
	Token string
	// UserAgent names the program in the API's log; empty: "batuta".
	UserAgent string
}

// New checks the options; it does not connect.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.UserAgent == "" {
		o.UserAgent = "batuta"
	}
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrToken
	}
	return &Client{base: base, token: o.Token, agent: o.UserAgent, http: &http.Client{
		Transport: newTransport(),
		// A redirected POST would arrive as a GET: what redirects is not the API.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a URL such as %s (rule: http or https, host and port)", text, DefaultURL)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
}

// URL of the API.
func (c *Client) URL() string { return c.base.Redacted() }

// Close drops the connections that are kept for later requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call of the API.
type request struct {
	method string
	// path is already escaped.
	path  string
	query url.Values
	// body is JSON; nil for none.
	body []byte
}

// do sends a request and decodes the answer into the value that into points to; nil drops
// it. The error is an *UnreachableError, a *StatusError, a *StrangerError, or the
// context's.
func (c *Client) do(ctx context.Context, r request, into any) error {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer func() {
		drain(resp.Body)
		_ = resp.Body.Close()
	}()
	if resp.StatusCode >= http.StatusMultipleChoices || resp.StatusCode < http.StatusOK {
		return c.refused(resp)
	}
	if into == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &StrangerError{URL: c.URL(), Status: resp.StatusCode, Type: resp.Header.Get("Content-Type")}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	target := c.base.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make the request %s %s: %w", r.method, r.path, err)
	}
	req.Header = c.header()
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *Client) header() http.Header {
	h := http.Header{"Accept": {"application/json"}, "User-Agent": {c.agent}}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	return h
}

// drain reads what is left of an answer, so that its connection can be used again.
func drain(body io.Reader) {
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 1<<16))
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

func (c *Client) post(ctx context.Context, path string, body []byte, into any) error {
	return c.do(ctx, request{method: http.MethodPost, path: path, body: body}, into)
}

func (c *Client) patch(ctx context.Context, path string, change any, into any) error {
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encode the change of %s: %w", path, err)
	}
	return c.do(ctx, request{method: http.MethodPatch, path: path, body: body}, into)
}

// Doc is a value of the API and the JSON that it came as.
type Doc[T any] struct {
	Value T
	Raw   json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Doc[T]) UnmarshalJSON(b []byte) error {
	d.Raw = append(json.RawMessage(nil), b...)
	return json.Unmarshal(b, &d.Value)
}
