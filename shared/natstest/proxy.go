package natstest

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy stands between clients and a server, and makes the network's faults.
type Proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cut   bool
	delay time.Duration
	ended bool
	work  sync.WaitGroup
}

// NewProxy forwards to the server at a URL until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once on loopback
	require.NoError(t, err)
	p := &Proxy{listener: l, target: u.Host, conns: map[net.Conn]struct{}{}}
	p.work.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

// URL is where clients connect.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut breaks all connections, and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.breakAll()
}

// Break breaks all connections; new ones are served.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakAll()
}

// Heal undoes Cut and Delay.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay = false, 0
}

// Delay holds up what the server says, from now on and for so long each time.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

func (p *Proxy) breakAll() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) stop() {
	p.mu.Lock()
	p.ended = true
	p.breakAll()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target) //nolint:noctx // returns at once on loopback
		if err != nil || !p.add(client, server) {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.work.Go(func() { p.pass(client, server, func() time.Duration { return 0 }) })
		p.work.Go(func() { p.pass(server, client, p.held) })
	}
}

// add notes connections so that they can be broken; false while there are to be none.
func (p *Proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.ended {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

func (p *Proxy) held() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// chunk is something that was read, to be written when it is due.
type chunk struct {
	body []byte
	due  time.Time
}

// pass copies from one connection to the other, in order, each part after its delay: held
// up, not slowed down.
func (p *Proxy) pass(from, to net.Conn, delay func() time.Duration) {
	late := make(chan chunk, 4096)
	p.work.Go(func() {
		for c := range late {
			if d := time.Until(c.due); d > 0 {
				<-time.After(d)
			}
			if _, err := to.Write(c.body); err != nil {
				_ = from.Close()
			}
		}
		_ = to.Close()
	})
	defer close(late)
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		_ = from.Close()
	}()
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if n > 0 {
			late <- chunk{buf[:n], time.Now().Add(delay())}
		}
		if err != nil {
			return
		}
	}
}
