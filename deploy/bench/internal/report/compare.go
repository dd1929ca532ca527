package report

import "strings"

// outcome is a target with what was measured.
type outcome struct {
	target
	ours float64
	// best of the others and whose it is; base of the ratio.
	best  float64
	whose string
	ratio float64
	met   bool
}

// outcomes of the targets of which both sides were measured.
func (r *Report) outcomes() []outcome {
	var all []outcome
	for _, t := range targets {
		ours, ok := r.figure(t.system, t.workload, t.figure)
		if !ok {
			continue
		}
		o := outcome{target: t, ours: ours, ratio: ours}
		if len(t.against) > 0 {
			if o.best, o.whose = r.best(t); o.whose == "" || o.best == 0 {
				continue
			}
			o.ratio = ours / o.best
		}
		o.met = t.least > 0 && o.ratio >= t.least || t.most > 0 && o.ratio <= t.most
		all = append(all, o)
	}
	return all
}

// best is the best figure of those that a target compares with: the highest where at least so
// much is wanted, else the lowest.
func (r *Report) best(t target) (best float64, whose string) {
	for _, name := range t.against {
		system, at, other := strings.Cut(name, "@")
		if !other {
			at = t.workload
		}
		figure := t.figure
		if t.theirs != "" {
			figure = t.theirs
		}
		v, ok := r.figure(system, at, figure)
		if !ok {
			continue
		}
		if whose == "" || t.least > 0 && v > best || t.most > 0 && v < best {
			best, whose = v, system
		}
	}
	return best, whose
}
