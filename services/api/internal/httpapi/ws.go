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
	socketWriteTimeout = 10 * time.Second
	socketPing         = 15 * time.Second
	// socketSilence is how long a client may answer no ping before it is given up.
	socketSilence = 45 * time.Second
	// socketReadLimit: clients have nothing to say.
	socketReadLimit = 4 << 10
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
		closeSocket(c.Conn, fastws.CloseGoingAway, stopReason)
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
		listen(conn)
	}()
	code, reason := s.speak(conn, sub, gone)
	closeSocket(conn, code, reason)
	<-gone
}

// listen reads what a client sends, which is nothing but pongs and its close.
func listen(conn *fastws.Conn) {
	conn.SetReadLimit(socketReadLimit)
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(socketSilence)) }
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

// closeSocket says why, waits a moment for the client to hear it, and closes.
func closeSocket(conn *fastws.Conn, code int, reason string) {
	if code != 0 {
		if len(reason) > closeReasonMax {
			reason = reason[:closeReasonMax]
		}
		err := conn.WriteControl(fastws.CloseMessage, fastws.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
		if err == nil || errors.Is(err, fastws.ErrCloseSent) {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			return // the reader ends by the client's answer, or by this deadline
		}
	}
	_ = conn.Close()
}
