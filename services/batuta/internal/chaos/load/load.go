package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a Load.
type Config struct {
	Seed uint64
	// Run sets the ids of this run apart from those of others.
	Run    string
	Queues []string
	// Tasks to submit, over Duration; 0 tasks are as many as keep the slots busy.
	Tasks    int
	Duration time.Duration
	// Slots of all workers.
	Slots int
	// Open tells how many tasks have not ended; Accepted and Cancelled hear of each that was
	// accepted, and whose cancel was.
	Open      func() int
	Accepted  func(id string)
	Cancelled func(id string)
	APIs      []*apiclient.Client
	Publish   *natsx.Publisher
}

// Load submits tasks until they are all accepted.
type Load struct {
	cfg   Config
	feed  chan []Task
	begun time.Time

	submitted atomic.Int64 // handed to a submitter
	accepted  atomic.Int64
	unheard   atomic.Int64

	mu    sync.Mutex
	tasks []check.Task

	// cancels are under way.
	cancels sync.WaitGroup
	errs    errorList
}

const (
	submitters = 256
	// httpTimeout bounds one request: an API may be stopped with the request in its hand.
	httpTimeout = 5 * time.Second
	// streamLoad keeps the numbers of the workload apart from those of the plan.
	streamLoad = 2
	// defaultMean is how long tasks take where their number is free.
	defaultMean = 600
)

// New prepares a load.
func New(cfg Config) *Load { return &Load{cfg: cfg, feed: make(chan []Task)} }

// Run submits until everything was accepted, or ctx ends; where the number of tasks is free,
// until the duration is over.
func (l *Load) Run(ctx context.Context) error {
	l.begun = time.Now()
	var wg sync.WaitGroup
	for i := range submitters {
		r := rand.New(rand.NewPCG(l.cfg.Seed, streamLoad+1+uint64(i)))
		wg.Go(func() {
			for group := range l.feed {
				l.submit(ctx, r, group)
			}
		})
	}
	l.produce(ctx)
	close(l.feed)
	wg.Wait()
	l.cancels.Wait()
	return l.errs.err()
}

// produce keeps as many tasks open as keep the slots busy.
func (l *Load) produce(ctx context.Context) {
	r := rand.New(rand.NewPCG(l.cfg.Seed, streamLoad))
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for n := 0; ; {
		if l.cfg.Tasks > 0 && n >= l.cfg.Tasks || l.cfg.Tasks == 0 && time.Since(l.begun) > l.cfg.Duration {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for range l.room() {
			group := l.group(r, &n)
			select {
			case l.feed <- group:
				l.submitted.Add(int64(len(group)))
			case <-ctx.Done():
				return
			}
			if l.cfg.Tasks > 0 && n >= l.cfg.Tasks {
				return
			}
		}
	}
}

// Waves of the load: in calm times slots stay free, so that what a fault has stopped can go
// on at once; in rough times there is a backlog, so that priorities matter.
const (
	wave  = 10 * time.Second
	calm  = 0.9
	rough = 1.6
)

// room is how many groups may be submitted now.
func (l *Load) room() int {
	open := l.cfg.Open()
	share := calm
	if int(time.Since(l.begun)/wave)%3 == 2 {
		share = rough
	}
	return min(max(int(share*float64(l.cfg.Slots))-open, 0), 64)
}

// group draws a task, or sometimes several that are submitted together.
func (l *Load) group(r *rand.Rand, n *int) []Task {
	if r.IntN(burstEach) == 0 {
		return l.burst(r, n)
	}
	size := 1
	if r.IntN(40) == 0 {
		size = 2 + r.IntN(14)
	}
	mean := l.meanMs(*n)
	var out []Task
	for len(out) < size && (l.cfg.Tasks == 0 || *n < l.cfg.Tasks) {
		t := draw(r, l.cfg.Run, *n, l.cfg.Queues, mean)
		if size > 1 && !t.sociable() {
			continue
		}
		*n++
		out = append(out, t)
	}
	return out
}

// Bursts: one in burstEach groups is one, of up to burstMost tasks.
const (
	burstEach = 200
	burstMost = 64
)

// burst draws tasks that take no time, of one lane: what the scheduler puts into parcels.
func (l *Load) burst(r *rand.Rand, n *int) []Task {
	first := draw(r, l.cfg.Run, *n, l.cfg.Queues, 0)
	size := 8 + r.IntN(burstMost-7)
	var out []Task
	for len(out) < size && (l.cfg.Tasks == 0 || *n < l.cfg.Tasks) {
		out = append(out, Task{Kind: Burst, Priority: first.Priority, Queue: first.Queue, Retries: 3, HTTP: first.HTTP})
		*n++
	}
	return out
}

// meanMs is how long tasks have to take for all of them to fill the time that is left.
func (l *Load) meanMs(n int) float64 {
	if l.cfg.Tasks == 0 {
		return defaultMean
	}
	left := max(l.cfg.Duration-time.Since(l.begun), time.Second)
	each := float64(left.Milliseconds()) * float64(l.cfg.Slots) * 0.7 / float64(max(l.cfg.Tasks-n, 1))
	// Where faults have cost time the rest runs on after the last of them: shorter tasks would
	// leave the slots empty while they come.
	least := float64(l.cfg.Duration.Milliseconds()) * float64(l.cfg.Slots) * 0.5 / float64(l.cfg.Tasks)
	return min(max((max(each, least)-longCost)/longFactor, 1), 3000)
}

// What the long kinds add to the mean, which the others have to leave room for.
const (
	longCost = 0.1*1500 + 0.01*2000
	// Bursts are about a seventh of all tasks, and take no time.
	longFactor = (0.9*0.7 + 0.1*4 + 0.05*1.5*0.7) * 6 / 7
)

// Accepted is what was acknowledged so far, Unheard how many submissions got no answer.
func (l *Load) Accepted() (accepted, unheard int) {
	return int(l.accepted.Load()), int(l.unheard.Load())
}

// Tasks lists what was acknowledged.
func (l *Load) Tasks() []check.Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]check.Task(nil), l.tasks...)
}

func (l *Load) keep(t *Task, id string) {
	l.mu.Lock()
	l.tasks = append(l.tasks, check.Task{ID: id, Kind: string(t.Kind), MaxRetries: t.Retries, Ends: t.ends()})
	l.mu.Unlock()
	l.accepted.Add(1)
	l.cfg.Accepted(id)
}

// submit hands a group in, and does what follows from its acceptance.
func (l *Load) submit(ctx context.Context, r *rand.Rand, group []Task) {
	over := l.overNATS
	if group[0].HTTP {
		over = l.overHTTP
	}
	ids := over(ctx, r, group)
	for i, id := range ids {
		if id == "" {
			continue
		}
		t := &group[i]
		l.keep(t, id)
		switch {
		case t.cancelled():
			l.cancels.Go(func() { l.cancel(ctx, t, id) })
		case t.Kind == Own:
			l.again(ctx, r, t)
		case t.Kind == Taken:
			l.collide(ctx, r, t)
		}
	}
}

// overNATS publishes until that is acknowledged; the ids follow from the sequence.
func (l *Load) overNATS(ctx context.Context, _ *rand.Rand, group []Task) []string {
	m := nats.NewMsg(wire.SubjectSubmit)
	bodies := make([]map[string]any, len(group))
	for i := range group {
		bodies[i] = group[i].body()
	}
	single := len(group) == 1
	if single {
		m.Subject = wire.SubmitSubject("chaos." + string(group[0].Kind))
		m.Data = mustJSON(bodies[0])
	} else {
		m.Data = mustJSON(bodies)
	}
	ack, err := l.cfg.Publish.Publish(ctx, m)
	if err != nil {
		if ctx.Err() == nil {
			l.errs.add(fmt.Errorf("a submission over NATS was refused: %w", err))
		}
		return nil
	}
	ids := make([]string, len(group))
	for i := range group {
		switch {
		case group[i].ID != "":
			ids[i] = group[i].ID
		case single:
			ids[i] = wire.MakeID(ack.Sequence, 0)
		default:
			ids[i] = wire.MakeID(ack.Sequence, i+1)
		}
	}
	return ids
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("load: a task does not encode: " + err.Error()) // it was made here
	}
	return b
}

// errorList keeps the first few errors of many goroutines.
type errorList struct {
	mu    sync.Mutex
	first []error
	n     int
}

func (e *errorList) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	if len(e.first) < 5 {
		e.first = append(e.first, err)
	}
}

func (e *errorList) err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == 0 {
		return nil
	}
	return fmt.Errorf("%d times the workload was not answered as it should: %v", e.n, e.first)
}
