package worker_test

import (
	"context"
	"errors"
	"log"
	"os"
	"time"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// The program of docs/workers.md. Run hands over to the pool that started the process; it
// is not run here, where there is none.
func Example() {
	w := worker.New(worker.Options{Concurrency: 8})
	w.Handle("greet", func(ctx context.Context, t *worker.Task) (any, error) {
		var in struct {
			Name   string `json:"name"`
			WaitMs int    `json:"waitMs"`
		}
		if err := t.Bind(&in); err != nil {
			return nil, err // a payload that does not fit is not retried
		}
		if in.Name == "" {
			return nil, worker.Permanent(errors.New("payload.name: is missing"))
		}
		t.Progress(50, "greeting")
		select {
		case <-time.After(time.Duration(in.WaitMs) * time.Millisecond):
			return map[string]string{"greeting": "Hello, " + in.Name}, nil
		case <-ctx.Done(): // cancelled, timeout or deadline: see worker.Reason(ctx)
			return nil, ctx.Err()
		}
	})
	if os.Getenv("BATUTA_WORKER_ID") == "" {
		return // not started by a pool
	}
	if err := w.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
}
