package natstest

import (
	"testing"
	"time"
)

const (
	eventuallyTimeout = time.Minute
	eventuallyPause   = 10 * time.Millisecond
)

// Eventually calls check until it returns nil, and fails the test with its last error
// after a minute: on a busy machine what takes a moment may take many seconds.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	if err := poll(check, eventuallyTimeout, eventuallyPause); err != nil {
		t.Fatalf("not within %s: %v", eventuallyTimeout, err)
	}
}

// poll calls check at once and then after pauses until it returns nil; after timeout it
// returns the last error. The pauses begin with first and grow to ten times that, a twentieth
// of what was waited: looking must not slow down what is waited for.
func poll(check func() error, timeout, first time.Duration) error {
	began := time.Now()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-deadline.C:
			return err
		case <-time.After(min(max(first, time.Since(began)/20), 10*first)):
		}
	}
}
