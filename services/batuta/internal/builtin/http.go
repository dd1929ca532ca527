package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// maxBody is the most of an answer's body that becomes a result.
const maxBody = 8 << 20

type httpInput struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

type httpResult struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	// Body is a string, or {"base64": "…"} where it is not UTF-8.
	Body any `json:"body"`
}

func newHTTPClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.MaxResponseHeaderBytes = 256 << 10
	return &http.Client{Transport: t} // the task's own timeout bounds the whole
}

// http sends one request. A 4xx fails for good, a 5xx and a broken connection to be retried.
func (b *Types) http(ctx context.Context, t *worker.Task) (any, error) {
	in := httpInput{Method: http.MethodGet}
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	req, err := in.request(ctx)
	if err != nil {
		return nil, err
	}
	t.Step("waiting for " + req.URL.Host)
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("request: %w", withoutPassword(err))
	}
	defer resp.Body.Close() //nolint:errcheck // read or given up
	body, err := readBody(ctx, t, resp)
	if err != nil {
		return nil, err
	}
	return answer(resp, body)
}

// withoutPassword keeps what a URL may hold out of the task's record.
func withoutPassword(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (in *httpInput) request(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, refuse("payload.url: %q: must be an http or https URL", in.URL)
	}
	body, isText, err := in.body()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, in.Method, in.URL, bytes.NewReader(body))
	if err != nil {
		return nil, refuse("payload: %w", err)
	}
	req.Header.Set("User-Agent", "batuta")
	if len(body) > 0 && !isText {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range in.Headers {
		if !validHeader(name, value) {
			return nil, refuse("payload.headers.%s: is not a header", name)
		}
		req.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
	}
	return req, nil
}

// body is a string as it is, any other JSON as JSON.
func (in *httpInput) body() (body []byte, isText bool, err error) {
	if len(in.Body) == 0 || string(in.Body) == "null" {
		return nil, true, nil
	}
	if in.Body[0] != '"' {
		return in.Body, false, nil
	}
	var text string
	if err := json.Unmarshal(in.Body, &text); err != nil {
		return nil, false, refuse("payload.body: %w", err)
	}
	return []byte(text), true, nil
}

func validHeader(name, value string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(others, c) {
			return false
		}
	}
	return name != "" && !strings.ContainsAny(value, "\r\n\x00")
}

func readBody(ctx context.Context, t *worker.Task, resp *http.Response) ([]byte, error) {
	if resp.ContentLength > 0 {
		t.Step(fmt.Sprintf("reading %d bytes", resp.ContentLength))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(body) > maxBody && resp.StatusCode < 400:
		return nil, refuse("the answer (%s) has a body larger than 8 MiB", resp.Status)
	}
	return body, nil
}

func answer(resp *http.Response, body []byte) (any, error) {
	if resp.StatusCode >= 400 {
		err := fmt.Errorf("the answer is %s: %s", resp.Status, strings.ToValidUTF8(string(body[:min(len(body), 500)]), "�"))
		if resp.StatusCode < 500 {
			return nil, worker.Permanent(err)
		}
		if after, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			return nil, worker.RetryAfter(after, err)
		}
		return nil, err
	}
	r := httpResult{Status: resp.StatusCode, Headers: map[string]string{}, Body: string(body)}
	for name, values := range resp.Header {
		r.Headers[name] = strings.Join(values, ", ")
	}
	if !utf8.Valid(body) {
		r.Body = map[string][]byte{"base64": body}
	}
	return r, nil
}

// retryAfter reads the header: seconds, or a date. A server cannot ask for more than a day.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	d, ok := time.Duration(0), false
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		d, ok = time.Duration(n)*time.Second, true
	} else if at, err := http.ParseTime(value); err == nil {
		d, ok = at.Sub(now), true
	}
	return min(max(d, 0), 24*time.Hour), ok
}
