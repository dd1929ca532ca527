package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fasthttp/websocket"
)

// lookers are dashboards as the API sees them: clients of the live feed that read all they
// are told.
type lookers struct {
	conns    []*websocket.Conn
	messages atomic.Int64
	readers  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	failed error
}

func look(ctx context.Context, url string, n int) (*lookers, error) {
	l := &lookers{}
	for range n {
		conn, res, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http")+"/ws", nil)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("open a dashboard: %w", err)
		}
		_ = res.Body.Close()
		l.conns = append(l.conns, conn)
		l.readers.Go(func() { l.read(conn) })
	}
	return l, nil
}

func (l *lookers) read(conn *websocket.Conn) {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			l.mu.Lock()
			if !l.closed {
				l.failed = errors.Join(l.failed, fmt.Errorf("a dashboard lost its connection: %w", err))
			}
			l.mu.Unlock()
			return
		}
		l.messages.Add(1)
	}
}

// err tells whether any of them lost its connection.
func (l *lookers) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *lookers) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.readers.Wait()
}
