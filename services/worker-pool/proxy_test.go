package workerpool_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
)

// proxy stands between a pool and its NATS server. It can cut them off from each other, and
// it remembers what the pool has published.
type proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond // when stalled or closed change
	cut   bool
	stall bool
	after string // a message to a subject with this prefix stalls all
	conns map[net.Conn]struct{}
	said  []said
}

// said is one message that a client published.
type said struct{ subject, body string }

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: u.Host, listener: l, conns: map[net.Conn]struct{}{}}
	p.moved = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut breaks all connections and lets none through.
func (p *proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.stall = true, false
	for c := range p.conns {
		_ = c.Close()
	}
	p.moved.Broadcast()
}

// Stall keeps connections and lets nothing through, as a network does that drops packets.
func (p *proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = true
}

// StallAfter stalls with the first message to a subject with the prefix.
func (p *proxy) StallAfter(prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = prefix
}

// awaitStalled waits until somebody has connected and nothing gets through.
func (p *proxy) awaitStalled(t testing.TB) {
	t.Helper()
	natstest.Eventually(t, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.stall || len(p.conns) == 0 {
			return errors.New("nobody is stalled by the proxy")
		}
		return nil
	})
}

// Heal ends Cut or Stall, and forgets what was published before.
func (p *proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.stall, p.said = false, false, nil
	p.moved.Broadcast()
}

// Said lists what was published to subjects with the prefix since Heal.
func (p *proxy) Said(prefix string) []said {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []said
	for _, s := range p.said {
		if strings.HasPrefix(s.subject, prefix) {
			out = append(out, s)
		}
	}
	return out
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(client, &gate{p, server})
		_ = client.Close()
	})
	p.publish(bufio.NewReader(&gate{p, client}), server)
	_ = server.Close()
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// gate is a reader that gives nothing while the proxy stalls.
type gate struct {
	p *proxy
	r io.Reader
}

func (g *gate) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	for g.p.stall {
		g.p.moved.Wait()
	}
	return n, err
}

// publish passes a client's protocol on and remembers its messages.
func (p *proxy) publish(from *bufio.Reader, to io.Writer) {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		out := []byte(line)
		if len(words) > 2 && (words[0] == "PUB" || words[0] == "HPUB") {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return
			}
			body := make([]byte, size+2)
			if _, err := io.ReadFull(from, body); err != nil {
				return
			}
			out = append(out, body...)
			p.mu.Lock()
			p.said = append(p.said, said{words[1], string(body[:size])})
			if p.after != "" && strings.HasPrefix(words[1], p.after) {
				p.stall, p.after = true, ""
			}
			p.mu.Unlock()
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}
