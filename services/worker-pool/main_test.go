package workerpool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// envRole makes this test binary a worker process, or a pool process of its own.
const envRole = "BATUTA_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "worker":
		runWorker()
	case "garbage":
		fmt.Println("this is not the protocol") //nolint:forbidigo // that is the point
		select {}
	case "silent":
		select {}
	case "deaf":
		runDeafWorker()
	case "raw":
		runRawWorker()
	case "exits":
		os.Exit(3)
	case "pool":
		runPoolProcess()
	case "nats":
		runNATSProcess()
	case "service":
		runService()
	default:
		goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/batuta-tasks/batuta/shared/child.starter"))
	}
}

func runWorker() {
	w := worker.New(worker.Options{Mux: testMux()})
	if err := w.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// testMux has the handlers of the tests' workers.
func testMux() *worker.Mux {
	m := worker.NewMux()
	m.Handle("echo", func(_ context.Context, t *worker.Task) (any, error) { return t.Payload() })
	m.Handle("fence", func(_ context.Context, t *worker.Task) (any, error) { return t.Fence, nil })
	m.Handle("sleep", func(ctx context.Context, t *worker.Task) (any, error) {
		var ms int64
		if err := t.Bind(&ms); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(ms) * time.Millisecond):
			return os.Getpid(), nil
		}
	})
	m.Handle("obstinate", func(context.Context, *worker.Task) (any, error) { select {} })
	m.Handle("finishes", func(ctx context.Context, t *worker.Task) (any, error) {
		t.Progress(1, "running")
		<-ctx.Done()
		return "finished", nil
	})
	// file ends when the file of its fence is there, and leaves a trace when it is told to stop.
	m.Handle("file", func(ctx context.Context, t *worker.Task) (any, error) {
		var dir string
		if err := t.Bind(&dir); err != nil {
			return nil, err
		}
		t.Progress(1, "running")
		for {
			select {
			case <-ctx.Done():
				return nil, os.WriteFile(stoppedFile(dir, t.Fence), nil, 0o600)
			case <-time.After(10 * time.Millisecond):
			}
			if _, err := os.Stat(goFile(dir, t.Fence)); err == nil {
				return t.Fence, nil
			}
		}
	})
	m.Handle("fail", func(_ context.Context, t *worker.Task) (any, error) {
		return nil, fmt.Errorf("attempt %d", t.Attempt)
	})
	m.Handle("fatal", func(context.Context, *worker.Task) (any, error) { return nil, worker.Permanent(errors.New("hopeless")) })
	m.Handle("later", func(context.Context, *worker.Task) (any, error) {
		return nil, worker.RetryAfter(time.Hour, errors.New("not now"))
	})
	m.Handle("exit", func(context.Context, *worker.Task) (any, error) { os.Exit(7); return nil, nil })
	m.Handle("size", func(_ context.Context, t *worker.Task) (any, error) {
		p, err := t.Payload()
		return len(p), err
	})
	m.Handle("big", func(_ context.Context, t *worker.Task) (any, error) {
		var n int
		err := t.Bind(&n)
		return strings.Repeat("x", n), err
	})
	m.Handle("talk", func(_ context.Context, t *worker.Task) (any, error) {
		for i := range 20 {
			t.Progress(float64(i), fmt.Sprintf("step %d", i))
			t.Log("info", fmt.Sprintf("line %d", i))
		}
		return nil, nil
	})
	for _, name := range []string{"gauge", "gauge.other"} {
		m.Handle(name, measured)
	}
	m.Handle("kills", handleKills)
	m.Handle("env", func(context.Context, *worker.Task) (any, error) { return os.Environ(), nil })
	m.Handle("pid", func(context.Context, *worker.Task) (any, error) { return os.Getpid(), nil })
	// crash-once ends its process, but only where its file does not say that it did.
	m.Handle("crash-once", func(_ context.Context, t *worker.Task) (any, error) {
		var file string
		if err := t.Bind(&file); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return t.Fence, nil //nolint:nilerr // it crashed before
		}
		_ = f.Close()
		os.Exit(9)
		return nil, nil
	})
	return m
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func goFile(dir string, fence uint64) string { return filepath.Join(dir, fmt.Sprintf("go-%d", fence)) }

func stoppedFile(dir string, fence uint64) string {
	return filepath.Join(dir, fmt.Sprintf("stopped-%d", fence))
}
