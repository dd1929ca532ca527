package check_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/ledger"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// dawn is when the runs of these tests begin.
var dawn = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

// world is a run in which all is well, to be spoilt.
type world struct {
	t       *testing.T
	cfg     check.Config
	events  []wire.Event
	ledger  []ledger.Entry
	records map[string]*wire.Record
	lane    uint64
	// loose leaves records as they were folded when loose was set.
	frozen bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, cfg: check.Config{Lease: 3 * time.Second}, records: map[string]*wire.Record{}}
}

// job is a task of a world.
type job struct {
	w     *world
	id    string
	def   wire.Compact
	n     uint64
	lane  uint64
	fence uint64
}

func at(ms int) time.Time { return dawn.Add(time.Duration(ms) * time.Millisecond) }

func (w *world) tell(ms int, e wire.Event) {
	e.Timestamp = wire.At(at(ms))
	w.events = append(w.events, wire.NewEvent(e))
}

// submit accepts a task.
func (w *world) submit(ms int, p wire.Priority, ends ...wire.Status) *job {
	w.lane++
	if len(ends) == 0 {
		ends = []wire.Status{wire.StatusCompleted}
	}
	j := &job{w: w, id: wire.MakeID(w.lane, 0), n: w.lane, lane: w.lane, def: wire.Compact{
		Type: "chaos.short", Queue: "default", Priority: p, MaxRetries: 1, Backoff: wire.DefaultBackoff, TimeoutMs: 60_000,
		RetentionMs: 3_600_000, Tags: map[string]string{},
	}}
	w.cfg.Tasks = append(w.cfg.Tasks, check.Task{ID: j.id, Kind: "short", MaxRetries: 1, Ends: ends})
	w.tell(ms, wire.Event{Event: wire.EventSubmitted, TaskID: j.id, Data: wire.EventData{
		Task: &j.def, SubmitSeq: j.n, SubmittedAt: wire.At(at(ms)),
	}})
	w.tell(ms, wire.Event{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default_" + string(p), First: j.lane, IDs: []string{j.id}}})
	return j
}

// parcel accepts tasks that lie in one lane message.
func (w *world) parcel(ms, n int, p wire.Priority) []*job {
	jobs := make([]*job, n)
	ids := make([]string, n)
	first := w.lane + 1
	for i := range jobs {
		jobs[i] = w.submit(ms, p)
		w.events = w.events[:len(w.events)-1] // its message of its own
		jobs[i].lane, ids[i] = first, jobs[i].id
	}
	w.tell(ms, wire.Event{Event: wire.EventDispatched, Data: wire.EventData{Lane: "default_" + string(p), First: first, Sizes: []int{n}, IDs: ids}})
	return jobs
}

// start hands a task out with the n-th fence of its lane message.
func (j *job) start(ms, attempt int, n uint64, worker string) *job {
	j.fence = j.lane*wire.FencePerLane + n
	j.w.tell(ms, wire.Event{Event: wire.EventStarted, TaskID: j.id, WorkerID: worker, Pool: "pool-1", Attempt: attempt, Data: wire.EventData{
		Task: &j.def, SubmitSeq: j.n, SubmittedAt: wire.At(dawn), Fence: j.fence, LaneSeq: j.lane,
	}})
	j.write(ms, attempt, ledger.Began, worker)
	return j
}

func (j *job) write(ms, attempt int, kind ledger.Kind, worker string) {
	j.w.ledger = append(j.w.ledger, ledger.Entry{Kind: kind, ID: j.id, Attempt: attempt, Fence: j.fence, At: at(ms), PID: pidOf(worker), Worker: worker})
}

func pidOf(worker string) int { return 1000 + len(worker)*100 + int(worker[len(worker)-1]) }

// complete ends the latest hand-out well.
func (j *job) complete(ms, attempt int, worker string) *job {
	j.write(ms, attempt, ledger.Succeeded, worker)
	j.w.tell(ms+1, wire.Event{Event: wire.EventCompleted, TaskID: j.id, WorkerID: worker, Pool: "pool-1", Attempt: attempt, Data: wire.EventData{
		Fence: j.fence, Result: json.RawMessage(`{}`), ExecutionTimeMs: new(int64(5)),
	}})
	return j
}

func (j *job) fail(ms, attempt int, final bool, code wire.ErrorCode) *job {
	j.write(ms, attempt, ledger.Failed, "worker-1")
	e := wire.Event{Event: wire.EventFailed, TaskID: j.id, WorkerID: "worker-1", Pool: "pool-1", Attempt: attempt, Data: wire.EventData{
		Fence: j.fence, Final: &final, Error: &wire.TaskError{Message: "no", Code: code, Attempt: attempt, At: wire.At(at(ms))},
	}}
	if !final {
		e.Data.NextAttemptAt = wire.At(at(ms + 10))
	}
	j.w.tell(ms+1, e)
	return j
}

// messages are the events as the stream holds them, and the records that a recorder makes.
func (w *world) messages() map[uint64][]byte {
	out := map[uint64][]byte{}
	for i := range w.events {
		body, err := wire.EncodeEvents(w.events[i : i+1])
		require.NoError(w.t, err)
		out[uint64(i+1)] = body
	}
	if w.frozen {
		return out
	}
	for seq := uint64(1); seq <= uint64(len(out)); seq++ {
		events, err := wire.DecodeEvents(seq, out[seq])
		require.NoError(w.t, err)
		for _, e := range wire.Split(&events[0]) {
			if e.TaskID != "" {
				w.records[e.TaskID], _, _ = wire.Next(w.records[e.TaskID], &e, wire.Position{Seq: seq})
			}
		}
	}
	return out
}

// settle folds the events; what is planted afterwards does not change the records.
func (w *world) settle() {
	w.messages()
	w.frozen = true
}

func (w *world) check() check.Report {
	w.t.Helper()
	messages := w.messages()
	c := check.New(w.cfg)
	for seq := uint64(1); seq <= uint64(len(messages)); seq++ {
		require.NoError(w.t, c.Message(seq, messages[seq]))
	}
	for _, r := range w.records {
		if r != nil {
			c.Record(r)
		}
	}
	c.Ledger(w.ledger...)
	return c.Finish()
}

// requireBroken checks that exactly the rules given are found broken, for a task.
func (w *world) requireBroken(id string, rules ...check.Rule) check.Report {
	w.t.Helper()
	rep := w.check()
	var got []check.Rule
	for _, f := range rep.Findings {
		require.Equal(w.t, id, f.TaskID, "%s: %s", f.Rule, f.Text)
		require.NotEmpty(w.t, f.History)
		got = append(got, f.Rule)
	}
	slices.Sort(got)
	slices.Sort(rules)
	require.Equal(w.t, rules, got, "%v", rep.Findings)
	return rep
}

// good is a run with one task of each fate: done at once, killed and done, failed and done,
// failed for good, cancelled, refused late.
func good(t *testing.T) (*world, *job) {
	t.Helper()
	w := newWorld(t)
	plain := w.submit(0, wire.PriorityMedium).start(10, 1, 1, "worker-1").complete(20, 1, "worker-1")

	killed := w.submit(0, wire.PriorityMedium).start(11, 1, 1, "worker-1")
	w.tell(30, wire.Event{Event: wire.EventReassigned, TaskID: killed.id, Attempt: 1, Data: wire.EventData{Fence: killed.fence, Reason: wire.ReasonCrash}})
	killed.start(35, 1, 2, "worker-2").complete(40, 1, "worker-2")

	flaky := w.submit(0, wire.PriorityMedium).start(12, 1, 1, "worker-1").fail(15, 1, false, wire.CodeHandler)
	w.lane++
	flaky.lane = w.lane
	flaky.start(50, 2, 1, "worker-1").complete(60, 2, "worker-1")

	doomed := w.submit(0, wire.PriorityMedium, wire.StatusFailed).start(13, 1, 1, "worker-1").fail(15, 1, false, wire.CodeHandler)
	w.lane++
	doomed.lane = w.lane
	doomed.start(55, 2, 1, "worker-1").fail(56, 2, true, wire.CodeHandler)

	called := w.submit(0, wire.PriorityMedium, wire.StatusCancelled).start(14, 1, 1, "worker-1")
	w.tell(20, wire.Event{Event: wire.EventCancelled, TaskID: called.id, Data: wire.EventData{ControlSeq: 7}})
	w.tell(21, wire.Event{Event: wire.EventCancelled, TaskID: called.id, Data: wire.EventData{ControlSeq: 7}}) // told twice
	called.write(22, 1, ledger.Yielded, "worker-1")

	late := w.submit(0, wire.PriorityMedium).start(15, 1, 1, "worker-1")
	first := *late
	late.start(70, 1, 2, "worker-2").complete(80, 1, "worker-2")
	first.complete(85, 1, "worker-1")
	w.tell(86, wire.Event{Event: wire.EventRefused, TaskID: late.id, Attempt: 1, Data: wire.EventData{Outcome: wire.EventCompleted, Fence: first.fence, Reason: "late"}})
	return w, plain
}
