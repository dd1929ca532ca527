// Package obs is what every service shows of itself: structured logs on stderr, metrics,
// and the ops server with health, readiness, metrics and profiles.
package obs

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// Keys of log attributes: one name for one thing in all services.
const (
	KeyTaskID  = "task_id"
	KeyWorker  = "worker"
	KeyPool    = "pool"
	KeyQueue   = "queue"
	KeyStream  = "stream"
	KeySeq     = "seq"
	KeyAttempt = "attempt"
	KeyFence   = "fence"
	KeyErr     = "err"
	KeyService = "service"
)

// Err is the attribute of an error.
func Err(err error) slog.Attr { return slog.Any(KeyErr, err) }

// NewLogger logs to w from level up (debug, info, warn, error). format is text or json;
// empty means text where w is a terminal, else json. Times are UTC.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: %w", level, err)
	}
	if format == "" {
		format = defaultFormat(w)
	}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: utc}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	default:
		return nil, fmt.Errorf("log format %q is neither text nor json", format)
	}
}

// Setup makes the logger of a process: on stderr, as the process's default, with the
// service's name in every line.
func Setup(service, level, format string) (*slog.Logger, error) {
	log, err := NewLogger(os.Stderr, level, format)
	if err != nil {
		return nil, err
	}
	log = log.With(KeyService, service)
	slog.SetDefault(log)
	return log, nil
}

func defaultFormat(w io.Writer) string {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return "text"
	}
	return "json"
}

// utc makes lines of services in different zones sort alike.
func utc(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

// NewTestLogger writes every level as text to w, which in a test is t.Output().
func NewTestLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
