package scheduler

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register shows what this replica does.
func (s *Scheduler) register() error {
	if s.cfg.Metrics == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batuta_scheduler_held_messages", Help: "Messages taken and not yet acknowledged.",
		}, func() float64 { return float64(s.held()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "batuta_scheduler_accepted_total", Help: "Tasks accepted by this replica.",
		}, func() float64 { return float64(s.accepted.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "batuta_scheduler_rejected_total", Help: "Tasks rejected by this replica.",
		}, func() float64 { return float64(s.rejected.Load()) }),
	} {
		if err := s.cfg.Metrics.Register(c); err != nil {
			return fmt.Errorf("scheduler: register metrics: %w", err)
		}
	}
	return nil
}
