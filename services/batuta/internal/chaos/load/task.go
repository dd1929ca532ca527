// Package load is the workload of a chaos run: it draws tasks of many kinds from a seed,
// submits them over HTTP and over NATS, cancels some, and remembers what was acknowledged.
package load

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/role"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Kind of a task.
type Kind string

// The kinds.
const (
	Short     Kind = "short"
	Long      Kind = "long"
	Flaky     Kind = "flaky"     // fails, then succeeds
	Doomed    Kind = "doomed"    // fails for good
	Delayed   Kind = "delayed"   // runs later
	Own       Kind = "own"       // has an id of its own, and is submitted twice
	Taken     Kind = "taken"     // its id is taken by another one afterwards
	Large     Kind = "large"     // a payload beyond what fits a message
	Result    Kind = "result"    // a result beyond what fits a record
	Called    Kind = "called"    // is cancelled while it runs
	Recalled  Kind = "recalled"  // is cancelled while it waits for its time
	Withdrawn Kind = "withdrawn" // is cancelled as soon as it is accepted
	Burst     Kind = "burst"     // takes no time, and comes with many others
)

// shares are how many of a thousand tasks are of a kind; the rest is short. Bursts come beside them.
var shares = []struct {
	kind Kind
	of   int
}{
	{Long, 100},
	{Flaky, 50},
	{Doomed, 20},
	{Delayed, 30},
	{Own, 20},
	{Taken, 5},
	{Large, 1},
	{Result, 10},
	{Called, 10},
	{Recalled, 10},
	{Withdrawn, 10},
}

// Task is one task to be submitted.
type Task struct {
	Kind Kind
	// ID is chosen by the client; empty: Batuta makes one.
	ID       string
	Priority wire.Priority
	Queue    string
	Work     role.Work
	Retries  int
	DelayMs  int64
	// HTTP is the way it is submitted, else NATS.
	HTTP bool
}

// Sizes of large payloads and results.
const (
	largePad    = 700 << 10
	resultBytes = 20 << 10
	resultLarge = 1200 << 10
	// endless is how long a task runs that is to be cancelled meanwhile.
	endlessMs = 120_000
)

// draw makes the n-th task; meanMs is how long tasks should take on average.
func draw(r *rand.Rand, run string, n int, queues []string, meanMs float64) Task {
	t := Task{
		Kind: kindOf(r), Priority: wire.Priorities[r.IntN(len(wire.Priorities))], Queue: queues[r.IntN(len(queues))],
		Retries: 3, HTTP: r.IntN(2) == 0,
	}
	t.Work.Ms = int64(meanMs * (0.1 + 1.2*r.Float64()))
	switch t.Kind {
	case Short, Burst: // bursts are not drawn here
	case Long:
		t.Work.Ms = int64(meanMs*4 + 3000*r.Float64())
	case Flaky:
		t.Work.Fail = 1 + r.IntN(2)
	case Doomed:
		t.Retries = r.IntN(3)
		t.Work.Last = t.Retries + 1
	case Delayed:
		t.DelayMs = 100 + r.Int64N(4000)
	case Own, Taken:
		t.ID = fmt.Sprintf("own-%s-%d", run, n)
	case Large:
		t.Work.Pad, t.HTTP = pad(r, largePad), true
		t.Work.Sum = role.SumOf(t.Work.Pad)
	case Result:
		t.Work.ResultBytes = resultBytes
		if r.IntN(10) == 0 {
			t.Work.ResultBytes = resultLarge
		}
	case Called, Withdrawn:
		t.Work.Ms = endlessMs
	case Recalled:
		t.DelayMs = endlessMs
	}
	if t.cancelled() && t.HTTP {
		// Whoever does not hear of its acceptance cannot cancel it: this one can be asked for again.
		t.ID = fmt.Sprintf("own-%s-%d", run, n)
	}
	return t
}

func kindOf(r *rand.Rand) Kind {
	at := r.IntN(1000)
	for _, s := range shares {
		if at < s.of {
			return s.kind
		}
		at -= s.of
	}
	return Short
}

func pad(r *rand.Rand, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	for range n {
		b.WriteByte(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// ends are the states that a task may end in.
func (t *Task) ends() []wire.Status {
	switch t.Kind {
	case Doomed:
		return []wire.Status{wire.StatusFailed}
	case Called, Recalled, Withdrawn:
		return []wire.Status{wire.StatusCancelled}
	default:
		return []wire.Status{wire.StatusCompleted}
	}
}

// sociable tells whether a task may be one of a group: the answer to a group that is lost is
// not asked for again.
func (t *Task) sociable() bool { return t.ID == "" && t.Work.Pad == "" && !t.cancelled() }

// cancelled tells whether the task is to be cancelled.
func (t *Task) cancelled() bool { return t.ends()[0] == wire.StatusCancelled }

// body is the task as it is submitted.
func (t *Task) body() map[string]any {
	b := map[string]any{
		"type": "chaos." + string(t.Kind), "queue": t.Queue, "priority": t.Priority, "payload": t.Work, "maxRetries": t.Retries,
		"backoff": map[string]any{"policy": "fixed", "baseMs": 200, "maxMs": 1000, "jitter": 0.5},
	}
	if t.ID != "" {
		b["id"] = t.ID
	}
	if t.DelayMs > 0 {
		b["delayMs"] = t.DelayMs
	}
	return b
}
