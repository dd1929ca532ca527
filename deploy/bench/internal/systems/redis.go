package systems

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
)

// startRedis starts a Redis that keeps what it has acknowledged in a log that is synced every
// second.
func startRedis(ctx context.Context, e Env) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(e.Dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	p, err := proc.Start(proc.Options{Name: "redis-server", Dir: e.Dir, Log: e.log("redis"), Args: []string{
		"redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", data, "--appendonly", "yes",
		"--appendfsync", "everysec", "--save", "", "--daemonize", "no", "--logfile", e.log("redis-server"),
	}})
	if err != nil {
		return nil, err
	}
	s := &Server{
		Addr: fmt.Sprintf("127.0.0.1:%d", port), Data: data, procs: []*proc.Process{p}, stop: []func(){func() { p.Stop(syscall.SIGTERM) }},
	}
	if s.Settings, err = redisSettings(ctx, s.Addr); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// redisSettings waits for the server and reads its settings back.
func redisSettings(ctx context.Context, addr string) ([]string, error) {
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer c.Close() //nolint:errcheck // only read
	if err := until(ctx, func() error { return c.Ping(ctx).Err() }); err != nil {
		return nil, fmt.Errorf("redis-server: %w", err)
	}
	var parts []string
	for _, name := range []string{"appendonly", "appendfsync"} {
		v, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		parts = append(parts, name+" "+v[name])
	}
	return []string{"Redis: " + strings.Join(parts, ", ")}, nil
}

// until tries until something works or ctx ends.
func until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last try: %w)", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func redisVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "Redis of an unknown version"
	}
	for f := range strings.FieldsSeq(string(out)) {
		if v, ok := strings.CutPrefix(f, "v="); ok {
			return "Redis " + v
		}
	}
	return "Redis"
}
