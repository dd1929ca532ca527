package readmodel

import (
	"fmt"
	"hash/maphash"
	"math"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// row is what the columns keep of a task. Its byte slices may be parts of a message.
type row struct {
	id, kind, queue, worker []byte
	// tags are the hashes of its tags.
	tags []uint64
	// status is an index of wire.Statuses, priority one of wire.Priorities.
	status, priority uint8
	submitted        wire.Time
	// due is since when the task waits, where it does.
	due wire.Time
	// expires is when it is hidden; 0 while it has not ended.
	expires wire.Time
	// exec is the time of the latest attempt in ms; unknownExec where there is none.
	exec uint32
	// seq and member say which submission it is.
	seq    uint64
	member uint32
	// rev is the revision of the record, 0 for a task without one.
	rev uint64
	// object: the payload lies in the object store.
	object bool
	// started tells that the latest round has been started once.
	started bool
}

const unknownExec = math.MaxUint32

var (
	statusIndex   = indexes(wire.Statuses)
	priorityIndex = indexes(wire.Priorities)
)

func indexes[T ~string](all []T) map[string]uint8 {
	m := make(map[string]uint8, len(all))
	for i, v := range all {
		m[string(v)] = uint8(i)
	}
	return m
}

// Indexes of wire.Statuses.
var (
	statusScheduled  = statusIndex[string(wire.StatusScheduled)]
	statusPending    = statusIndex[string(wire.StatusPending)]
	statusInProgress = statusIndex[string(wire.StatusInProgress)]
	statusRetrying   = statusIndex[string(wire.StatusRetrying)]
	statusCompleted  = statusIndex[string(wire.StatusCompleted)]
	statusFailed     = statusIndex[string(wire.StatusFailed)]
)

func ended(status uint8) bool { return status >= statusCompleted }

// rowReader turns records into rows. It keeps its buffers: a row is good until the next one.
type rowReader struct {
	tags  []uint64
	scrap []byte
}

// read takes the columns out of a record, as JSON.
func (r *rowReader) read(b []byte, rev uint64) (row, error) {
	out := row{rev: rev, exec: unknownExec}
	r.tags = r.tags[:0]
	var retention, finished int64
	known := 0
	s := scanner{b: b}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			out.id, err = s.text()
		case "type":
			out.kind, err = s.text()
		case "queue":
			out.queue, err = s.text()
		case "worker":
			out.worker, err = s.text()
		case "status":
			out.status, err = enum(&s, statusIndex, &known)
		case "priority":
			out.priority, err = enum(&s, priorityIndex, &known)
		case "submittedAt":
			out.submitted, err = s.time()
		case "startedAt":
			var at wire.Time
			at, err = s.time()
			out.started = at > 0
		case "finishedAt":
			var at wire.Time
			at, err = s.time()
			finished = int64(at)
		case "retentionMs":
			retention, err = s.integer(0)
		case "executionTimeMs":
			out.exec, err = duration(&s)
		case "tags":
			err = r.readTags(&s)
		case "meta":
			err = readMeta(&s, &out)
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil || known != 2 || len(out.id) == 0 {
		return row{}, fmt.Errorf("record: %w", errJSON)
	}
	if out.tags = r.tags; ended(out.status) {
		out.expires = wire.Time(finished + retention)
	}
	return out, nil
}

func enum(s *scanner, index map[string]uint8, known *int) (uint8, error) {
	v, err := s.text()
	if err != nil {
		return 0, err
	}
	i, ok := index[string(v)]
	if !ok {
		return 0, errJSON
	}
	*known++
	return i, nil
}

func duration(s *scanner) (uint32, error) {
	n, err := s.integer(-1)
	if n < 0 || err != nil {
		return unknownExec, err
	}
	return uint32(min(n, unknownExec-1)), nil
}

func readMeta(s *scanner, out *row) error {
	return s.object(func(key []byte) (err error) {
		var n int64
		switch string(key) {
		case "submitSeq":
			n, err = s.integer(0)
			out.seq = uint64(n)
		case "member":
			n, err = s.integer(0)
			out.member = uint32(n)
		case "dueAt":
			out.due, err = s.time()
		case "payloadObject":
			var name []byte
			name, err = s.text()
			out.object = len(name) > 0
		default:
			err = s.skip()
		}
		return err
	})
}

func (r *rowReader) readTags(s *scanner) error {
	r.tags = r.tags[:0]
	if s.next() == 'n' {
		return s.skip()
	}
	return s.object(func(key []byte) error {
		value, err := s.text()
		r.addTag(key, value)
		return err
	})
}

var tagSeed = maphash.MakeSeed()

// addTag notes a tag by its hash. Two tags with one hash would count as one: with 64 bits
// that does not happen, and a page compares the tags themselves.
func (r *rowReader) addTag(key, value []byte) {
	r.scrap = append(append(append(r.scrap[:0], key...), 0), value...)
	r.tags = append(r.tags, maphash.Bytes(tagSeed, r.scrap))
}

// ofRecord makes a row of a record that has not been stored.
func (r *rowReader) ofRecord(rec *wire.Record) row {
	out := row{
		id: []byte(rec.ID), kind: []byte(rec.Type), queue: []byte(rec.Queue), worker: []byte(rec.Worker),
		status: statusIndex[string(rec.Status)], priority: priorityIndex[string(rec.Priority)],
		submitted: rec.SubmittedAt, due: rec.Meta.DueAt, expires: rec.ExpiresAt(), exec: unknownExec,
		seq: rec.Meta.SubmitSeq, member: uint32(rec.Meta.Member), object: rec.Meta.PayloadObject != "", started: rec.StartedAt > 0,
	}
	r.tags = r.tags[:0]
	for k, v := range rec.Tags {
		r.addTag([]byte(k), []byte(v))
	}
	out.tags = r.tags
	if rec.ExecutionTimeMs != nil {
		out.exec = uint32(min(max(*rec.ExecutionTimeMs, 0), unknownExec-1))
	}
	return out
}
