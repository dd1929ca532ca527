// Package claim takes tasks from the lanes of a pool's queues: from the top lane down, never
// more than there are free slots, so that a later, higher task overtakes all that wait.
//
// With free slots the lanes are asked in order by pulls that do not wait. A lane found empty
// is then armed: it gets a standing pull for one message, which the server answers the
// moment something arrives. Without a free slot no pull is left standing.
package claim

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Delivery is a lane message as the server delivered it.
type Delivery struct {
	// Reply is the subject of its acknowledgement.
	Reply string
	// Seq is its sequence in the stream, Deliveries how often it was delivered, this time
	// included.
	Seq, Deliveries uint64
	// Stored is when it was stored, by the server's clock.
	Stored time.Time
	// Since is when the pull was sent: the lease counts from here.
	Since time.Time
	// Limited: it comes from the lane of a type with limits of its own.
	Limited bool
	Header  nats.Header
	Data    []byte
}

// Taker takes what the lanes bring. Its methods must not block.
type Taker interface {
	// Free is how many more tasks can be taken now.
	Free() int
	// Take takes a delivery, or hands it back: how many tasks are in it, 0 where it is none.
	Take(d Delivery) (tasks int)
}

// Gate says which lanes may be asked: those of limits only as far as there are permits. Its
// methods must not block; an empty type is a queue's common lane.
type Gate interface {
	// Version changes with Limited, which lists the types that have lanes of their own, each
	// behind its queue. 0: nothing was ever limited.
	Version() uint64
	Limited() (lanes [][2]string, version uint64)
	// Begin and Settle enclose a round, in which Room says for how many tasks of a lane there
	// are permits, at most want. Where there are none the loop is woken once there are.
	Begin()
	Room(queue, taskType string, want int) int
	Settle()
	// Open tells whether a standing pull may be left on a lane.
	Open(queue, taskType string) bool
}

// Config of a Loop.
type Config struct {
	JS     jetstream.JetStream
	Queues []string
	Lease  time.Duration
	Taker  Taker
	Gate   Gate
	// Repair is called when lanes do not answer; it makes them again.
	Repair func(context.Context) error
	Log    *slog.Logger
}

// Loop is the one loop of a pool process that pulls.
type Loop struct {
	cfg  Config
	nc   *nats.Conn
	wake chan struct{}

	// Only the loop's goroutine uses these; lanes it changes under the lock.
	lanes  [][]*lane // by priority, then queue, then limited types
	known  uint64    // the version of the limited types
	turn   int       // which queue is first
	credit int       // tasks taken since the lowest lane had its share
	lowAt  time.Time // when the lowest lane is worth a look again

	mu       sync.Mutex
	inbox    *inbox // of pulls that do not wait
	standing *inbox // of standing pulls; nil: none
	draining []*inbox
	stopped  bool
}

// lane is a queue's lane and its standing pull.
type lane struct {
	wire.Lane
	name, subject string
	// armed is the standing pull; expired: the last one ended with nothing, so that the lane
	// was empty until then. Both are guarded by the loop's lock.
	armed   *pull
	expired bool
	// tasks is how many lie in a message of this lane, as far as the last ones tell; 0 before
	// any came. A parcel brings more than its taker has slots for, so of many only few are asked for.
	tasks atomic.Int32
}

// messages is how many of them to ask for, to get so many tasks.
func (ln *lane) messages(tasks int) int {
	each := int(ln.tasks.Load())
	if each == 0 {
		return 1 // to learn it
	}
	return (tasks + each - 1) / each
}

// brought notes how many tasks lay in a message. It is called by one goroutine at a time, or
// what gets lost is learned from the next message.
func (ln *lane) brought(tasks int) {
	if tasks > 0 {
		before := ln.tasks.Load()
		ln.tasks.Store(max(int32(min(tasks, wire.MaxParcel)), before-(before+7)/8))
	}
}

const (
	// lowShare is after how many tasks one is taken from the lowest lane that holds any.
	lowShare = 19
	// lowPause is how long lower lanes that were found empty are left alone.
	lowPause = 5 * time.Millisecond
	// answerTimeout is how long a pull that does not wait may take: its answer, or the
	// whole request, is lost then.
	answerTimeout = time.Second
	repairPause   = 250 * time.Millisecond
)

// New prepares a loop.
func New(cfg Config) (*Loop, error) {
	l := &Loop{cfg: cfg, nc: cfg.JS.Conn(), wake: make(chan struct{}, 1), lanes: make([][]*lane, len(wire.Priorities))}
	for _, q := range cfg.Queues {
		l.addLanes(q, "")
	}
	var err error
	l.inbox, err = l.newInbox()
	return l, err
}

func (l *Loop) addLanes(queue, taskType string) {
	for i, ln := range wire.Lanes(queue, taskType) {
		name := ln.Consumer()
		l.lanes[i] = append(l.lanes[i], &lane{
			Lane: ln, name: name, subject: natsx.APISubject(l.cfg.JS, "CONSUMER.MSG.NEXT."+wire.StreamReady+"."+name),
		})
	}
}

// followLimits adds the lanes of types that have become limited, and drops those that are
// gone.
func (l *Loop) followLimits() {
	if l.cfg.Gate.Version() == l.known {
		return
	}
	limited, version := l.cfg.Gate.Limited()
	l.known = version
	l.mu.Lock()
	defer l.mu.Unlock()
	have := map[[2]string]bool{}
	for i, row := range l.lanes {
		l.lanes[i] = slices.DeleteFunc(slices.Clone(row), func(ln *lane) bool {
			key := [2]string{ln.Queue, ln.Type}
			have[key] = true
			return ln.Type != "" && !slices.Contains(limited, key)
		})
	}
	for _, one := range limited {
		if !have[one] {
			l.addLanes(one[0], one[1])
		}
	}
}

// Wake says that slots may be free, or that claiming may go on.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Reset forgets the standing pulls: after a reconnection the server does not know them.
func (l *Loop) Reset() {
	l.disarm()
	l.Wake()
}

// Run pulls until ctx ends. What arrives later still goes to the taker, until Close.
func (l *Loop) Run(ctx context.Context) {
	defer l.disarm()
	renew := time.NewTicker(max(l.cfg.Lease/16, 10*time.Millisecond))
	defer renew.Stop()
	for ctx.Err() == nil {
		more, broken := l.round(ctx)
		if more {
			continue
		}
		if broken {
			l.repair(ctx)
			continue
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-renew.C:
			l.expire()
		}
	}
}

// round asks the lanes once; more says that it is worth to go on at once.
func (l *Loop) round(ctx context.Context) (more, broken bool) {
	l.followLimits()
	l.cfg.Gate.Begin()
	free := l.cfg.Taker.Free()
	if free <= 0 {
		l.disarm()
		l.cfg.Gate.Settle()
		return false, false
	}
	if l.credit >= lowShare && time.Now().After(l.lowAt) {
		tasks, top := l.takeLow(ctx)
		if tasks > 0 && !top {
			l.credit = min(l.credit, lowShare) - lowShare*tasks // what was not used is not saved: shares come one by one
			return true, false
		}
		l.credit = 0
		if tasks > 0 {
			l.lowAt = time.Now().Add(lowPause)
			return true, false
		}
	}
	l.turn++
	for _, row := range l.lanes {
		for i := range row {
			ln := row[(i+l.turn)%len(row)]
			if l.isArmed(ln) || l.rearm(ln) {
				continue // empty, or its message is on the way
			}
			room := l.cfg.Gate.Room(ln.Queue, ln.Type, free)
			if room <= 0 {
				continue
			}
			got, bad := l.pull(ctx, ln, ln.messages(room))
			l.credit += got
			if bad {
				return false, true
			}
			if got > 0 {
				return true, false
			}
		}
	}
	l.arm()
	l.cfg.Gate.Settle()
	return false, false
}

// takeLow takes one message from the lowest lane that holds any: how many tasks are in it; top
// says that this is the highest of all, so that nobody was overtaken.
func (l *Loop) takeLow(ctx context.Context) (tasks int, top bool) {
	for p, row := range slices.Backward(l.lanes) {
		for i := range row {
			ln := row[(i+l.turn)%len(row)]
			if l.isArmed(ln) || l.cfg.Gate.Room(ln.Queue, ln.Type, 1) <= 0 {
				continue
			}
			if n, _ := l.pull(ctx, ln, 1); n > 0 {
				return n, p == 0
			}
		}
	}
	return 0, false
}

func (l *Loop) repair(ctx context.Context) {
	l.disarm()
	if err := l.cfg.Repair(ctx); err != nil && ctx.Err() == nil {
		l.cfg.Log.Debug("the lanes are not ready", obs.Err(err))
	}
	t := time.NewTimer(repairPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Close takes nothing more from the server, after what is on the way has been taken.
func (l *Loop) Close(ctx context.Context) {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.disarm()
	l.inbox.drain()
	l.mu.Lock()
	open := append(l.draining, l.inbox)
	l.mu.Unlock()
	for _, b := range open {
		select {
		case <-b.closed:
		case <-ctx.Done():
		}
	}
}
