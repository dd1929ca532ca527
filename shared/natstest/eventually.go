package natstest

import (
	"testing"
	"time"
)

const (
	eventuallyTimeout  = time.Minute
	eventuallyInterval = 10 * time.Millisecond
)

// Eventually calls check until it returns nil, and fails the test with its last error
// after a minute: on a busy machine what takes a moment may take many seconds.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	if err := poll(check, eventuallyTimeout, eventuallyInterval); err != nil {
		t.Fatalf("not within %s: %v", eventuallyTimeout, err)
	}
}

// poll calls check at once and then at each interval until it returns nil; after
// timeout it returns the last error.
func poll(check func() error, timeout, interval time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-deadline.C:
			return err
		case <-ticker.C:
		}
	}
}
