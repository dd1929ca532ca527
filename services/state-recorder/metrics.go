package recorder

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register shows the recorder's figures.
func (r *Recorder) register() error {
	if r.cfg.Metrics == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batuta_recorder_folding", Help: "1 while this replica folds events, 0 while it stands by.",
		}, func() float64 {
			if r.foldingSince.Load() == nil {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batuta_recorder_position", Help: "Sequence of the last event message folded, as this replica knows it.",
		}, func() float64 { return float64(r.Position()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "batuta_recorder_commits_total", Help: "Commits made by this replica.",
		}, func() float64 { return float64(r.Committed()) }),
	} {
		if err := r.cfg.Metrics.Register(c); err != nil {
			return fmt.Errorf("state-recorder: %w", err)
		}
	}
	return nil
}
