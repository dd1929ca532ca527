// Package proxy carries TCP connections and cuts them: as a broken cable does, where nothing
// arrives and nobody is told, or as a firewall, which resets.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Cut is what happens to the connections.
type Cut int

const (
	// Open lets everything pass.
	Open Cut = iota
	// BlackHole lets connections stay, and new ones be made, but nothing passes.
	BlackHole
	// Reset breaks connections off, and new ones too.
	Reset
)

// dialTimeout bounds how long a target may take to accept.
const dialTimeout = 2 * time.Second

// Proxy forwards what connects to it to one target.
type Proxy struct {
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu     sync.Mutex
	cut    Cut
	change chan struct{} // closed when cut changes
	conns  map[*link]struct{}
	closed bool
}

// link is a connection and its other half.
type link struct {
	near, far net.Conn
}

// New listens on a free port of the loopback interface.
func New(ctx context.Context, target string) (*Proxy, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, change: make(chan struct{}), conns: map[*link]struct{}{}}
	p.done.Go(p.accept)
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set cuts the connections, or opens the way again. What a black hole has held back passes
// once it is open.
func (p *Proxy) Set(c Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == c {
		return
	}
	p.cut = c
	close(p.change)
	p.change = make(chan struct{})
	if c == Reset {
		p.breakAll()
	}
}

// Close breaks all connections and waits for them.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	close(p.change)
	p.change = make(chan struct{})
	p.breakAll()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.done.Wait()
}

// breakAll needs the lock. Without lingering a close sends a reset.
func (p *Proxy) breakAll() {
	for l := range p.conns {
		l.reset()
	}
}

func (l *link) reset() {
	for _, c := range []net.Conn{l.near, l.far} {
		if c == nil {
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.done.Go(func() { p.carry(near) })
	}
}

func (p *Proxy) carry(near net.Conn) {
	far := net.Conn(nil)
	if p.passable() {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		var dialer net.Dialer
		if conn, err := dialer.DialContext(ctx, "tcp", p.target); err == nil {
			far = conn
		}
		cancel()
	}
	if far == nil {
		(&link{near: near}).reset()
		return
	}
	l := &link{near: near, far: far}
	p.mu.Lock()
	if p.closed || p.cut == Reset {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.conns[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(l, l.far, l.near) })
	both.Go(func() { p.copy(l, l.near, l.far) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, l)
	p.mu.Unlock()
}

// passable waits out a black hole; false where the way is closed.
func (p *Proxy) passable() bool {
	for {
		p.mu.Lock()
		cut, closed, change := p.cut, p.closed, p.change
		p.mu.Unlock()
		switch {
		case closed || cut == Reset:
			return false
		case cut == Open:
			return true
		}
		<-change
	}
}

// copy carries one direction; its end is the end of both.
func (p *Proxy) copy(l *link, to io.Writer, from io.Reader) {
	defer l.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.passable() {
				return
			}
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			p.passable() // a black hole swallows the end of a connection too
			return
		}
	}
}

func (l *link) close() {
	_ = l.near.Close()
	_ = l.far.Close()
}
