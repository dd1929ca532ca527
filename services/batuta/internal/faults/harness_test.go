package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// system is a set of service processes on one NATS, and what a test needs to look at it.
type system struct {
	t      *testing.T
	url    string
	exe    string // what runs as a service
	js     jetstream.JetStream
	pub    *natsx.Publisher
	ledger string
	env    []string
	procs  []*proc

	mu       sync.Mutex
	accepted []string
}

// newSystem prepares a system on the NATS at url. Services connect to servicesURL, which may
// lead through a proxy; the test itself always connects directly.
func newSystem(t *testing.T, url, servicesURL string, env ...string) *system {
	t.Helper()
	nc, err := natsx.Connect(natsx.ConnectOptions{URL: url, Name: "test"})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s := &system{t: t, url: url, js: js, exe: natstest.Program(), pub: natsx.NewPublisher(js), ledger: filepath.Join(t.TempDir(), "ledger")}
	s.env = append(os.Environ(),
		envLedger+"="+s.ledger, "BATUTA_NATS_URL="+servicesURL, "BATUTA_LEASE=2s", "BATUTA_HEARTBEAT=200ms", "BATUTA_HUNG_AFTER=4s",
		"BATUTA_POOL_MIN=2", "BATUTA_POOL_MAX=2", "BATUTA_WORKER_COMMAND="+s.exe+" worker", "BATUTA_LOG_LEVEL=info", "BATUTA_LOG_FORMAT=text",
		"BATUTA_DRAIN=10s",
	)
	s.env = append(s.env, env...)
	t.Cleanup(s.end)
	return s
}

// racing makes the processes that are added from now on the test itself, with the race
// detector where the test has it: it speaks by the status of a process that ends in order.
func (s *system) racing() {
	s.t.Helper()
	exe, err := os.Executable()
	require.NoError(s.t, err)
	s.exe = exe
	s.env = append(s.env, "BATUTA_WORKER_COMMAND="+exe+" worker")
}

// proc is one service process.
type proc struct {
	s    *system
	name string
	ops  string
	http string // where an API listens
	cmd  *exec.Cmd
	out  *output
}

// output is what a process says, kept while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// tail is the end of it.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.buf.String()
	return s[max(len(s)-2000, 0):]
}

// add starts processes and waits until they are ready.
func (s *system) add(names ...string) []*proc {
	s.t.Helper()
	var added []*proc
	for _, name := range names {
		p := &proc{s: s, name: name}
		p.start()
		s.procs = append(s.procs, p)
		added = append(added, p)
	}
	for _, p := range added {
		p.awaitReady()
	}
	return added
}

// start runs the process, on a new ops address.
func (p *proc) start() {
	p.s.t.Helper()
	p.ops = freeAddr(p.s.t)
	p.cmd = exec.Command(p.s.exe)
	p.cmd.Env = append(append([]string{}, p.s.env...), envService+"="+p.name, "BATUTA_OPS_ADDR="+p.ops)
	if p.name == "api" {
		addr := freeAddr(p.s.t)
		p.http = "http://" + addr
		p.cmd.Env = append(p.cmd.Env, "BATUTA_HTTP_ADDR="+addr)
	}
	p.out = &output{}
	p.cmd.Stderr = p.out
	require.NoError(p.s.t, p.cmd.Start())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// ready asks the process's own /readyz.
func (p *proc) ready() error {
	status, body, err := p.ask("/readyz")
	if err == nil && status != http.StatusOK {
		err = errors.New(strings.TrimSpace(body))
	}
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", p.name, err)
	}
	return nil
}

// says tells whether the process's metrics have a line.
func (p *proc) says(line string) bool {
	_, body, err := p.ask("/metrics")
	return err == nil && strings.Contains(body, "\n"+line+"\n")
}

func (p *proc) ask(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ops+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (p *proc) awaitReady() {
	p.s.t.Helper()
	s := p.s
	natstest.Eventually(s.t, func() error {
		if err := p.ready(); err != nil {
			return fmt.Errorf("%w\n%s", err, p.out.tail())
		}
		return nil
	})
}

func (p *proc) signal(sig os.Signal) {
	p.s.t.Helper()
	require.NoError(p.s.t, p.cmd.Process.Signal(sig))
}

func (p *proc) kill() {
	p.s.t.Helper()
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait() // "signal: killed"
}

// terminate stops the process in order: it must exit with 0.
func (p *proc) terminate() {
	p.s.t.Helper()
	p.signal(syscall.SIGTERM)
	require.NoError(p.s.t, p.cmd.Wait(), "%s\n%s", p.name, p.out.tail())
}

// end stops whatever runs, also what is stopped.
func (s *system) end() {
	for _, p := range s.procs {
		if p.cmd.ProcessState != nil {
			continue
		}
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	if s.t.Failed() {
		for _, p := range s.procs {
			s.t.Logf("%s (pid %d):\n%s", p.name, p.cmd.Process.Pid, p.out.tail())
		}
	}
}

// submit hands in n tasks as one message and notes their ids once they are accepted.
func (s *system) submit(n int, task string) {
	s.t.Helper()
	require.NoError(s.t, s.trySubmit(s.t.Context(), n, task))
}

func (s *system) trySubmit(ctx context.Context, n int, task string) error {
	m := nats.NewMsg(wire.SubjectSubmit)
	m.Data = []byte("[" + strings.Repeat(task+",", n-1) + task + "]")
	ack, err := s.pub.Publish(ctx, m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.accepted = append(s.accepted, wire.MakeID(ack.Sequence, i+1))
	}
	return nil
}

// load submits small groups until the returned function is called, which waits for the last.
// It goes at the machine's pace: while many tasks wait it holds back.
func (s *system) load(every time.Duration, n int, tasks ...string) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-t.C:
			}
			if s.waiting(ctx) > 60 {
				continue
			}
			// Never cut short: what was stored without an answer would be missing in the list.
			if err := s.trySubmit(context.WithoutCancel(ctx), n, tasks[i%len(tasks)]); err != nil {
				done <- err
				return
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, <-done)
	})
	s.t.Cleanup(stop)
	return stop
}

// waiting is how many lane messages there are; none where nobody can tell.
func (s *system) waiting(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st, err := s.js.Stream(ctx, wire.StreamReady)
	if err != nil {
		return 0
	}
	return st.CachedInfo().State.Msgs
}

func (s *system) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.accepted...)
}

// awaitEnd waits until every accepted task has ended, as long as there is progress. What has
// ended is not asked for again: a record that ended stays so.
func (s *system) awaitEnd() {
	s.t.Helper()
	all := s.ids()
	for open := all; len(open) > 0; {
		natstest.Eventually(s.t, func() error {
			left, example, err := s.open(open)
			if err != nil {
				return err
			}
			if len(left) == len(open) {
				return fmt.Errorf("%d of %d tasks have not ended, %s", len(left), len(all), example)
			}
			open = left
			return nil
		})
	}
}

// open are those of the tasks that have not ended, and how one of them looks.
func (s *system) open(ids []string) (left []string, example string, err error) {
	b, err := s.records(ids)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		if rec := b[id]; rec == nil || !rec.Status.Ended() {
			left = append(left, id)
			example = fmt.Sprintf("%s is %+v", id, rec)
		}
	}
	return left, example, nil
}

func (s *system) records(ids []string) (map[string]*wire.Record, error) {
	out := map[string]*wire.Record{}
	for from := 0; from < len(ids); from += 500 {
		var subjects []string
		for _, id := range ids[from:min(from+500, len(ids))] {
			subjects = append(subjects, wire.KVSubject(wire.BucketTasks, id))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		found, err := natsx.LastOf(ctx, s.js, wire.StreamTasks, subjects)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			rec, err := wire.DecodeRecord(m.Data)
			if err != nil {
				return nil, errors.Join(errors.New(m.Subject), err)
			}
			out[rec.ID] = rec
		}
	}
	return out, nil
}
