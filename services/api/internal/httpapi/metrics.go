package httpapi

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// figures is what /metrics shows of the whole system, as the read model knows it.
type figures struct {
	model Model

	tasks, finished, submitted, retried, reassigned, refused *prometheus.Desc
	duration, wait                                           *prometheus.Desc
	workers, desired, running, depth, oldest                 *prometheus.Desc
}

func newFigures(m Model) *figures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("batuta_"+name, help, labels, nil)
	}
	return &figures{
		model:      m,
		tasks:      desc("tasks", "Tasks kept now.", "status"),
		finished:   desc("tasks_finished_total", "Tasks that ended.", "outcome", "type"),
		submitted:  desc("tasks_submitted_total", "Tasks submitted."),
		retried:    desc("tasks_retried_total", "Failed attempts that were followed by another."),
		reassigned: desc("tasks_reassigned_total", "Hand-outs that were repeated."),
		refused:    desc("tasks_refused_total", "Outcomes that came too late."),
		duration:   desc("task_duration_seconds", "Execution time of completed attempts."),
		wait:       desc("task_wait_seconds", "Time from due to started."),
		workers:    desc("workers", "Worker processes alive.", "pool", "status"),
		desired:    desc("pool_desired_workers", "Worker processes that the autoscaler wants.", "pool"),
		running:    desc("pool_running_workers", "Worker processes that run.", "pool"),
		depth:      desc("queue_depth", "Tasks that wait.", "queue", "priority"),
		oldest:     desc("queue_oldest_wait_seconds", "How long the oldest waiting task waits.", "queue"),
	}
}

// Describe implements prometheus.Collector.
func (f *figures) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

// Collect implements prometheus.Collector.
func (f *figures) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	f.collectTasks(ch, gauge)
	workers := map[[2]string]float64{}
	for _, w := range f.model.Workers().Workers {
		workers[[2]string{w.Pool, string(w.Status)}]++
	}
	for k, n := range workers {
		gauge(f.workers, n, k[0], k[1])
	}
	for _, p := range f.model.Pools() {
		gauge(f.running, float64(p.Running), p.Name)
		if p.Desired != nil {
			gauge(f.desired, float64(*p.Desired), p.Name)
		}
	}
	for _, q := range f.model.Queues() {
		for _, p := range wire.Priorities {
			gauge(f.depth, float64(depthOf(&q.Depth, p)), q.Name, string(p))
		}
		if q.OldestWaitMs != nil {
			gauge(f.oldest, float64(*q.OldestWaitMs)/1000, q.Name)
		}
	}
}

func depthOf(d *wire.Depth, p wire.Priority) int64 {
	return [...]int64{d.Critical, d.High, d.Medium, d.Low}[p.Rank()]
}

func (f *figures) collectTasks(ch chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	counts := f.model.Counts()
	for s, n := range map[wire.Status]int{
		wire.StatusScheduled: counts.Scheduled, wire.StatusPending: counts.Pending, wire.StatusInProgress: counts.InProgress,
		wire.StatusRetrying: counts.Retrying, wire.StatusCompleted: counts.Completed, wire.StatusFailed: counts.Failed,
		wire.StatusCancelled: counts.Cancelled,
	} {
		gauge(f.tasks, float64(n), string(s))
	}
	t := f.model.Totals()
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	counter(f.submitted, t.Submitted)
	counter(f.retried, t.Retried)
	counter(f.reassigned, t.Reassigned)
	counter(f.refused, t.Refused)
	for outcome, types := range t.Finished {
		for kind, n := range types {
			counter(f.finished, n, string(outcome), kind)
		}
	}
	ch <- histogram(f.duration, &t.DurationMs)
	ch <- histogram(f.wait, &t.WaitMs)
}

// Every boundsStep-th bound of a wire.Histogram, from 0.1 ms to some 29 h, becomes one of
// Prometheus: a power of two each.
const (
	boundsStep = 4
	bounds     = 30
)

func histogram(d *prometheus.Desc, h *wire.Histogram) prometheus.Metric {
	buckets := make(map[float64]uint64, bounds+1)
	for k := range bounds + 1 {
		var below uint64
		for i, n := range h.Buckets {
			if i <= k*boundsStep {
				below += n
			}
		}
		buckets[math.Round(wire.HistogramBound(k*boundsStep)*10)/10_000] = below
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.SumMs/1000, buckets)
}

// requests counts what the API itself does.
type requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	sockets  prometheus.Gauge
}

func newRequests(reg prometheus.Registerer) *requests {
	r := &requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "batuta_http_requests_total", Help: "Requests answered.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "batuta_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"method", "route"}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Name: "batuta_websockets", Help: "Open WebSockets."}),
	}
	reg.MustRegister(r.total, r.duration, r.sockets)
	return r
}

func (r *requests) observe(method, route string, status int, took time.Duration) {
	r.total.WithLabelValues(method, route, fmt.Sprint(status)).Inc()
	r.duration.WithLabelValues(method, route).Observe(took.Seconds())
}

// metrics answers GET /metrics.
func (s *Server) metrics(c *fiber.Ctx) error {
	families, err := s.registry.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	var b bytes.Buffer
	enc := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("encode metrics: %w", err)
		}
	}
	c.Set(fiber.HeaderContentType, "text/plain; version=0.0.4; charset=utf-8")
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(http.StatusOK).Send(b.Bytes())
}
