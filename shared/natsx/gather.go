package natsx

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is returned for what is given to something that has been stopped.
var ErrClosed = errors.New("stopped")

// Gather is group commit: what arrives while a write is in flight goes together into the
// next one, so that load makes batches and an idle system adds no delay.
type Gather[T, R any] struct {
	// maxCount and maxBytes bound one write; an item larger than maxBytes goes alone.
	maxCount, maxBytes int
	size               func(T) int
	write              func(ctx context.Context, items []T) ([]R, error)

	mu    sync.Mutex
	queue []gathered[T, R]
	// handedIn and finished count items, waiting is what comes after some of them.
	handedIn, finished int
	waiting            []afterItems

	closed bool
	wake   chan struct{}
	// closing is closed, and not wake: somebody may be about to send to that.
	closing chan struct{}
	done    chan struct{}
	ctx     context.Context //nolint:containedctx // it is the life of the goroutine, not of a call
	cancel  context.CancelFunc
}

type gathered[T, R any] struct {
	item T
	// i is its place among those it was handed in with, as then is told.
	i    int
	then func(i int, r R, err error)
}

// afterItems is called once so many items have been written.
type afterItems struct {
	items int
	f     func()
}

// NewGather starts a gatherer. Write is called by one goroutine, with at least one item; it
// returns as many results as there are items, or an error that all of them get. It should
// not return before the outcome is known, and end when ctx does.
func NewGather[T, R any](maxCount, maxBytes int, size func(T) int, write func(context.Context, []T) ([]R, error)) *Gather[T, R] {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // cancelled by Close
	g := &Gather[T, R]{
		maxCount: maxCount, maxBytes: maxBytes, size: size, write: write,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
	go g.run()
	return g
}

// Go hands in items in their order and returns; then is called for each of them from the
// writing goroutine, so it must not block.
func (g *Gather[T, R]) Go(then func(i int, r R, err error), items ...T) {
	g.mu.Lock()
	closed := g.closed
	if !closed {
		g.handedIn += len(items)
		for i, item := range items {
			g.queue = append(g.queue, gathered[T, R]{item, i, then})
		}
	}
	g.mu.Unlock()
	if closed {
		var none R
		for i := range items {
			then(i, none, ErrClosed)
		}
		return
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// After calls f when everything that was handed in before has been written, or cannot be: at
// once where there is nothing, else from the writing goroutine, so it must not block.
func (g *Gather[T, R]) After(f func()) {
	g.mu.Lock()
	if g.finished < g.handedIn {
		g.waiting = append(g.waiting, afterItems{g.handedIn, f})
		f = func() {}
	}
	g.mu.Unlock()
	f()
}

// written counts items that are done with, and calls what waited for them.
func (g *Gather[T, R]) written(n int) {
	g.mu.Lock()
	g.finished += n
	ready := 0
	for ready < len(g.waiting) && g.waiting[ready].items <= g.finished {
		ready++
	}
	due := g.waiting[:ready:ready]
	g.waiting = g.waiting[ready:]
	g.mu.Unlock()
	for _, w := range due {
		w.f()
	}
}

// Do hands in items and waits for their results. When ctx ends first the items may still
// be written.
func (g *Gather[T, R]) Do(ctx context.Context, items ...T) ([]R, error) {
	if len(items) == 0 {
		return nil, nil
	}
	results := make([]R, len(items))
	var first error
	left := len(items)
	done := make(chan struct{})
	g.Go(func(i int, r R, err error) {
		results[i] = r
		if err != nil && first == nil {
			first = err
		}
		if left--; left == 0 {
			close(done)
		}
	}, items...)
	select {
	case <-done:
		return results, first
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Len is how many items wait.
func (g *Gather[T, R]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// Close takes nothing more, writes what waits until ctx ends, and returns when the
// goroutine has.
func (g *Gather[T, R]) Close(ctx context.Context) {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.closing)
	}
	g.mu.Unlock()
	select {
	case <-g.done:
	case <-ctx.Done():
		g.cancel()
		<-g.done
	}
	g.cancel()
}

func (g *Gather[T, R]) run() {
	defer close(g.done)
	for {
		batch := g.take()
		if len(batch) == 0 {
			select {
			case <-g.wake:
			case <-g.closing: // nothing is taken any more
				if g.Len() == 0 {
					return
				}
			}
			continue
		}
		items := make([]T, len(batch))
		for i := range batch {
			items[i] = batch[i].item
		}
		results, err := g.write(g.ctx, items)
		for i := range batch {
			var r R
			if err == nil {
				r = results[i]
			}
			batch[i].then(batch[i].i, r, err)
		}
		g.written(len(batch))
	}
}

func (g *Gather[T, R]) take() []gathered[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, 0
	for n < len(g.queue) && n < g.maxCount {
		bytes += g.size(g.queue[n].item)
		if n > 0 && bytes > g.maxBytes {
			break
		}
		n++
	}
	batch := g.queue[:n:n]
	if g.queue = g.queue[n:]; len(g.queue) == 0 {
		g.queue = nil
	}
	return batch
}
