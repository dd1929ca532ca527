// Package permits keeps what one pool process holds of the limits of its queues.
//
// Each limit has one ledger in BucketPermits: how many may run, who holds how many permits,
// and the tokens of its rate. It is changed by revision only, so whatever pool processes
// and servers die, the permits given out are never more than there are: stored state does
// not forget, as a consumer's deliveries do. A process says how many it holds as one number;
// what a task gives back is used for the next one without a word to anybody, so a busy limit
// costs nothing, and what is asked for while a write is in flight goes into the next.
//
// A holder is a name with a lease: a key that the server removes when it is not renewed.
// The process counts its lease from the sending of the last renewal that was answered. When
// that is over it ends the tasks that hold permits, and takes another name; the key lives
// PermitMargin longer. Only then does a scheduler take the permits of the old name away.
//
// A lane is asked first and a permit taken afterwards, as long as there seems to be room:
// an empty lane costs nothing. Where that failed the limit is contended, and a permit is
// reserved before its lanes are asked: so no task is taken by who cannot run it.
package permits

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a Book.
type Config struct {
	JS     jetstream.JetStream
	Queues []string
	// Lease is for how long a holder may be silent.
	Lease time.Duration
	// Adopt is called when a limit has come into force, to give a permit to each task of it
	// that runs already, by Book.Adopt.
	Adopt func(l *Limit)
	// Lost is called with the owner of each permit that is lost: its task must end.
	Lost func(owner any)
	// Wake is called when lanes can be asked that could not. None of the three is called
	// with a lock held.
	Wake func()
	Log  *slog.Logger
}

// Book is the limits of a pool process's queues.
type Book struct {
	cfg    Config
	nc     *nats.Conn
	subs   []*nats.Subscription
	ctx    context.Context //nolint:containedctx // the life of what is done in the background
	cancel context.CancelFunc
	bg     sync.WaitGroup

	// view is what is limited, for those who only want to know that.
	view atomic.Pointer[view]

	mu     sync.Mutex
	limits map[name]*Limit
	holds  map[*Hold]struct{}
	round  uint64
	lease  holderLease
	// calls are to be made once the lock is free.
	calls   []func()
	closing bool
}

// name of a limit: a queue, or a type in it.
type name struct{ queue, taskType string }

// view of the limits. It is never changed, only replaced.
type view struct {
	version uint64
	// limits in force.
	limits map[name]*Limit
	// lanes of all types that have a ledger, in force or not.
	lanes []name
}

// New makes a book of limits as they are now, and follows them from then on.
func New(ctx context.Context, cfg Config) (*Book, error) {
	b := &Book{cfg: cfg, nc: cfg.JS.Conn(), limits: map[name]*Limit{}, holds: map[*Hold]struct{}{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.lease.holder, b.lease.length = nuid.Next(), cfg.Lease
	for _, q := range cfg.Queues {
		for _, subject := range []string{wire.PermitsSubject(q), wire.PermitsSubject(q) + ".>"} {
			s, err := b.nc.Subscribe(subject, b.hear)
			if err != nil {
				b.drop()
				return nil, err
			}
			b.subs = append(b.subs, s)
			_ = s.SetPendingLimits(-1, -1)
		}
	}
	if err := b.Refresh(ctx); err != nil {
		b.drop()
		return nil, err
	}
	return b, nil
}

func (b *Book) drop() {
	b.cancel()
	for _, s := range b.subs {
		_ = s.Unsubscribe() // or the connection is gone
	}
}

// Refresh reads the ledgers anew: what was said while the connection was cut is lost.
func (b *Book) Refresh(ctx context.Context) error {
	var subjects []string
	for _, q := range b.cfg.Queues {
		key := wire.PermitsKey(q, "")
		subjects = append(subjects, wire.KVSubject(wire.BucketPermits, key), wire.KVSubject(wire.BucketPermits, wire.PermitsKeyAll(q)))
	}
	found, err := natsx.LastOf(ctx, b.cfg.JS, wire.StreamPermits, subjects)
	if err != nil {
		return err
	}
	prefix := wire.KVSubject(wire.BucketPermits, "")
	for _, m := range found {
		if queue, taskType, ok := wire.ParsePermitsKey(m.Subject[len(prefix):]); ok {
			b.see(name{queue, taskType}, m.Data, m.Seq)
		}
	}
	return nil
}

// hear takes a ledger that was stored.
func (b *Book) hear(m *nats.Msg) {
	queue, taskType, ok := wire.PermitsOf(m.Subject)
	if !ok {
		return
	}
	seq, err := parseSeq(m.Header.Get(wire.HeaderSequenceOf))
	if err != nil {
		b.cfg.Log.Error("a ledger without its sequence", "subject", m.Subject, obs.Err(err))
		return
	}
	b.see(name{queue, taskType}, m.Data, seq)
}

// see takes in a ledger as it was stored with a sequence.
func (b *Book) see(n name, body []byte, seq uint64) {
	doc, err := decode(body)
	if err != nil {
		b.cfg.Log.Error("a ledger does not decode", "queue", n.queue, "type", n.taskType, obs.Err(err))
		return
	}
	b.mu.Lock()
	l := b.limits[n]
	if l == nil {
		l = &Limit{name: n, book: b}
		b.limits[n] = l
	}
	b.take(l, doc, seq)
	b.unlock()
}

// take replaces what is known of a limit by what is newer. It needs the lock.
func (b *Book) take(l *Limit, doc *wire.Permits, seq uint64) {
	if seq <= l.seq {
		return
	}
	known, was := l.doc != nil, l.inForce
	l.doc, l.seq = doc, seq
	l.inForce = doc != nil && !doc.None()
	if known != (doc != nil) || was != l.inForce {
		b.publishView()
	}
	if l.inForce && !was {
		b.calls = append(b.calls, func() { b.cfg.Adopt(l) })
	}
	if l.inForce && doc.Over() {
		l.settle = true // lowered while a permit lay in hand
	}
	if l.blocked && (!l.inForce || l.room(wire.Now()) > 0) || was && !l.inForce {
		l.blocked = false
		b.calls = append(b.calls, b.cfg.Wake)
	}
	b.kick(l)
}

// publishView needs the lock.
func (b *Book) publishView() {
	v := &view{limits: map[name]*Limit{}}
	if old := b.view.Load(); old != nil {
		v.version = old.version
	}
	v.version++
	for n, l := range b.limits {
		if l.inForce {
			v.limits[n] = l
		}
		if n.taskType != "" && l.doc != nil {
			v.lanes = append(v.lanes, n)
		}
	}
	b.view.Store(v)
	b.calls = append(b.calls, b.cfg.Wake)
}

// unlock gives the lock back and makes the calls that were put off.
func (b *Book) unlock() {
	calls := b.calls
	b.calls = nil
	b.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// Of are the limits in force that a task is under; nil for most.
func (b *Book) Of(queue, taskType string) []*Limit {
	v := b.view.Load()
	if v == nil || len(v.limits) == 0 {
		return nil
	}
	var out []*Limit
	if l := v.limits[name{queue, ""}]; l != nil {
		out = append(out, l)
	}
	if taskType != "" {
		if l := v.limits[name{queue, taskType}]; l != nil {
			out = append(out, l)
		}
	}
	return out
}

// Limited are the types that have lanes of their own; version changes with them.
func (b *Book) Limited() (lanes [][2]string, version uint64) {
	v := b.view.Load()
	if v == nil {
		return nil, 0
	}
	for _, n := range v.lanes {
		lanes = append(lanes, [2]string{n.queue, n.taskType})
	}
	return lanes, v.version
}

// Version of Limited.
func (b *Book) Version() uint64 {
	if v := b.view.Load(); v != nil {
		return v.version
	}
	return 0
}

// Waits tells whether something is held up by a limit at present.
func (b *Book) Waits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.limits {
		if l.blocked || l.contended {
			return true
		}
	}
	return false
}

// Close gives back what is not used until ctx ends, and stops.
func (b *Book) Close(ctx context.Context) {
	b.mu.Lock()
	b.closing = true
	for _, l := range b.limits {
		l.settle = true
		b.kick(l) //nolint:contextcheck // what it writes is bounded by the book's context, which Close ends
	}
	b.unlock()
	done := make(chan struct{})
	go func() {
		b.bg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	b.drop()
	<-done
}
