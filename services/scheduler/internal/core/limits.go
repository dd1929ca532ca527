package core

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Limits knows which types and queues are limited, without a read for each task: the server
// repeats each ledger as it is stored. A limited type has lanes of its own, and neither that
// nor a limited queue has parcels. What is missed for a moment does no harm; a pool that finds
// a limited task in a common lane, or in a parcel, has it moved.
type Limits struct {
	core *Core
	sub  *nats.Subscription

	mu sync.Mutex
	// known limits by queue and type; those of whole queues under an empty type.
	known map[[2]string]standing
}

// standing is whether a type or queue is limited, by the ledger with a sequence.
type standing struct {
	seq     uint64
	limited bool
}

func newLimits(c *Core) (*Limits, error) {
	l := &Limits{core: c, known: map[[2]string]standing{}}
	var err error
	l.sub, err = c.JS.Conn().Subscribe(wire.SubjectPermitsAll, l.hear)
	if err != nil {
		return nil, fmt.Errorf("follow the limits: %w", err)
	}
	return l, nil
}

func (l *Limits) hear(m *nats.Msg) {
	queue, taskType, ok := wire.PermitsOf(m.Subject)
	seq, err := strconv.ParseUint(m.Header.Get(wire.HeaderSequenceOf), 10, 64)
	if !ok || err != nil {
		return
	}
	var p wire.Permits
	limited := len(m.Data) > 0 && json.Unmarshal(m.Data, &p) == nil && !p.None()
	l.note(queue, taskType, standing{seq, limited})
}

func (l *Limits) note(queue, taskType string, s standing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := [2]string{queue, taskType}; s.seq > l.known[at].seq {
		l.known[at] = s
	}
}

// Load reads all ledgers anew: what was said while the connection was cut is lost.
func (l *Limits) Load(ctx context.Context) error {
	ledgers, err := l.core.Ledgers(ctx)
	if err != nil {
		return err
	}
	for _, one := range ledgers {
		l.note(one.Queue, one.Type, standing{one.Seq, !one.None()})
	}
	return nil
}

// Lane is where a task belongs now, and whether a limit is on it.
func (l *Limits) Lane(t *wire.Compact) (lane wire.Lane, limited bool) {
	lane = wire.Lane{Queue: t.Queue, Priority: t.Priority}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) == 0 {
		return lane, false
	}
	if l.known[[2]string{t.Queue, t.Type}].limited {
		lane.Type = t.Type
		return lane, true
	}
	return lane, l.known[[2]string{t.Queue, ""}].limited
}

// Ledger is one limit's ledger and where it stands.
type Ledger struct {
	wire.Permits
	Queue, Type string
	Seq         uint64
	// Dead are holders whose lease is over.
	Dead []string
}

// Ledgers reads all limits, and which of their holders are dead, in one isolated read: a
// holder is there before the first ledger that names it, and its key never comes back.
func (c *Core) Ledgers(ctx context.Context) ([]Ledger, error) {
	found, err := natsx.LastOf(ctx, c.JS, wire.StreamPermits, []string{wire.KVSubject(wire.BucketPermits, ">")})
	if err != nil {
		return nil, fmt.Errorf("read the ledgers of limits: %w", err)
	}
	var out []Ledger
	alive := map[string]bool{}
	prefix := wire.KVSubject(wire.BucketPermits, "")
	for _, m := range found {
		key := strings.TrimPrefix(m.Subject, prefix)
		queue, taskType, isLedger := wire.ParsePermitsKey(key)
		if !isLedger {
			alive[key] = true
			continue
		}
		one := Ledger{Queue: queue, Type: taskType, Seq: m.Seq}
		if len(m.Data) == 0 {
			continue // removed
		}
		if err := json.Unmarshal(m.Data, &one.Permits); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", key, err)
		}
		out = append(out, one)
	}
	for i := range out {
		for holder := range out[i].Held {
			if !alive[wire.PermitLeaseKey(holder)] {
				out[i].Dead = append(out[i].Dead, holder)
			}
		}
	}
	return out, nil
}
