package readmodel

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
)

// What the HTTP layer asks for, in its own words.
type (
	// Filter takes the tasks that match each of its fields. A type that ends in ".*" takes
	// all types below it, "*" all; of several tags one must match.
	Filter = httpapi.Filter
	// Tag is one tag with its value.
	Tag = httpapi.Tag
	// Query asks for a page of tasks.
	Query = httpapi.Query
	// EventQuery asks for a page of events.
	EventQuery = httpapi.EventQuery
)

// ErrBadCursor is wrapped by the error of a query whose cursor no earlier page with the same
// sort order gave.
var ErrBadCursor = httpapi.ErrCursor

// The sort orders. Ties are broken by the order of submission, in the same direction.
const (
	SortSubmitted = "submittedAt"
	// SortPriority ascends from low to critical.
	SortPriority = "priority"
	// SortExecution has the tasks that never ran last in both directions.
	SortExecution = "executionTimeMs"
)

// The bounds of Query.Limit: 0 is LimitDefault, more than LimitMax is LimitMax.
const (
	LimitDefault = 50
	LimitMax     = 1000
)

// place is where a task stands in a sort order; the places of a list ascend. The key is
// negated, and the ties inverted, where the order descends.
type place struct {
	key    int64
	seq    uint64
	member uint32
	id     string
}

// unknownKey stands after every known key in both directions.
const unknownKey = math.MaxInt64

func (p *place) before(q *place, descending bool) bool {
	switch {
	case p.key != q.key:
		return p.key < q.key
	case p.seq != q.seq:
		return p.seq < q.seq
	case p.member != q.member:
		return p.member < q.member
	case descending:
		return p.id > q.id
	}
	return p.id < q.id
}

// order is a sort order with its direction.
type order struct {
	sort       byte
	descending bool
}

const (
	bySubmitted byte = iota
	byPriority
	byExecution
)

func orderOf(q *Query) (order, error) {
	switch q.Sort {
	case "":
		return order{bySubmitted, true}, nil
	case SortSubmitted:
		return order{bySubmitted, q.Descending}, nil
	case SortPriority:
		return order{byPriority, q.Descending}, nil
	case SortExecution:
		return order{byExecution, q.Descending}, nil
	}
	return order{}, errors.New("sort " + q.Sort + " is not known")
}

const cursorVersion = 1

// encode makes the cursor that leads to what follows p.
func (o order) encode(p *place) string {
	b := []byte{cursorVersion, o.sort, 0}
	if o.descending {
		b[2] = 1
	}
	b = binary.AppendVarint(b, p.key)
	b = binary.AppendUvarint(b, p.seq)
	b = binary.AppendUvarint(b, uint64(p.member))
	b = append(b, p.id...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (o order) decode(cursor string) (*place, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 6 || b[0] != cursorVersion || b[1] != o.sort || (b[2] == 1) != o.descending || b[2] > 1 {
		return nil, ErrBadCursor
	}
	var p place
	b = b[3:]
	key, n := binary.Varint(b)
	if n <= 0 {
		return nil, ErrBadCursor
	}
	seq, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return nil, ErrBadCursor
	}
	n += m
	member, m := binary.Uvarint(b[n:])
	if m <= 0 || member > math.MaxUint32 {
		return nil, ErrBadCursor
	}
	p.key, p.seq, p.member, p.id = key, seq, uint32(member), string(b[n+m:])
	return &p, nil
}
