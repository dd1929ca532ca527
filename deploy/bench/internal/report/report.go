// Package report turns figures into a table and a chart.
package report

import (
	"maps"
	"slices"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/stats"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// Named is a system as far as a report is concerned.
type Named interface {
	Name() string
	Promise() string
}

// Report collects the figures of all runs.
type Report struct {
	runs    int
	quick   bool
	order   []string
	promise map[string]string
	// versions and settings by system.
	versions, settings map[string][]string
	// values by system, workload and figure: one for each run.
	values map[key][]float64
}

type key struct{ system, workload, figure string }

// New makes an empty report.
func New(runs int, quick bool) *Report {
	return &Report{
		runs: runs, quick: quick, promise: map[string]string{}, versions: map[string][]string{}, settings: map[string][]string{}, values: map[key][]float64{},
	}
}

// Describe adds a system with its versions.
func (r *Report) Describe(s Named, versions []string) {
	r.order = append(r.order, s.Name())
	r.promise[s.Name()], r.versions[s.Name()] = s.Promise(), versions
}

// Add adds the figures of one run.
func (r *Report) Add(s Named, name string, f workload.Figures, settings []string) {
	for _, one := range settings {
		if !slices.Contains(r.settings[s.Name()], one) {
			r.settings[s.Name()] = append(r.settings[s.Name()], one)
		}
	}
	for figure, v := range f {
		k := key{s.Name(), name, figure}
		r.values[k] = append(r.values[k], v)
	}
}

// figure is the median of a figure over the runs.
func (r *Report) figure(system, name, figure string) (float64, bool) {
	v, ok := r.values[key{system, name, figure}]
	return stats.Median(v), ok
}

// workloads that have figures.
func (r *Report) has(name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(r.values)), func(k key) bool { return k.workload == name })
}
