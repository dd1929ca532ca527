package role

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is the configuration of a NATS server's process, handed over as JSON.
type Server struct {
	Name string `json:"name"`
	Port int    `json:"port"`
	Dir  string `json:"dir"`
	// SyncAlways, or SyncMs, says when writes become durable.
	SyncAlways bool  `json:"syncAlways"`
	SyncMs     int64 `json:"syncMs"`
	// RoutePort and Routes make it a member of a cluster.
	RoutePort int      `json:"routePort,omitempty"`
	Routes    []string `json:"routes,omitempty"`
}

const (
	readyTimeout = 60 * time.Second
	// storeMost is what the streams' limits are shares of; nothing of it is taken beforehand.
	storeMost  = 16 << 30
	memoryMost = 1 << 30
)

// Arg is the configuration as an argument.
func (s Server) Arg() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("role: a server's configuration does not encode: " + err.Error()) // it holds text and numbers
	}
	return string(b)
}

func (s Server) options() (*server.Options, error) {
	o := &server.Options{
		ServerName: s.Name, Host: "127.0.0.1", Port: s.Port, JetStream: true, StoreDir: s.Dir, NoSigs: true,
		JetStreamMaxStore: storeMost, JetStreamMaxMemory: memoryMost, SyncAlways: s.SyncAlways,
	}
	if !s.SyncAlways {
		o.SyncInterval = time.Duration(s.SyncMs) * time.Millisecond
	}
	if s.RoutePort == 0 {
		return o, nil
	}
	// Clients and peers must use the ways they were given, which can be cut: addresses that
	// servers tell each other would lead around them.
	o.Cluster = server.ClusterOpts{
		Name: "chaos", Host: "127.0.0.1", Port: s.RoutePort, NoAdvertise: true, Advertise: "127.0.0.1:1",
	}
	for _, r := range s.Routes {
		u, err := url.Parse("nats://" + r)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", r, err)
		}
		o.Routes = append(o.Routes, u)
	}
	return o, nil
}

// serveNATS runs a server until it is told to stop.
func serveNATS(ctx context.Context, args []string, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(args) != 1 {
		return errors.New("its configuration is the one argument")
	}
	var s Server
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	opts, err := s.options()
	if err != nil {
		return err
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	ns.SetLoggerV2(&serverLog{w: stderr}, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(readyTimeout) {
		ns.Shutdown()
		return errors.New("the server did not become ready")
	}
	<-ctx.Done()
	ns.Shutdown()
	ns.WaitForShutdown()
	return nil
}

// serverLog writes what the server has to say.
type serverLog struct{ w io.Writer }

func (l *serverLog) say(level, format string, v []any) {
	fmt.Fprintf(l.w, "%s %s %s\n", time.Now().UTC().Format("15:04:05.000"), level, fmt.Sprintf(format, v...))
}

func (l *serverLog) Noticef(format string, v ...any) { l.say("INF", format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.say("WRN", format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.say("ERR", format, v) }
func (l *serverLog) Fatalf(format string, v ...any)  { l.say("FTL", format, v) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}
