package embedded

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logger passes the server's words on and keeps the last error for the message of Start.
type logger struct {
	log  *slog.Logger
	last atomic.Pointer[string]
}

func (l *logger) lastError() string {
	if s := l.last.Load(); s != nil {
		return *s
	}
	return "it did not become ready in time"
}

func (l *logger) keep(s string) string {
	l.last.Store(&s)
	return s
}

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("NATS server", "text", message(format, v))
}

func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("NATS server", "text", message(format, v))
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("NATS server", "text", l.keep(message(format, v)))
}

func (l *logger) Fatalf(format string, v ...any) {
	l.log.Error("NATS server", "text", l.keep(message(format, v)))
}
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

func message(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }
