package natstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Gauge counts how many handlers run at once, whatever process they run in. They say so
// themselves by Enter, over a connection that the kernel closes where their process is
// killed.
type Gauge struct {
	addr string

	mu     sync.Mutex
	now    map[string]int
	most   map[string]int
	starts []GaugeStart
	// held are those who wait to be let go.
	held map[string][]chan struct{}
}

// GaugeStart is when a handler with a label has begun.
type GaugeStart struct {
	Label string
	At    time.Time
}

// StartGauge listens until the test ends.
func StartGauge(t testing.TB) *Gauge {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
	require.NoError(t, err)
	g := &Gauge{addr: l.Addr().String(), now: map[string]int{}, most: map[string]int{}, held: map[string][]chan struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { g.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		open.Wait()
	})
	return g
}

// Addr is what handlers need to Enter.
func (g *Gauge) Addr() string { return g.addr }

func (g *Gauge) serve(ctx context.Context, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { _ = c.Close() }()
	words := make(chan string)
	go func() { // it ends with the connection, or with the last word
		defer close(words)
		for r := bufio.NewReader(c); ; {
			word, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words <- strings.TrimSpace(word)
			if word == "done\n" {
				return
			}
		}
	}()
	label, said := <-words
	if !said {
		return
	}
	g.count(label, 1)
	_, _ = c.Write([]byte("in\n"))
	// What it says next: that it waits to be let go, or that it has finished; or it is dead.
	word, said := <-words
	if said && word == "wait" {
		word, said = g.hold(label, words, c)
	}
	g.count(label, -1)
	_, _ = c.Write([]byte("out\n"))
	for said && word != "done" {
		word, said = <-words
	}
}

// hold waits until somebody lets a handler go, and until it has finished.
func (g *Gauge) hold(label string, words <-chan string, c net.Conn) (word string, said bool) {
	free := make(chan struct{})
	g.mu.Lock()
	g.held[label] = append(g.held[label], free)
	g.mu.Unlock()
	select {
	case <-free:
		_, _ = c.Write([]byte("go\n"))
		word, said = <-words
	case word, said = <-words: // it is dead, or finishes unasked
		g.mu.Lock()
		g.held[label] = slices.DeleteFunc(g.held[label], func(c chan struct{}) bool { return c == free })
		g.mu.Unlock()
	}
	return word, said
}

// Release lets n of those go that wait with a label.
func (g *Gauge) Release(label string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = min(n, len(g.held[label]))
	for _, free := range g.held[label][:n] {
		close(free)
	}
	g.held[label] = g.held[label][n:]
}

// Held is how many wait with a label.
func (g *Gauge) Held(label string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.held[label])
}

func (g *Gauge) count(label string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range []string{label, ""} {
		g.now[of] += n
		g.most[of] = max(g.most[of], g.now[of])
	}
	if n > 0 {
		g.starts = append(g.starts, GaugeStart{label, time.Now()})
	}
}

// Now is how many handlers run with a label, Most how many there ever were at once since
// Reset; an empty label stands for all.
func (g *Gauge) Now(label string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now[label]
}

// Most is described at Now.
func (g *Gauge) Most(label string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most[label]
}

// Starts are the starts since Reset, with a label or all.
func (g *Gauge) Starts(label string) []GaugeStart {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []GaugeStart
	for _, s := range g.starts {
		if label == "" || s.Label == label {
			out = append(out, s)
		}
	}
	return out
}

// Reset begins the measurement anew.
func (g *Gauge) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.Copy(g.most, g.now)
	g.starts = nil
}

// Entered is a handler that the gauge counts.
type Entered struct {
	c net.Conn
	r *bufio.Reader
}

// Enter says that a handler runs, and returns once it is counted.
func Enter(ctx context.Context, addr, label string) (*Entered, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("reach the gauge: %w", err)
	}
	e := &Entered{c: c, r: bufio.NewReader(c)}
	if err := e.say(label); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("reach the gauge: %w", err)
	}
	return e, nil
}

func (e *Entered) say(word string) error {
	if _, err := fmt.Fprintln(e.c, word); err != nil {
		return err
	}
	_, err := e.r.ReadString('\n')
	return err
}

// Wait returns when the test lets the handler go, or an error when ctx ends.
func (e *Entered) Wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = e.c.SetReadDeadline(time.Now()) })
	defer stop()
	if err := e.say("wait"); err != nil {
		_ = e.c.SetReadDeadline(time.Time{})
		return fmt.Errorf("wait for the gauge: %w", errors.Join(context.Cause(ctx), err))
	}
	return nil
}

// Leave says that the handler has finished, and returns once that is counted.
func (e *Entered) Leave() {
	_ = e.say("done")
	_ = e.c.Close()
}
