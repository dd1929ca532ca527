// Package plan draws the faults of a chaos run from a seed: the same seed gives the same
// faults at the same times, less what they wait for a system at work.
package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Target is a kind of process.
type Target string

// The targets.
const (
	Worker    Target = "worker"
	Pool      Target = "pool"
	Scheduler Target = "scheduler"
	Recorder  Target = "recorder"
	API       Target = "api"
	NATS      Target = "nats"
)

// Act is what is done to it.
type Act string

// The acts.
const (
	// Kill is SIGKILL; a service is started again after Back.
	Kill Act = "kill"
	// Pause is SIGSTOP for less than anybody waits, Hang for longer.
	Pause Act = "pause"
	Hang  Act = "hang"
	// Restart is SIGTERM and a new start.
	Restart Act = "restart"
	// Drop breaks its connections off (reset), Cut makes them a black hole, for longer than a lease.
	Drop Act = "drop"
	Cut  Act = "cut"
	// Isolate makes the routes of a NATS server to its peers a black hole.
	Isolate Act = "isolate"
)

// Kind of a fault, for example pool.kill.
type Kind struct {
	Target Target
	Act    Act
}

// String is the kind's name.
func (k Kind) String() string { return string(k.Target) + "." + string(k.Act) }

// Kinds lists all that one server, or a cluster, can suffer.
func Kinds(servers int) []Kind {
	var all []Kind
	add := func(t Target, acts ...Act) {
		for _, a := range acts {
			all = append(all, Kind{t, a})
		}
	}
	add(Worker, Kill, Pause, Hang, Restart)
	add(Pool, Kill, Pause, Hang, Restart, Drop, Cut)
	for _, t := range []Target{Scheduler, Recorder, API} {
		add(t, Kill, Hang, Restart, Cut)
	}
	add(NATS, Kill, Pause, Restart, Drop)
	if servers > 1 {
		add(NATS, Hang, Isolate)
	}
	return all
}

// Joined are the faults that the API of a running system can be asked for: a worker is killed,
// or drained and replaced.
var Joined = []Kind{{Worker, Kill}, {Worker, Restart}}

// Parse finds kinds by their names; a target alone means all its kinds.
func Parse(names []string, servers int) ([]Kind, error) {
	all := Kinds(servers)
	var out []Kind
	for _, n := range names {
		found := false
		for _, k := range all {
			if k.String() == n || string(k.Target) == n {
				found = true
				if !slices.Contains(out, k) {
					out = append(out, k)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no fault %q; there are %s", n, List(servers))
		}
	}
	return out, nil
}

// List names all kinds.
func List(servers int) string {
	var names []string
	for _, k := range Kinds(servers) {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

// Fault is one fault of a plan.
type Fault struct {
	// At is when it begins, from the begin of the plan.
	At time.Duration
	Kind
	// Pick chooses the victim among those of its kind.
	Pick uint64
	// For is how long it lasts; then what was stopped goes on, what was killed starts again.
	For time.Duration
}

// Config of a plan.
type Config struct {
	Seed     uint64
	Duration time.Duration
	Faults   int
	Kinds    []Kind
	// Lease and HungAfter are those of the system.
	Lease, HungAfter time.Duration
}

// Make draws a plan. Every kind comes as often as every other, but for a remainder, in
// random order; the gaps between faults vary from none to twice the mean, so that some overlap.
func Make(c Config) []Fault {
	r := rand.New(rand.NewPCG(c.Seed, streamFaults))
	kinds := make([]Kind, 0, c.Faults)
	for len(kinds) < c.Faults {
		round := slices.Clone(c.Kinds)
		r.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		kinds = append(kinds, round[:min(len(round), c.Faults-len(kinds))]...)
	}
	out := make([]Fault, c.Faults)
	total := 0.0
	gaps := make([]float64, c.Faults)
	for i := range gaps {
		gaps[i] = 2 * r.Float64()
		total += gaps[i]
	}
	at := 0.0
	for i, k := range kinds {
		at += gaps[i]
		out[i] = Fault{
			At: time.Duration(at / total * float64(c.Duration)), Kind: k, Pick: r.Uint64(), For: length(r, k, c),
		}
	}
	return out
}

// streamFaults keeps the numbers of the plan apart from those of the workload.
const streamFaults = 1

// length draws how long a fault lasts.
func length(r *rand.Rand, k Kind, c Config) time.Duration {
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(r.Float64()*float64(most-least))
	}
	switch k.Act {
	case Hang:
		if k.Target == Worker {
			return c.HungAfter + between(c.HungAfter/2, c.HungAfter)
		}
		return c.Lease + between(c.Lease/4, c.Lease)
	case Cut, Isolate:
		return c.Lease + between(c.Lease/4, c.Lease)
	case Pause:
		return between(100*time.Millisecond, c.Lease/3)
	case Kill, Restart, Drop:
		return between(50*time.Millisecond, time.Second)
	}
	return 0
}
