package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/clock"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/systems"
)

// Names of figures of growth.
const (
	// Submission and Dispatch are tasks a second: submitted until they lie in their lanes, and
	// from lanes to recorded ends.
	Submission = "submission"
	Dispatch   = "dispatch"
	// PageP50 and PageP99 are milliseconds for a filtered first page of GET /tasks.
	PageP50 = "pageP50"
	PageP99 = "pageP99"
	// ServerCPU and PoolCPU are percents of one core, of `batuta up` and of the pool process.
	ServerCPU = "serverCPU"
	PoolCPU   = "poolCPU"
	// Messages is how many each dashboard gets in a second.
	Messages = "messages"
)

// Growth is how figures change as one thing grows.
type Growth struct {
	Name string
	// Of is what grows, At the sizes and QuickAt small ones.
	Of          string
	At, QuickAt []int
	run         func(ctx context.Context, b *bench, at int) (Figures, error)
}

// Growths are all curves, in their order.
func Growths() []Growth {
	return []Growth{
		{Name: "tasks", Of: "pending tasks", At: []int{0, 10_000, 100_000, 1_000_000}, QuickAt: []int{0, 2_000}, run: backlog},
		{Name: "workers", Of: "workers", At: []int{1, 10, 100, 300, 1_000}, QuickAt: []int{1, 20}, run: heartbeats},
		{Name: "dashboards", Of: "dashboards", At: []int{0, 1, 50, 200}, QuickAt: []int{0, 5}, run: dashboards},
	}
}

// Run starts a system anew, brings it to a size, and measures.
func (g Growth) Run(ctx context.Context, sys systems.System, size Sizes, env systems.Env, at int) (Figures, []string, error) {
	w := Workload{Name: fmt.Sprintf("%s at %d", g.Name, at), run: func(ctx context.Context, b *bench) (Figures, error) { return g.run(ctx, b, at) }}
	return w.Run(ctx, sys, size, env)
}

const (
	// pages is how many first pages are asked for.
	pages = 400
	// observed is for how long processor time is counted, after rest has passed.
	observed = 20 * time.Second
	settling = 5 * time.Second
	// pulse is the time between two tasks while dashboards look on.
	pulse = 50 * time.Millisecond
)

// backlog measures beside tasks of low priority that wait: submission of urgent ones, the API,
// and then how fast all are taken.
func backlog(ctx context.Context, b *bench, pending int) (Figures, error) {
	n := b.size.One
	if err := b.start(ctx, role.Worker{Expect: pending + n, Tuned: true, Priorities: true}); err != nil {
		return nil, err
	}
	if pending > 0 {
		if err := b.prefill(ctx, pending, "low"); err != nil {
			return nil, err
		}
	}
	p, err := b.producer(ctx, role.Producer{Mode: role.ModeOne, First: pending, Tasks: n, Producers: 64, Priority: "high"})
	if err != nil {
		return nil, err
	}
	if err := p.Say(role.OpGo); err != nil {
		return nil, err
	}
	submitted, err := p.Hear(ctx, role.OpDone)
	if err != nil {
		return nil, err
	}
	if err := b.server.Settled(ctx, pending+n); err != nil {
		return nil, err
	}
	f := Figures{Submission: rate(n, submitted.From, clock.Now())}
	b.stopRoles()
	ms, err := b.firstPages(ctx)
	if err != nil {
		return nil, err
	}
	f[PageP50], f[PageP99] = stats.Quantile(ms, 0.5), stats.Quantile(ms, 0.99)
	memory, err := proc.Memory(b.server.PIDs()...)
	if err != nil {
		return nil, err
	}
	f[MemoryMB] = float64(memory) / (1 << 20)
	if _, err := b.worker(ctx); err != nil {
		return nil, err
	}
	// Between two counts, so that connecting costs nothing.
	first, err := b.server.Recorded(ctx, n/5)
	if err != nil {
		return nil, err
	}
	last, err := b.server.Recorded(ctx, n)
	if err != nil {
		return nil, err
	}
	f[Dispatch] = rate(n-n/5, first, last)
	return f, nil
}

// firstPages reads filtered first pages one after the other, and returns how long each took.
func (b *bench) firstPages(ctx context.Context) ([]float64, error) {
	filters := []string{
		"status=pending", "status=pending&priority=high", "type=bench&priority=low", "status=pending&sort=-submittedAt", "status=failed", "q=task-1",
	}
	ms := make([]float64, 0, pages)
	for i := range pages {
		from := clock.Now()
		if err := get(ctx, b.server.HTTP+"/tasks?limit=50&"+filters[i%len(filters)], nil); err != nil {
			return nil, err
		}
		ms = append(ms, clock.Ms(clock.Now()-from))
	}
	return ms, nil
}

func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", url, res.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// heartbeats measures an idle system with many workers, which run in pools of one process.
func heartbeats(ctx context.Context, b *bench, workers int) (Figures, error) {
	if err := b.start(ctx, role.Worker{}); err != nil {
		return nil, err
	}
	pool, err := b.role(ctx, systems.KindPool, role.Pool{Addr: b.server.Addr, Workers: workers})
	if err != nil {
		return nil, err
	}
	if err := b.awaitWorkers(ctx, workers); err != nil {
		return nil, err
	}
	server, own, err := b.observe(ctx, pool)
	return Figures{ServerCPU: server, PoolCPU: own}, err
}

func (b *bench) awaitWorkers(ctx context.Context, n int) error {
	for {
		var s struct{ Workers struct{ Active, Idle int } }
		if err := get(ctx, b.server.HTTP+"/stats", &s); err != nil {
			return err
		}
		living := s.Workers.Active + s.Workers.Idle
		if living >= n {
			return nil
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d workers live: %w", living, n, err)
		}
	}
}

// observe is what the servers and another process use while nothing else is done, in percents
// of one core.
func (b *bench) observe(ctx context.Context, other *proc.Process) (server, others float64, err error) {
	if err := rest(ctx, settling); err != nil {
		return 0, 0, err
	}
	used := func() (s, o time.Duration, err error) {
		if s, err = proc.CPU(b.server.PIDs()...); err == nil {
			o, err = proc.CPU(other.PID())
		}
		return s, o, err
	}
	s0, o0, err := used()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := rest(ctx, observed); err != nil {
		return 0, 0, err
	}
	s1, o1, err := used()
	took := time.Since(began)
	return 100 * float64(s1-s0) / float64(took), 100 * float64(o1-o0) / float64(took), err
}

// dashboards measures a system at light work that many look at.
func dashboards(ctx context.Context, b *bench, n int) (Figures, error) {
	if err := b.start(ctx, role.Worker{Expect: 1 << 20, Tuned: true}); err != nil {
		return nil, err
	}
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.producer(ctx, role.Producer{Mode: role.ModeStep})
	if err != nil {
		return nil, err
	}
	looking, err := look(ctx, b.server.HTTP, n)
	if err != nil {
		return nil, err
	}
	defer looking.close()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan error, 1)
	go func() { worked <- b.steps(work, p, 1<<20, pulse) }()
	before := looking.messages.Load()
	began := time.Now()
	server, _, err := b.observe(ctx, w)
	if err != nil {
		return nil, err
	}
	f := Figures{ServerCPU: server}
	if n > 0 {
		f[Messages] = float64(looking.messages.Load()-before) / time.Since(began).Seconds() / float64(n)
		if f[Messages] < 1 {
			return nil, fmt.Errorf("a dashboard got %.2f messages a second, of a system at work", f[Messages])
		}
	}
	cancel()
	if err := <-worked; work.Err() == nil {
		return nil, err
	}
	return f, looking.err()
}
