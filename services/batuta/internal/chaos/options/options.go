// Package options is what `batuta chaos` can be told.
package options

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
)

// Options of a run.
type Options struct {
	// Duration over which faults are injected.
	Duration time.Duration
	// Seed of faults and workload.
	Seed uint64
	// Tasks to submit; 0: as many as keep the system busy for the duration.
	Tasks int
	// Faults to inject, and of which kinds.
	Faults int
	Kinds  []plan.Kind
	// Servers of NATS: 1 or 3.
	Servers int
	// Pools, Workers of each, and tasks at once in each worker.
	Pools, Workers, Concurrency int
	// Lease, HungAfter and Sync are those of the system.
	Lease, HungAfter time.Duration
	Sync             string
	// Dir is where the system is put, Keep leaves it there.
	Dir  string
	Keep bool
	// Join a running system instead of starting one.
	Join bool
	// JSON prints the report as JSON.
	JSON bool
}

// Flags are the options as they are given.
type Flags struct {
	Options
	faults string
	seed   string
}

// faultEvery is the mean gap between two faults where their number is not given.
const faultEvery = 1100 * time.Millisecond

// Register adds the flags.
func (f *Flags) Register(fs *pflag.FlagSet) {
	fs.DurationVar(&f.Duration, "duration", time.Minute, "over which time faults are injected")
	fs.StringVar(&f.seed, "seed", "", "seed of the faults and the workload (default: a new one)")
	fs.IntVar(&f.Tasks, "tasks", 0, "how many tasks (default: as many as keep the system busy)")
	fs.StringVar(&f.faults, "faults", "", "how many faults, of which kinds, or both, comma separated (default: one every 1.1s, of all kinds)")
	fs.BoolVar(&f.Join, "join", false, "use the system at BATUTA_URL instead of starting one")
	fs.IntVar(&f.Servers, "servers", 1, "NATS servers: 1, or a cluster of 3")
	fs.IntVar(&f.Pools, "pools", 6, "pool processes")
	fs.IntVar(&f.Workers, "workers", 8, "worker processes of each pool")
	fs.IntVar(&f.Concurrency, "concurrency", 10, "tasks at once in each worker")
	fs.DurationVar(&f.Lease, "lease", 3*time.Second, "BATUTA_LEASE of the system")
	fs.DurationVar(&f.HungAfter, "hung-after", 3*time.Second, "BATUTA_HUNG_AFTER of the system")
	fs.StringVar(&f.Sync, "sync", "always", "when NATS makes writes durable: always, or a duration")
	fs.StringVar(&f.Dir, "dir", "", "folder for the system (default: a temporary one)")
	fs.BoolVar(&f.Keep, "keep", false, "leave the folder also where nothing was broken")
}

// Parse checks what was given.
func (f *Flags) Parse() (Options, error) {
	o := f.Options
	if o.Servers != 1 && o.Servers != 3 {
		return o, fmt.Errorf("--servers: %d is neither 1 nor 3", o.Servers)
	}
	if o.Duration < time.Second {
		return o, fmt.Errorf("--duration: %s is shorter than 1s", o.Duration)
	}
	for name, n := range map[string]int{"pools": o.Pools, "workers": o.Workers, "concurrency": o.Concurrency} {
		if n < 1 || n > 1000 {
			return o, fmt.Errorf("--%s: %d is not from 1 to 1000", name, n)
		}
	}
	if o.Tasks < 0 {
		return o, fmt.Errorf("--tasks: %d is below 0", o.Tasks)
	}
	if o.Lease < 500*time.Millisecond || o.HungAfter < 2*heartbeatLeast {
		return o, fmt.Errorf("--lease, --hung-after: at least 500ms")
	}
	if o.Sync != "always" {
		if d, err := time.ParseDuration(o.Sync); err != nil || d < time.Millisecond {
			return o, fmt.Errorf("--sync: %q is neither always nor a duration of at least 1ms", o.Sync)
		}
	}
	if err := f.parseSeed(&o); err != nil {
		return o, err
	}
	return o, f.parseFaults(&o)
}

const heartbeatLeast = 250 * time.Millisecond

// Heartbeat of the workers.
func (o *Options) Heartbeat() time.Duration {
	return max(min(o.HungAfter/3, time.Second), heartbeatLeast/2)
}

func (f *Flags) parseSeed(o *Options) error {
	if f.seed == "" {
		o.Seed = uint64(rand.Uint32())
		return nil
	}
	n, err := strconv.ParseUint(f.seed, 10, 64)
	if err != nil {
		return fmt.Errorf("--seed: %q is not a whole number", f.seed)
	}
	o.Seed = n
	return nil
}

func (f *Flags) parseFaults(o *Options) error {
	o.Faults = max(int(o.Duration/faultEvery), 1)
	o.Kinds = plan.Kinds(o.Servers)
	if o.Join {
		o.Kinds = plan.Joined
	}
	var names []string
	for one := range strings.SplitSeq(f.faults, ",") {
		one = strings.TrimSpace(one)
		if n, err := strconv.Atoi(one); err == nil {
			if n < 0 {
				return fmt.Errorf("--faults: %d is below 0", n)
			}
			o.Faults = n
		} else if one != "" {
			names = append(names, one)
		}
	}
	if len(names) == 0 {
		return nil
	}
	kinds, err := plan.Parse(names, o.Servers)
	if err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	for _, k := range kinds {
		if o.Join && !slices.Contains(plan.Joined, k) {
			return fmt.Errorf("--faults: %s cannot be done to a system that was joined; its API can do worker.kill and worker.restart", k)
		}
	}
	o.Kinds = kinds
	return nil
}
