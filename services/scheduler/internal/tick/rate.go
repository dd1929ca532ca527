package tick

import "github.com/batuta-tasks/batuta/shared/wire"

// counted is how far a pool process's counters had got.
type counted struct {
	Finished int64 `json:"finished"`
	BusyMs   int64 `json:"busyMs"`
}

// rate is what is known of how long a pool's tasks take.
type rate struct {
	// ServiceMs is a moving mean; 0 before anything has finished.
	ServiceMs float64 `json:"serviceMs"`
	// Since is when something last finished, or when the slots were last empty.
	Since wire.Time `json:"since"`
	// Instances are the counters at the last tick.
	Instances map[string]counted `json:"instances"`
}

// weight of what is measured now against the mean so far.
const weight = 0.5

// measure takes in the counters of the living processes.
func (r *rate) measure(now wire.Time, instances []wire.Instance) {
	var finished, spent int64
	busy := 0
	next := make(map[string]counted, len(instances))
	for _, i := range instances {
		busy += i.BusySlots
		next[i.Instance] = counted{i.Finished, i.BusyMs}
		before, known := r.Instances[i.Instance]
		if !known || i.Finished < before.Finished || i.BusyMs < before.BusyMs {
			before = counted{} // a new process, or its counters began anew
		}
		finished += i.Finished - before.Finished
		spent += i.BusyMs - before.BusyMs
	}
	r.Instances = next
	if finished > 0 {
		mean := max(float64(spent)/float64(finished), 0.01)
		if r.ServiceMs > 0 {
			mean = weight*mean + (1-weight)*r.ServiceMs
		}
		r.ServiceMs = mean
	}
	if finished > 0 || busy == 0 || r.Since == 0 {
		r.Since = now
	}
}

// estimate is the time a task takes: at least what has passed since one finished, or a pool
// full of long tasks after short ones would be thought idle. 0 is unknown; then stalled is
// for how long tasks have run without one that finished.
func (r *rate) estimate(now wire.Time) (service, stalled float64) {
	stalled = float64(now.Sub(r.Since).Milliseconds())
	if r.ServiceMs == 0 {
		return 0, stalled
	}
	return max(r.ServiceMs, stalled), stalled
}
