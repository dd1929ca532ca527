package systems

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// River keeps tasks in PostgreSQL. It is told of new ones, and takes them at most once in a
// cooldown; tuned that is a millisecond.
type River struct{ AsItComes bool }

const (
	riverCooldown = time.Millisecond
	riverPoll     = 50 * time.Millisecond
	// riverConns of a worker's pool; producers have one each.
	riverConns = 10
)

// Name of the system.
func (r River) Name() string {
	if r.AsItComes {
		return "river-default"
	}
	return "river"
}

// Promise of the system.
func (River) Promise() string { return PromiseAlways }

// Default tells whether it runs as it comes.
func (r River) Default() bool { return r.AsItComes }

// Runs tells whether the system takes part in a workload.
func (r River) Runs(workload string) bool {
	if r.AsItComes {
		return workload == "idle"
	}
	return workload != "api64"
}

// Command of its producers and workers.
func (River) Command(e Env, kind string) []string { return []string{e.Self, "role", kind} }

// Versions of what is compared.
func (River) Versions(ctx context.Context, _ Env) []string {
	return []string{moduleVersion("River", "github.com/riverqueue/river"), postgresVersion(ctx)}
}

// Start starts PostgreSQL and makes River's tables.
func (r River) Start(ctx context.Context, e Env) (*Server, error) {
	s, err := startPostgres(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.Addr); err != nil {
		s.Stop()
		return nil, fmt.Errorf("make River's tables: %w", err)
	}
	c := r.config(nil)
	if r.AsItComes {
		c.FetchCooldown, c.FetchPollInterval = river.FetchCooldownDefault, river.FetchPollIntervalDefault
	}
	s.Settings = append(s.Settings, fmt.Sprintf("fetch cooldown %s, poll interval %s, notified", c.FetchCooldown, c.FetchPollInterval))
	return s, nil
}

func migrate(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func init() {
	for _, r := range []River{{}, {AsItComes: true}} {
		workers[r.Name()] = r.work
		producers[r.Name()] = connectRiver
	}
}

func (r River) config(w *river.Workers) *river.Config {
	c := &river.Config{Workers: w, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	if !r.AsItComes {
		c.FetchCooldown, c.FetchPollInterval = riverCooldown, riverPoll
	}
	return c
}

// riverArgs are the payload.
type riverArgs struct {
	N uint32 `json:"n"`
	T string `json:"t"`
	X string `json:"x"`
}

// Kind implements river.JobArgs.
func (riverArgs) Kind() string { return taskType }

type riverSubmitter struct {
	pool *pgxpool.Pool
	c    *river.Client[pgx.Tx]
}

func connectRiver(ctx context.Context, spec role.Producer) (submitter, error) {
	pool, err := riverPool(ctx, spec.Addr, max(spec.Producers, 2))
	if err != nil {
		return nil, err
	}
	c, err := river.NewClient(riverpgxv5.New(pool), River{}.config(nil))
	return &riverSubmitter{pool, c}, err
}

func riverPool(ctx context.Context, url string, conns int) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	c.MaxConns, c.MinConns = int32(conns), int32(conns)
	return pgxpool.NewWithConfig(ctx, c)
}

func riverArgsOf(payload []byte) (riverArgs, error) {
	n, at, err := role.ParsePayload(payload)
	a := riverArgs{N: n, T: strconv.FormatInt(at, 10)}
	// The filling makes up for what the keys and numbers leave of the size of a payload.
	head := len(`{"n":,"t":"","x":""}`) + len(strconv.FormatUint(uint64(n), 10)) + len(a.T)
	a.X = string(payload[len(payload)-2-(role.PayloadSize-head) : len(payload)-2])
	return a, err
}

func riverOpts(priority string) *river.InsertOpts {
	switch priority {
	case "high":
		return &river.InsertOpts{Priority: 1}
	case "low":
		return &river.InsertOpts{Priority: 4}
	}
	return nil
}

func (r *riverSubmitter) one(ctx context.Context, priority string, payload []byte) error {
	a, err := riverArgsOf(payload)
	if err != nil {
		return err
	}
	_, err = r.c.Insert(ctx, a, riverOpts(priority))
	return err
}

func (r *riverSubmitter) many(ctx context.Context, priority string, payloads [][]byte) error {
	params := make([]river.InsertManyParams, len(payloads))
	for i, p := range payloads {
		a, err := riverArgsOf(p)
		if err != nil {
			return err
		}
		params[i] = river.InsertManyParams{Args: a, InsertOpts: riverOpts(priority)}
	}
	_, err := r.c.InsertManyFast(ctx, params)
	return err
}

func (r *riverSubmitter) close() { r.pool.Close() }

// riverWorker runs the handler.
type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	h *handler
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, job *river.Job[riverArgs]) error {
	at, err := strconv.ParseInt(job.Args.T, 10, 64)
	if err == nil {
		w.h.run(job.Args.N, at)
	}
	return err
}

func (r River) work(ctx context.Context, spec role.Worker, pipe *role.Pipe) error {
	h, err := newHandler(spec, pipe)
	if err != nil {
		return err
	}
	pool, err := riverPool(ctx, spec.Addr, riverConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{h: h})
	config := r.config(workers)
	config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: spec.Slots}}
	c, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	err = h.serve()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, c.Stop(stop))
}
