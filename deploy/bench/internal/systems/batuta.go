package systems

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// Batuta is `batuta up`: NATS, scheduler, recorder and API in one process. The handlers run
// in a process of their own with an embedded pool, or in worker processes that the pool of
// `batuta up` runs.
type Batuta struct {
	Sync      string
	Processes bool
}

// workerProcesses is how many worker processes share the slots.
const workerProcesses = 4

// Name of the system.
func (b Batuta) Name() string {
	if b.Processes {
		return "batuta-" + b.Sync + "-processes"
	}
	return "batuta-" + b.Sync
}

// Promise of the system.
func (b Batuta) Promise() string { return b.Sync }

// Runs tells whether the system takes part in a workload.
func (b Batuta) Runs(workload string) bool {
	if b.Processes {
		switch workload {
		case "one64", "bulk", "recovery":
			return true
		}
		return false
	}
	return true
}

// Command of its producers and workers.
func (b Batuta) Command(e Env, kind string) []string { return []string{e.Self, "role", kind} }

// Versions of what is compared.
func (b Batuta) Versions(ctx context.Context, e Env) []string {
	out, err := exec.CommandContext(ctx, e.Batuta, "version").Output()
	if err != nil {
		return nil
	}
	return []string{strings.TrimSpace(string(out))}
}

// Start starts `batuta up`.
func (b Batuta) Start(ctx context.Context, e Env) (*Server, error) {
	data := filepath.Join(e.Dir, "data")
	args := []string{
		e.Batuta, "up", "--http-addr=127.0.0.1:0", "--nats-addr=127.0.0.1:0", "--data-dir=" + data, "--sync=" + b.Sync,
		"--log-format=json", "--log-level=info", "--drain=10s",
	}
	var env []string
	if b.Processes {
		spec, err := json.Marshal(e.Worker)
		if err != nil {
			return nil, err
		}
		env = append(env, envLineWorker+"="+string(spec))
		args = append(args,
			"--pool-min="+strconv.Itoa(workerProcesses), "--pool-max="+strconv.Itoa(workerProcesses),
			"--worker-concurrency="+strconv.Itoa(e.Slots/workerProcesses), "--worker-command="+e.Self+" line-worker",
		)
	} else {
		args = append(args, "--pool=idle", "--queues=idle", "--pool-min=0", "--pool-max=1")
	}
	profile, err := b.profile(&args, e)
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(proc.Options{Name: "batuta up", Args: args, Env: env, Dir: e.Dir, Log: e.log("batuta")})
	if err != nil {
		return nil, err
	}
	s := &Server{Data: data, OwnWorkers: b.Processes, procs: []*proc.Process{p}, stop: []func(){func() { p.Stop(syscall.SIGTERM) }}}
	if s.HTTP, err = p.Text(ctx, "Batuta is ready: "); err != nil {
		s.Stop()
		return nil, err
	}
	if err := b.describe(s, p); err != nil {
		s.Stop()
		return nil, err
	}
	w, err := watch(ctx, s.Addr)
	if err != nil {
		s.Stop()
		return nil, err
	}
	s.stop = append(s.stop, w.close)
	s.Recorded, s.Settled, s.Verify = w.recorded, w.settled, w.verify
	profile(s)
	return s, nil
}

// describe reads address and settings from what the server logged of itself.
func (b Batuta) describe(s *Server, p *proc.Process) error {
	raw, err := os.ReadFile(p.Log())
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		var l struct{ Msg, URL, Sync string }
		if json.Unmarshal([]byte(line), &l) == nil && l.URL != "" && l.Sync != "" {
			s.Addr = l.URL
			s.Settings = append(s.Settings, "embedded NATS server: sync "+l.Sync)
			if l.Sync != b.Sync {
				return fmt.Errorf("the server syncs %s, not %s", l.Sync, b.Sync)
			}
		}
	}
	if s.Addr == "" {
		return fmt.Errorf("%s does not say where the embedded server listens", p.Log())
	}
	if b.Processes {
		s.Settings = append(s.Settings, fmt.Sprintf("%d worker processes under the pool of `batuta up`", workerProcesses))
	} else {
		s.Settings = append(s.Settings, "handlers in one process with an embedded pool, over TCP")
	}
	return nil
}

// line-worker: a worker process of the pool.
const envLineWorker = "BENCH_LINE_WORKER"

// workerSpec is what a worker process of the pool finds in its environment.
func workerSpec() (w role.Worker, err error) {
	err = json.Unmarshal([]byte(os.Getenv(envLineWorker)), &w)
	return w, err
}
