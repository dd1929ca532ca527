package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Group owns the goroutines of one service. The zero value is ready; a Group may be
// started again after it has stopped. All methods are safe for concurrent use.
//
// Embed it, or keep it as a field:
//
//	func (s *Scheduler) Start(ctx context.Context) error {
//		if err := s.group.Start(ctx); err != nil {
//			return err
//		}
//		s.group.Go("dispatch", s.dispatchLoop)
//		return nil
//	}
//
//	func (s *Scheduler) Stop(ctx context.Context) error { return s.group.Stop(ctx) }
type Group struct {
	mu     sync.Mutex
	run    *run
	failed chan error
}

// run is one life of a group, from Start to Stop.
type run struct {
	ctx    context.Context //nolint:containedctx // it is the life of the group, not of a call
	cancel context.CancelCauseFunc
	loops  map[uint64]string
	nextID uint64
	closed bool
	done   chan struct{} // closed once stopping and no loop is left
}

// Start opens the group: from now on Go starts goroutines. The values of ctx are kept,
// its cancellation is not (see the package documentation). It returns ErrStarted when
// the group is running.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.run != nil && !g.run.ended() {
		return ErrStarted
	}
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	g.run = &run{ctx: runCtx, cancel: cancel, loops: map[uint64]string{}, done: make(chan struct{})}
	return nil
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Go runs loop in a goroutine of its own until it returns; its context ends, with
// cause ErrStop, when the group stops. The name is used in errors only. It reports
// false, and runs nothing, when the group is not running: work that arrives during a
// stop is to be refused, not leaked.
func (g *Group) Go(name string, loop func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.run
	if r == nil || r.closed {
		return false
	}
	id := r.nextID
	r.nextID++
	r.loops[id] = name
	go func() {
		defer g.leave(r, id)
		loop(r.ctx)
	}()
	return true
}

func (g *Group) leave(r *run, id uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(r.loops, id)
	if r.closed && len(r.loops) == 0 {
		close(r.done)
	}
}

// Context is the life of the group: it ends when the group stops. Before the first
// Start it is a context that has ended.
func (g *Group) Context() context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.run == nil {
		return endedContext()
	}
	return g.run.ctx
}

func endedContext() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrStop)
	return ctx
}

// Running reports whether Go would start a goroutine now.
func (g *Group) Running() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.run != nil && !g.run.closed
}

// Stop ends the group's context with cause ErrStop and waits until every goroutine has
// returned. When ctx ends first the error names the goroutines that have not; a later
// Stop goes on waiting. Never call it from one of the group's own goroutines.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	r := g.run
	if r == nil {
		g.mu.Unlock()
		return nil
	}
	r.close()
	g.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return g.stuck(ctx, r)
	}
}

// close needs the group's lock.
func (r *run) close() {
	if r.closed {
		return
	}
	r.closed = true
	r.cancel(ErrStop)
	if len(r.loops) == 0 {
		close(r.done)
	}
}

func (g *Group) stuck(ctx context.Context, r *run) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(r.loops))
	for _, name := range r.loops {
		names = append(names, name)
	}
	if len(names) == 0 { // the last one ended between ctx.Done and the lock
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("still running: %s: %w", strings.Join(names, ", "), context.Cause(ctx))
}

// Fail reports an error after which the service is of no use, such as a listener that
// broke. The first is kept for Failed, later ones are dropped. It stops nothing by itself.
func (g *Group) Fail(err error) {
	select {
	case g.failures() <- err:
	default:
	}
}

// Failed yields the error given to Fail.
func (g *Group) Failed() <-chan error { return g.failures() }

func (g *Group) failures() chan error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
	return g.failed
}
