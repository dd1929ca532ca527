package role

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

// Work is the payload of every task of a chaos run.
type Work struct {
	// Ms is how long the handler takes.
	Ms int64 `json:"ms"`
	// Fail is how many attempts fail, from the first on; Last is the last attempt of a task
	// whose attempts all fail.
	Fail int `json:"failTimes,omitempty"`
	Last int `json:"last,omitempty"`
	// Pad makes the payload large; Sum is what it must be.
	Pad string `json:"pad,omitempty"`
	Sum string `json:"sum,omitempty"`
	// ResultBytes makes the result large.
	ResultBytes int `json:"resultBytes,omitempty"`
}

// SumOf is the checksum of a padding.
func SumOf(pad string) string {
	sum := sha256.Sum256([]byte(pad))
	return hex.EncodeToString(sum[:8])
}

var (
	errDamaged = errors.New("the payload arrived damaged")
	errAsked   = errors.New("this attempt was to fail")
)

// handler writes down what it does, outside of NATS.
type handler struct{ book *ledger.Writer }

// work is the worker process: args are the folder of the ledgers.
func work(ctx context.Context, args []string) error {
	signal.Ignore(syscall.SIGINT)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	if len(args) != 1 {
		return errors.New("the folder of the ledgers is the one argument")
	}
	book, err := ledger.Create(args[0], os.Getenv(wire.EnvWorkerID))
	if err != nil {
		return err
	}
	defer book.Close() //nolint:errcheck // every line was synced
	w := worker.New(worker.Options{})
	w.HandleDefault((&handler{book}).run)
	return w.Run(ctx)
}

func (h *handler) run(ctx context.Context, t *worker.Task) (any, error) {
	if err := h.book.Write(ledger.Began, t.ID, t.Attempt, t.Fence); err != nil {
		return nil, err
	}
	var in Work
	err := t.Bind(&in)
	var result any
	if err == nil {
		result, err = do(ctx, t, &in)
	}
	kind := ledger.Succeeded
	switch {
	case err != nil && ctx.Err() != nil:
		kind = ledger.Yielded
	case err != nil && t.Attempt == in.Last:
		kind = ledger.Exhausted
	case err != nil:
		kind = ledger.Failed
	}
	if err := errors.Join(h.book.Write(kind, t.ID, t.Attempt, t.Fence), h.book.Sync()); err != nil {
		return nil, err
	}
	return result, err
}

func do(ctx context.Context, t *worker.Task, in *Work) (any, error) {
	if in.Pad != "" && SumOf(in.Pad) != in.Sum {
		return nil, worker.Permanent(errDamaged)
	}
	if err := wait(ctx, t, time.Duration(in.Ms)*time.Millisecond); err != nil {
		return nil, err
	}
	if in.Last > 0 || t.Attempt <= in.Fail {
		return nil, fmt.Errorf("attempt %d: %w", t.Attempt, errAsked)
	}
	return map[string]any{"attempt": t.Attempt, "pad": strings.Repeat("x", in.ResultBytes)}, nil
}

// reportEvery is how often a long task tells how far it is.
const reportEvery = time.Second

func wait(ctx context.Context, t *worker.Task, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(min(left, reportEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			if d > reportEvery {
				t.Progress(100*(1-float64(time.Until(end))/float64(d)), "")
			}
		}
	}
}
