package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// books are what the events say, folded once more from the first to the last by the rules
// alone.
type books struct {
	records map[string]*wire.Record
	ends    map[string]int
	totals  wire.Totals
	events  map[wire.EventName]int
	repairs []string
	scaled  []wire.Event
	// parcels are the lane messages that held several tasks.
	parcels int
	// history is what befell each task, as a reader of a failure needs it.
	history map[string][]string
	// ended is when each task ended, in the order of the events.
	ended []time.Time
}

func (s *system) fold() *books {
	s.t.Helper()
	b := &books{records: map[string]*wire.Record{}, ends: map[string]int{}, events: map[wire.EventName]int{}, history: map[string][]string{}}
	b.totals.Finished = map[wire.Status]map[string]uint64{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := s.js.Stream(ctx, wire.StreamEvents)
	require.NoError(s.t, err)
	require.Equal(s.t, uint64(1), st.CachedInfo().State.FirstSeq, "nothing is trimmed yet")
	last := st.CachedInfo().State.LastSeq
	c, err := s.js.OrderedConsumer(ctx, wire.StreamEvents, jetstream.OrderedConsumerConfig{})
	require.NoError(s.t, err)
	for at := uint64(0); at < last; {
		batch, err := c.Fetch(500, jetstream.FetchMaxWait(time.Second))
		require.NoError(s.t, err)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			require.NoError(s.t, err)
			require.Equal(s.t, at+1, meta.Sequence.Stream)
			at = meta.Sequence.Stream
			b.message(s.t, at, m.Data())
		}
	}
	return b
}

func (b *books) message(t *testing.T, seq uint64, body []byte) {
	t.Helper()
	events, err := wire.DecodeEvents(seq, body)
	require.NoError(t, err)
	for i := range events {
		e := &events[i]
		b.events[e.Event]++
		for _, size := range e.Data.Sizes {
			if size > 1 {
				b.parcels++
			}
		}
		if e.Event == wire.EventPoolScaled {
			b.scaled = append(b.scaled, *e)
		}
		if e.Event == wire.EventScheduled && e.Data.Reason == wire.ReasonRepair {
			b.repairs = append(b.repairs, e.TaskID)
		}
		for _, one := range wire.Split(e) {
			if one.TaskID != "" {
				b.one(&one, wire.Position{Seq: seq, Index: i})
			}
		}
	}
}

func (b *books) one(e *wire.Event, pos wire.Position) {
	old := b.records[e.TaskID]
	next, verdict, _ := wire.Next(old, e, pos)
	b.history[e.TaskID] = append(b.history[e.TaskID], fmt.Sprintf("%s %s %s of %s by %s: lane %d %v round %d attempt %d fence %d, verdict %d",
		pos, e.Timestamp, e.Event, e.TaskID, e.WorkerID, e.Data.LaneSeq, e.Data.Sizes, e.Data.Round, e.Attempt, e.Data.Fence, verdict))
	if verdict == wire.Refused {
		b.totals.Refused++
	}
	if verdict != wire.Applied {
		return
	}
	b.records[e.TaskID] = next
	if old == nil {
		b.totals.Submitted++
	}
	was, is := old != nil && !old.Status.Ended(), !next.Status.Ended()
	if is && !was {
		b.totals.Open++
	}
	if was && !is {
		b.totals.Open--
		b.totals.CountFinished(next.Status, next.Type)
		b.ends[e.TaskID]++
		b.ended = append(b.ended, next.FinishedAt.Time())
	}
}

// settle waits until all accepted tasks have ended and closes the books.
func (s *system) settle() *books {
	s.t.Helper()
	s.awaitEnd()
	s.awaitLanesEmpty()
	b := s.fold()
	for _, id := range s.ids() {
		require.Equal(s.t, 1, b.ends[id], "%s ended so often", id)
	}
	require.Len(s.t, b.ends, len(s.ids()), "tasks that nobody submitted")
	s.requireFolded(b)
	return b
}

// awaitLanesEmpty waits until nothing is left to hand out or to fold.
func (s *system) awaitLanesEmpty() {
	s.t.Helper()
	natstest.Eventually(s.t, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := s.js.Stream(ctx, wire.StreamReady)
		if err != nil {
			return err
		}
		if n := st.CachedInfo().State.Msgs; n > 0 {
			return fmt.Errorf("%d lane messages are left", n)
		}
		return s.folded(ctx)
	})
}

func (s *system) folded(ctx context.Context) error {
	st, err := s.js.Stream(ctx, wire.StreamEvents)
	if err != nil {
		return err
	}
	kv, err := s.js.KeyValue(ctx, wire.BucketTasks)
	if err != nil {
		return err
	}
	e, err := kv.Get(ctx, wire.KeyPosition)
	if err != nil {
		return err
	}
	pos, err := wire.ParsePosition(string(e.Value()))
	if err == nil && pos.Seq < st.CachedInfo().State.LastSeq {
		err = fmt.Errorf("folded up to %d of %d", pos.Seq, st.CachedInfo().State.LastSeq)
	}
	return err
}

// requireFolded compares what the recorders have stored with the events: nothing skipped,
// nothing applied twice.
func (s *system) requireFolded(b *books) {
	s.t.Helper()
	ids := s.ids()
	stored, err := s.records(ids)
	require.NoError(s.t, err)
	for _, id := range ids {
		want, err := json.Marshal(b.records[id])
		require.NoError(s.t, err)
		got, err := json.Marshal(stored[id])
		require.NoError(s.t, err)
		require.JSONEq(s.t, string(want), string(got))
	}
	kv, err := s.js.KeyValue(s.t.Context(), wire.BucketTasks)
	require.NoError(s.t, err)
	e, err := kv.Get(s.t.Context(), wire.KeyTotals)
	require.NoError(s.t, err)
	var totals wire.Totals
	require.NoError(s.t, json.Unmarshal(e.Value(), &totals))
	require.Equal(s.t, b.totals.Submitted, totals.Submitted)
	require.Equal(s.t, b.totals.Open, totals.Open)
	require.Equal(s.t, b.totals.Finished, totals.Finished)
	require.Equal(s.t, b.totals.Refused, totals.Refused)
}

// executions reads the ledger: how often each task began, and how often it was done.
func (s *system) executions() (began, did map[string]int) {
	s.t.Helper()
	began, did = map[string]int{}, map[string]int{}
	f, err := os.Open(s.ledger)
	if errors.Is(err, os.ErrNotExist) {
		return began, did // nothing has run yet
	}
	require.NoError(s.t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		what, rest, _ := strings.Cut(lines.Text(), " ")
		id, _, _ := strings.Cut(rest, " ")
		if what == "began" {
			began[id]++
		} else {
			did[id]++
		}
	}
	require.NoError(s.t, lines.Err())
	return began, did
}
