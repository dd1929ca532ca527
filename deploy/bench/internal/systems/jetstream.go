package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// JetStream is the limit: a work queue with nothing around it. No state, no events, no
// priorities, no retries.
type JetStream struct{}

// Name of the system.
func (JetStream) Name() string { return "jetstream" }

// Promise of the system.
func (JetStream) Promise() string { return PromiseSecond }

// Runs tells whether the system takes part in a workload.
func (JetStream) Runs(workload string) bool {
	switch workload {
	case "one8", "one64", "bulk", "drain", "idle":
		return true
	}
	return false
}

// Command of its producers and workers.
func (JetStream) Command(e Env, kind string) []string { return []string{e.Self, "role", kind} }

// Versions of what is compared.
func (JetStream) Versions(context.Context, Env) []string {
	return []string{"nats-server " + server.VERSION + ", nats.go " + nats.Version}
}

// Start starts a server of its own.
func (JetStream) Start(ctx context.Context, e Env) (*Server, error) {
	data := filepath.Join(e.Dir, "data")
	p, err := proc.Start(proc.Options{Name: "nats-server", Args: []string{e.Self, "nats-server", data}, Dir: e.Dir, Log: e.log("nats-server")})
	if err != nil {
		return nil, err
	}
	s := &Server{Data: data, procs: []*proc.Process{p}, stop: []func(){func() { p.Stop(syscall.SIGTERM) }}}
	line, err := p.Text(ctx, "serves ")
	if err != nil {
		s.Stop()
		return nil, err
	}
	var sync string
	s.Addr, sync, _ = strings.Cut(line, " ")
	s.Settings = []string{"NATS server: " + sync + ", work queue on disk, 1 copy"}
	return s, nil
}

// NATSServer is the main of the server's process.
func NATSServer(ctx context.Context, dir string) error {
	ns, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
		SyncInterval: time.Second,
	})
	if err != nil {
		return err
	}
	ns.Start()
	defer ns.WaitForShutdown()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(10 * time.Second) {
		return errors.New("the NATS server did not become ready")
	}
	c := ns.JetStreamConfig()
	fmt.Fprintf(os.Stdout, "serves %s sync interval %s, always %t\n", ns.ClientURL(), c.SyncInterval, c.SyncAlways)
	<-ctx.Done()
	return nil
}

const (
	rawStream   = "BENCH"
	rawSubject  = "bench.task"
	rawConsumer = "bench"
	rawPending  = 4000
)

func init() {
	workers[JetStream{}.Name()] = rawWorker
	producers[JetStream{}.Name()] = connectRaw
}

type rawSubmitter struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func connectRaw(ctx context.Context, spec role.Producer) (submitter, error) {
	nc, js, err := rawConnect(ctx, spec.Addr)
	if err != nil {
		return nil, err
	}
	return &rawSubmitter{nc, js}, nil
}

// rawConnect makes stream and consumer where they are missing.
func rawConnect(ctx context.Context, url string) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(rawPending))
	if err != nil {
		return nil, nil, err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: rawStream, Subjects: []string{rawSubject}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		return nil, nil, err
	}
	_, err = js.CreateOrUpdateConsumer(ctx, rawStream, jetstream.ConsumerConfig{
		Durable: rawConsumer, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1,
	})
	return nc, js, err
}

func (r *rawSubmitter) one(ctx context.Context, _ string, payload []byte) error {
	_, err := r.js.Publish(ctx, rawSubject, payload)
	return err
}

func (r *rawSubmitter) many(ctx context.Context, _ string, payloads [][]byte) error {
	futures := make([]jetstream.PubAckFuture, len(payloads))
	for i, p := range payloads {
		f, err := r.js.PublishAsync(rawSubject, p)
		if err != nil {
			return err
		}
		futures[i] = f
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *rawSubmitter) close() { r.nc.Close() }

// rawWorker takes and acknowledges messages as fast as they come.
func rawWorker(ctx context.Context, spec role.Worker, pipe *role.Pipe) error {
	h, err := newHandler(spec, pipe)
	if err != nil {
		return err
	}
	nc, js, err := rawConnect(ctx, spec.Addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := js.Consumer(ctx, rawStream, rawConsumer)
	if err != nil {
		return err
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		if h.handle(m.Data()) == nil {
			_ = m.Ack()
		}
	}, jetstream.PullMaxMessages(2000))
	if err != nil {
		return err
	}
	defer cc.Stop()
	return h.serve()
}
