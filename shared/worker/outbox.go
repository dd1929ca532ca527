package worker

import (
	"io"
	"sync"
)

// maxOutbox is how many bytes may wait for the pool before writers wait.
const maxOutbox = 4 << 20

// outbox writes lines to the pool. Lines that come while a write is under way go out
// together with the next: one system call for many.
type outbox struct {
	w io.Writer

	mu      sync.Mutex
	moved   sync.Cond
	buf     []byte
	spare   []byte
	writing bool
	err     error
}

func newOutbox(w io.Writer) *outbox {
	o := &outbox{w: w}
	o.moved.L = &o.mu
	return o
}

// write takes a whole line. It returns before the line is written where another write is
// under way; the error is that of any earlier write.
func (o *outbox) write(line []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) > maxOutbox && o.err == nil {
		o.moved.Wait()
	}
	if o.err != nil {
		return o.err
	}
	o.buf = append(o.buf, line...)
	if o.writing {
		return nil
	}
	o.writing = true
	for len(o.buf) > 0 && o.err == nil {
		o.writeOut()
	}
	o.writing = false
	o.moved.Broadcast()
	return o.err
}

// writeOut writes what has gathered, without holding the lock.
func (o *outbox) writeOut() {
	b := o.buf
	o.buf = o.spare[:0]
	o.mu.Unlock()
	_, err := o.w.Write(b)
	o.mu.Lock()
	o.spare = b[:0]
	if cap(b) > maxOutbox {
		o.spare = nil
	}
	if err != nil {
		o.err = err
	}
	o.moved.Broadcast()
}

// flush waits until all is written.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (o.writing || len(o.buf) > 0) && o.err == nil {
		o.moved.Wait()
	}
}
