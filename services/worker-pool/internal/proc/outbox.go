package proc

import (
	"io"
	"sync"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// outbox writes lines to a worker's stdin from a goroutine of its own, so that a worker
// that does not read never holds up the pool. What waits is bounded by the worker's slots.
type outbox struct {
	mu     sync.Mutex
	buf    []byte
	spare  []byte
	closed bool
	wake   chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) send(l *wire.LineToWorker) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrGone
	}
	b, err := l.Append(o.buf)
	if err != nil {
		return err
	}
	o.buf = b
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// close ends run after what it writes now.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		close(o.wake)
	}
}

// maxSpare is the largest buffer that is kept for the next lines.
const maxSpare = 256 << 10

// run writes until close, or returns false where the worker cannot be written to; lines that
// gather meanwhile go in one write.
func (o *outbox) run(w io.Writer) bool {
	for range o.wake {
		o.mu.Lock()
		b := o.buf
		o.buf, o.spare = o.spare[:0], nil
		o.mu.Unlock()
		if len(b) == 0 {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return false
		}
		if cap(b) <= maxSpare {
			o.mu.Lock()
			o.spare = b[:0]
			o.mu.Unlock()
		}
	}
	return true
}
