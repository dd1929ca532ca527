package obs

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Check returns nil when all is well, else the reason why not, fit for an operator.
type Check func(ctx context.Context) error

// checkTimeout bounds one check: a probe that hangs says less than one that fails.
const checkTimeout = 3 * time.Second

// HealthHandler answers 200 "ok", or 503 with the reason as text. A nil check is well.
func HealthHandler(check Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		var err error
		if check != nil {
			err = check(ctx)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}

// All joins checks into one that runs them in order and returns the first reason.
func All(checks ...Check) Check {
	return func(ctx context.Context) error {
		for _, check := range checks {
			if err := check(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// healthcheckTimeout is below the 3 s that container engines give a health check here.
const healthcheckTimeout = 2 * time.Second

// Healthcheck asks the server at addr (host:port, as in BATUTA_OPS_ADDR or
// BATUTA_HTTP_ADDR) for /readyz and returns nil, or why it is not ready. It is the
// `healthcheck` command of the services: images without a shell have no curl.
func Healthcheck(ctx context.Context, addr string) error {
	target, err := probeAddr(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// probeAddr turns an address to listen on into one to connect to: a server on all
// interfaces is asked over loopback.
func probeAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("healthcheck: there is no ops address to ask: %w", err)
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
