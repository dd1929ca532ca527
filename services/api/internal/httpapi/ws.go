package httpapi

import (
	"errors"
	"net/http"
	"sync"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/obs"
)

const (
	// socketWriteTimeout is how long a client may leave one message lying: one that wakes up
	// in time gets it whole, and then the reason why it is closed. It keeps nobody waiting,
	// and what is shared by all is no more than its queue.
	socketWriteTimeout = time.Minute
	socketPing         = 15 * time.Second
	// socketSilence is how long a client may answer no ping before it is given up.
	socketSilence = 45 * time.Second
	// socketReadLimit: clients have nothing to say.
	socketReadLimit = 4 << 10
	// lastWords bounds writes to a client that is gone, or to all when the service stops.
	lastWords = time.Second
	// closeReasonMax is what fits a close frame beside its code (RFC 6455, 5.5).
	closeReasonMax = 123
	sinceKey       = "since"
	stopReason     = "the service stops"
)

// live answers GET /ws: what the hub says, until the client, the hub or the service ends it.
func (s *Server) live() fiber.Handler {
	upgrade := websocket.New(s.serveSocket, websocket.Config{
		EnableCompression: true, ReadBufferSize: 1 << 10, WriteBufferSize: 16 << 10, WriteBufferPool: &sync.Pool{},
		HandshakeTimeout: 10 * time.Second, RecoverHandler: s.socketPanic,
	})
	return func(c *fiber.Ctx) error {
		p := readParams(c, sinceKey)
		since := p.sequence(sinceKey)
		if err := p.err(); err != nil {
			return err
		}
		if !websocket.IsWebSocketUpgrade(c) {
			c.Set(fiber.HeaderUpgrade, "websocket")
			return problem(http.StatusUpgradeRequired, "this is a WebSocket: the request must ask for the upgrade")
		}
		if err := s.Ready(); err != nil {
			return unavailable("%s", err)
		}
		c.Locals(sinceKey, since)
		if err := upgrade(c); err != nil {
			return problem(http.StatusBadRequest, "the WebSocket handshake is faulty")
		}
		return nil
	}
}

func (s *Server) socketPanic(*websocket.Conn) {
	if cause := recover(); cause != nil {
		s.log.Error("panic in a WebSocket", obs.KeyErr, cause)
	}
}

func (s *Server) serveSocket(c *websocket.Conn) {
	if !s.sockets.enter() {
		s.closeSocket(c.Conn, fastws.CloseGoingAway, stopReason)
		return
	}
	defer s.sockets.leave()
	s.requests.sockets.Inc()
	defer s.requests.sockets.Dec()
	since, _ := c.Locals(sinceKey).(uint64)
	conn := c.Conn
	sub := s.model.Subscribe(since)
	defer sub.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.listen(conn)
	}()
	unblocked := make(chan struct{})
	go func() {
		defer close(unblocked)
		s.unblock(conn, gone)
	}()
	code, reason := s.speak(conn, sub, gone)
	sub.Close()
	s.closeSocket(conn, code, reason)
	<-gone
	<-unblocked
}

// unblock cuts short what waits for a client when there is nobody to wait for any more.
func (s *Server) unblock(conn *fastws.Conn, gone <-chan struct{}) {
	select {
	case <-gone:
	case <-s.stopping:
	}
	_ = conn.UnderlyingConn().SetDeadline(time.Now().Add(lastWords)) // it fails where it is closed
}

// listen reads what a client sends, which is nothing but pongs and its close.
func (s *Server) listen(conn *fastws.Conn) {
	conn.SetReadLimit(socketReadLimit)
	alive := func(string) error {
		select {
		case <-s.stopping:
			return nil // its time is running
		default:
			return conn.SetReadDeadline(time.Now().Add(socketSilence))
		}
	}
	_ = alive("")
	conn.SetPongHandler(alive)
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

// speak sends messages until something ends it, and says what.
func (s *Server) speak(conn *fastws.Conn, sub Subscription, gone <-chan struct{}) (code int, reason string) {
	ping := time.NewTicker(socketPing)
	defer ping.Stop()
	for {
		select {
		case message, more := <-sub.Messages():
			if !more {
				return fastws.ClosePolicyViolation, sub.Reason()
			}
			_ = conn.SetWriteDeadline(time.Now().Add(socketWriteTimeout))
			if err := conn.WriteMessage(fastws.TextMessage, message); err != nil {
				return 0, ""
			}
		case <-ping.C:
			if err := conn.WriteControl(fastws.PingMessage, nil, time.Now().Add(socketWriteTimeout)); err != nil {
				return 0, ""
			}
		case <-gone:
			return 0, ""
		case <-s.stopping:
			return fastws.CloseGoingAway, stopReason
		}
	}
}

// closeSocket says why and waits for the client to answer, as slow as it may be: what it has
// not read yet would be lost with the connection. It ends the reader; the HTTP library closes
// the connection once its handler has returned, and not before.
func (s *Server) closeSocket(conn *fastws.Conn, code int, reason string) {
	patience := time.Duration(0)
	if code != 0 {
		if len(reason) > closeReasonMax {
			reason = reason[:closeReasonMax]
		}
		err := conn.WriteControl(fastws.CloseMessage, fastws.FormatCloseMessage(code, reason), time.Now().Add(lastWords))
		if err == nil || errors.Is(err, fastws.ErrCloseSent) {
			patience = socketSilence
		}
	}
	select {
	case <-s.stopping:
		patience = min(patience, lastWords)
	default:
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // it fails where the connection is closed
}
