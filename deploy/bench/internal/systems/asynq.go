package systems

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// Asynq keeps tasks in Redis. It polls; tuned it does so every millisecond.
type Asynq struct{ AsItComes bool }

// asynqTuned is the pause of an idle worker between two looks.
const asynqTuned = time.Millisecond

// Name of the system.
func (a Asynq) Name() string {
	if a.AsItComes {
		return "asynq-default"
	}
	return "asynq"
}

// Promise of the system.
func (Asynq) Promise() string { return PromiseSecond }

// Default tells whether it runs as it comes.
func (a Asynq) Default() bool { return a.AsItComes }

// Runs tells whether the system takes part in a workload; it takes no tasks in bulk.
func (a Asynq) Runs(workload string) bool {
	if a.AsItComes {
		return workload == "idle"
	}
	return workload != "bulk" && workload != "api64"
}

// Command of its producers and workers.
func (Asynq) Command(e Env, kind string) []string { return []string{e.Self, "role", kind} }

// Versions of what is compared.
func (Asynq) Versions(ctx context.Context, _ Env) []string {
	return []string{moduleVersion("asynq", "github.com/hibiken/asynq"), redisVersion(ctx)}
}

// Start starts Redis.
func (a Asynq) Start(ctx context.Context, e Env) (*Server, error) {
	s, err := startRedis(ctx, e)
	if err == nil {
		s.Settings = append(s.Settings, "looks for tasks every "+a.interval().String())
	}
	return s, err
}

func (a Asynq) interval() time.Duration {
	if a.AsItComes {
		return time.Second
	}
	return asynqTuned
}

func init() {
	for _, a := range []Asynq{{}, {AsItComes: true}} {
		workers[a.Name()] = a.work
		producers[a.Name()] = connectAsynq
	}
}

type asynqSubmitter struct{ c *asynq.Client }

func connectAsynq(_ context.Context, spec role.Producer) (submitter, error) {
	c := asynq.NewClient(asynq.RedisClientOpt{Addr: spec.Addr, PoolSize: max(spec.Producers, 10)})
	return asynqSubmitter{c}, c.Ping()
}

func (a asynqSubmitter) one(ctx context.Context, priority string, payload []byte) error {
	queue := priority
	if queue == "" {
		queue = "default"
	}
	_, err := a.c.EnqueueContext(ctx, asynq.NewTask(taskType, payload), asynq.Queue(queue))
	return err
}

func (asynqSubmitter) many(context.Context, string, [][]byte) error { return errNoBulk }

func (a asynqSubmitter) close() { _ = a.c.Close() }

func (a Asynq) work(_ context.Context, spec role.Worker, pipe *role.Pipe) error {
	h, err := newHandler(spec, pipe)
	if err != nil {
		return err
	}
	queues := map[string]int{"default": 1}
	if spec.Priorities { // its priorities are those of queues
		queues = map[string]int{"high": 2, "low": 1}
	}
	srv := asynq.NewServer(asynq.RedisClientOpt{Addr: spec.Addr}, asynq.Config{
		Concurrency: spec.Slots, TaskCheckInterval: a.interval(), Queues: queues, StrictPriority: true, LogLevel: asynq.ErrorLevel,
	})
	err = srv.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error { return h.handle(t.Payload()) }))
	if err != nil {
		return err
	}
	defer srv.Shutdown()
	return h.serve()
}
