package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proc"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proxy"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/role"
)

// system is the system under test: processes, and the ways between them.
type system struct {
	opts options.Options
	dir  string
	exe  string
	log  *slog.Logger

	servers  []*server
	services []*service
	apis     []*apiclient.Client
}

// server is a NATS server's process; routes are the ways to its peers.
type server struct {
	*proc.Process
	port   int
	routes []*proxy.Proxy
}

// service is a service's process with its own ways to the servers, one each.
type service struct {
	*proc.Process
	target plan.Target
	pool   string
	ways   []*proxy.Proxy
}

// replicas of scheduler, recorder and API.
const replicas = 2

// Folders below that of the run.
const (
	ledgerDir = "ledger"
	logDir    = "log"
	natsDir   = "nats"
	tempDir   = "tmp"
)

// executable is the file that all processes of a run are started from.
var executable = os.Executable

func newSystem(o options.Options, dir string, log *slog.Logger) (*system, error) {
	exe, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	for _, sub := range []string{ledgerDir, logDir, natsDir, tempDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o750); err != nil {
			return nil, fmt.Errorf("make the folder of the run: %w", err)
		}
	}
	return &system{opts: o, dir: dir, exe: exe, log: log}, nil
}

// start starts everything and waits until it is ready.
func (s *system) start(ctx context.Context) error {
	if err := s.startServers(ctx); err != nil {
		return err
	}
	for i := range replicas {
		for _, one := range []struct {
			target plan.Target
			role   string
		}{{plan.Recorder, role.Recorder}, {plan.Scheduler, role.Scheduler}, {plan.API, role.API}} {
			if err := s.startService(ctx, one.target, one.role, i+1); err != nil {
				return err
			}
		}
	}
	for i := range s.opts.Pools {
		if err := s.startService(ctx, plan.Pool, role.Pool, i+1); err != nil {
			return err
		}
	}
	return s.awaitReady(ctx)
}

func (s *system) startServers(ctx context.Context) error {
	n := s.opts.Servers
	ports, err := freePorts(ctx, 2*n)
	if err != nil {
		return err
	}
	configs := make([]role.Server, n)
	for i := range configs {
		name := fmt.Sprintf("nats-%d", i+1)
		configs[i] = role.Server{Name: name, Port: ports[i], Dir: filepath.Join(s.dir, natsDir, name), SyncAlways: s.opts.Sync == "always"}
		if !configs[i].SyncAlways {
			d, err := time.ParseDuration(s.opts.Sync)
			if err != nil {
				return err
			}
			configs[i].SyncMs = d.Milliseconds()
		}
		s.servers = append(s.servers, &server{port: ports[i]})
	}
	if n > 1 {
		if err := s.routes(ctx, configs, ports[n:]); err != nil {
			return err
		}
	}
	for i, c := range configs {
		p, err := proc.Start(s.spec(c.Name, role.NATS, c.Arg()))
		if err != nil {
			return err
		}
		s.servers[i].Process = p
	}
	return s.awaitListening(ctx)
}

// routes gives each pair of servers two ways, one in each direction.
func (s *system) routes(ctx context.Context, configs []role.Server, ports []int) error {
	for i := range configs {
		configs[i].RoutePort = ports[i]
		for j := range configs {
			if i == j {
				continue
			}
			p, err := proxy.New(ctx, "127.0.0.1:"+strconv.Itoa(ports[j]))
			if err != nil {
				return err
			}
			configs[i].Routes = append(configs[i].Routes, p.Addr())
			s.servers[i].routes = append(s.servers[i].routes, p)
			s.servers[j].routes = append(s.servers[j].routes, p)
		}
	}
	return nil
}

func (s *system) spec(name, role1 string, args ...string) proc.Spec {
	return proc.Spec{
		Name: name, Path: s.exe, Args: append([]string{role.Command, role1}, args...), Env: s.env(),
		LogDir: filepath.Join(s.dir, logDir), Log: s.log,
	}
}

// env is the environment of every process: this one's without the settings in it.
func (s *system) env() []string {
	var out []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BATUTA_") && !strings.HasPrefix(pair, "TMPDIR=") {
			out = append(out, pair)
		}
	}
	return append(out, "TMPDIR="+filepath.Join(s.dir, tempDir))
}

// startService starts a replica with its own ways to the servers.
func (s *system) startService(ctx context.Context, target plan.Target, role1 string, n int) error {
	svc := &service{target: target}
	urls := make([]string, len(s.servers))
	for i, srv := range s.servers {
		p, err := proxy.New(ctx, "127.0.0.1:"+strconv.Itoa(srv.port))
		if err != nil {
			return err
		}
		svc.ways = append(svc.ways, p)
		urls[i] = "nats://" + p.Addr()
	}
	name := fmt.Sprintf("%s-%d", target, n)
	spec := s.spec(name, role1, "--ops-addr=")
	env := map[string]string{
		"NATS_URL": strings.Join(urls, ","), "REPLICAS": strconv.Itoa(s.opts.Servers), "LEASE": s.opts.Lease.String(), "LOG_FORMAT": "text",
	}
	switch target {
	case plan.Pool:
		svc.pool = name
		env["POOL"], env["QUEUES"] = name, strings.Join(queues, ",")
		env["POOL_MIN"], env["POOL_MAX"] = strconv.Itoa(s.opts.Workers), strconv.Itoa(s.opts.Workers)
		env["WORKER_CONCURRENCY"] = strconv.Itoa(s.opts.Concurrency)
		env["WORKER_COMMAND"] = shellWords(s.exe, role.Command, role.Worker, filepath.Join(s.dir, ledgerDir))
		env["HEARTBEAT"], env["HUNG_AFTER"] = s.opts.Heartbeat().String(), s.opts.HungAfter.String()
		env["CANCEL_GRACE"], env["DRAIN"] = "2s", "2s"
	case plan.API:
		ports, err := freePorts(ctx, 1)
		if err != nil {
			return err
		}
		addr := "127.0.0.1:" + strconv.Itoa(ports[0])
		env["HTTP_ADDR"] = addr
		c, err := apiclient.New(apiclient.Options{URL: "http://" + addr})
		if err != nil {
			return err
		}
		s.apis = append(s.apis, c)
	default:
	}
	for k, v := range env {
		spec.Env = append(spec.Env, "BATUTA_"+k+"="+v)
	}
	p, err := proc.Start(spec)
	if err != nil {
		return err
	}
	svc.Process = p
	s.services = append(s.services, svc)
	return nil
}

// queues of the workload.
var queues = []string{"default", "other"}

// shellWords quotes words for BATUTA_WORKER_COMMAND.
func shellWords(words ...string) string {
	for i, w := range words {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// startTimeout bounds the start of the whole system.
const startTimeout = 90 * time.Second

var errNotReady = errors.New("the system did not become ready")

func (s *system) awaitListening(ctx context.Context) error {
	for _, srv := range s.servers {
		addr := "127.0.0.1:" + strconv.Itoa(srv.port)
		err := eventually(ctx, startTimeout, func(ctx context.Context) error {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return c.Close()
		})
		if err != nil {
			return fmt.Errorf("%w: NATS at %s: %w", errNotReady, addr, err)
		}
	}
	return nil
}

// awaitReady waits until every worker is listed by every API.
func (s *system) awaitReady(ctx context.Context) error {
	want := s.opts.Pools * s.opts.Workers
	for _, c := range s.apis {
		err := eventually(ctx, startTimeout, func(ctx context.Context) error {
			st, err := c.Stats(ctx)
			if err != nil {
				return err
			}
			if n := st.Value.Workers.Active + st.Value.Workers.Idle; n < want {
				return fmt.Errorf("%d of %d workers are there", n, want)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errNotReady, err)
		}
	}
	return nil
}

// eventually tries until it works, ctx ends or the time is over.
func eventually(ctx context.Context, d time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		one, stop := context.WithTimeout(ctx, 5*time.Second)
		err := try(one)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// urls of the servers, around all proxies.
func (s *system) urls() string {
	out := make([]string, len(s.servers))
	for i, srv := range s.servers {
		out[i] = "nats://127.0.0.1:" + strconv.Itoa(srv.port)
	}
	return strings.Join(out, ",")
}

// heal undoes every fault that may be left.
func (s *system) heal() {
	for _, srv := range s.servers {
		for _, p := range srv.routes {
			p.Set(proxy.Open)
		}
		srv.Revive()
		_ = srv.Thaw() // it may be down
	}
	for _, svc := range s.services {
		for _, p := range svc.ways {
			p.Set(proxy.Open)
		}
		svc.Revive()
		_ = svc.Thaw() // it may be down
	}
}

// stopTimeout bounds an orderly stop of one service.
const stopTimeout = 30 * time.Second

// stop ends everything in order, and gives what was not in order.
func (s *system) stop(ctx context.Context) (faults []string) {
	for _, target := range []plan.Target{plan.Pool, plan.API, plan.Scheduler, plan.Recorder} {
		for _, svc := range s.services {
			if svc.target != target {
				continue
			}
			one, cancel := context.WithTimeout(ctx, stopTimeout)
			if err := svc.Terminate(one); err != nil {
				faults = append(faults, err.Error())
			}
			cancel()
		}
	}
	return faults
}

// close ends what still runs, at once.
func (s *system) close() {
	for _, svc := range s.services {
		svc.Close()
	}
	for _, srv := range s.servers {
		if srv.Process != nil {
			srv.Close()
		}
	}
	for _, svc := range s.services {
		for _, p := range svc.ways {
			p.Close()
		}
	}
	for _, srv := range s.servers {
		for _, p := range srv.routes { // each stands at both its ends; a second close does nothing
			p.Close()
		}
	}
	for _, c := range s.apis {
		c.Close()
	}
}

// strange lists ends of processes that nobody had asked for.
func (s *system) strange() []string {
	var out []string
	for _, srv := range s.servers {
		out = append(out, srv.Strange()...)
	}
	for _, svc := range s.services {
		out = append(out, svc.Strange()...)
	}
	return out
}

// Ports are taken from below those that the system gives to outgoing connections: one of
// these could take a server's port while the server is down.
const portFrom, portTo = 20000, 32000

// freePorts finds ports that nobody listens on.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var ports []int
	var lc net.ListenConfig
	for range 1000 {
		port := portFrom + rand.IntN(portTo-portFrom)
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // held until all are found, so that none comes twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free ports were found")
}
