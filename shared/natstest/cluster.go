package natstest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Servers is a cluster of embedded servers that share one JetStream.
type Servers struct {
	servers []*Server
}

// Cluster runs size servers (three or more) joined by routes and returns when they have
// a leader and all are current. They stop when the test ends.
func Cluster(t testing.TB, size int, opts ...Option) *Servers {
	t.Helper()
	require.GreaterOrEqual(t, size, 3, "a JetStream cluster needs three servers")
	c := &Servers{}
	routes, ports := routes(t, size)
	name := fmt.Sprintf("cluster-%d", serverCount.Add(1))
	clientPorts := freePorts(t, size)
	for i := range size {
		o := options(t, opts)
		o.Port = clientPorts[i]
		o.Cluster = server.ClusterOpts{Name: name, Host: "127.0.0.1", Port: ports[i]}
		// Every server lists every route, its own too: one with no routes at all
		// refuses to start a clustered JetStream.
		o.Routes = routes
		srv, err := launch(o)
		require.NoErrorf(t, err, "start server %d of the cluster", i)
		c.servers = append(c.servers, &Server{opts: o, srv: srv})
	}
	// Registered after the stores' folders, hence run before they are removed.
	t.Cleanup(c.stop)
	c.WaitReady(t)
	return c
}

func routes(t testing.TB, size int) ([]*url.URL, []int) {
	t.Helper()
	ports := freePorts(t, size)
	urls := make([]*url.URL, size)
	for i, port := range ports {
		urls[i] = &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	return urls, ports
}

// freePorts finds ports nobody uses. The routes have to be known before the first
// server starts, so a port of the server's own choice is no option.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once on loopback
		require.NoError(t, err)
		defer func() { _ = l.Close() }() // held until all are found, so that none comes twice
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// WaitReady returns when every running server is current, one leads, and the leader has
// heard from all of them: before that it refuses replicated streams for want of peers.
func (c *Servers) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, c.ready)
}

func (c *Servers) ready() error {
	running, known := 0, 0
	for _, s := range c.servers {
		srv := s.NATS()
		if !srv.Running() {
			continue
		}
		running++
		if !srv.JetStreamIsCurrent() {
			return fmt.Errorf("server %s is not current", srv.Name())
		}
		known += len(srv.JetStreamClusterPeers()) // of the leader; none of the others
	}
	if known != running {
		return fmt.Errorf("the leader knows %d of %d servers", known, running)
	}
	return nil
}

// MetaLeader is the name of the server that leads the cluster; empty while none does.
func (c *Servers) MetaLeader() string {
	for _, s := range c.servers {
		if srv := s.NATS(); srv.Running() && srv.JetStreamIsLeader() {
			return srv.Name()
		}
	}
	return ""
}

// Server is the i-th server; Stop and StartAgain on it make and mend an outage.
func (c *Servers) Server(i int) *Server { return c.servers[i] }

// Len is the number of servers, running or not.
func (c *Servers) Len() int { return len(c.servers) }

// URL lists all servers, comma separated.
func (c *Servers) URL() string {
	urls := make([]string, len(c.servers))
	for i, s := range c.servers {
		urls[i] = s.URL()
	}
	return strings.Join(urls, ",")
}

// Conn connects a client to any of the servers; see Server.Conn.
func (c *Servers) Conn(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return connect(t, c.URL(), opts)
}

// JS is JetStream on a connection of its own.
func (c *Servers) JS(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(c.Conn(t))
	require.NoError(t, err)
	return js
}

func (c *Servers) stop() {
	for _, s := range c.servers {
		s.Stop()
	}
}
