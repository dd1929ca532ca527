package claim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// pull is one request for messages of a lane.
type pull struct {
	lane     *lane
	sent     time.Time
	want     int
	standing bool

	// Guarded by the inbox's lock: messages that have come, and the tasks in them.
	got, tasks int
	// bad: the lane is not there, or did not answer.
	bad  bool
	done chan struct{} // closed when over
}

// inbox is a subscription on which pulls are answered, at most one of each lane at a time:
// messages come with their own subject, and tell their lane only. It is drained, never
// cut: what the server has sent would else lie there until the lease is over.
type inbox struct {
	l      *Loop
	prefix string
	sub    *nats.Subscription
	closed chan struct{}

	mu    sync.Mutex
	pulls map[string]*pull // by lane
}

func (l *Loop) newInbox() (*inbox, error) {
	b := &inbox{l: l, prefix: l.nc.NewInbox() + ".", pulls: map[string]*pull{}, closed: make(chan struct{})}
	sub, err := l.nc.Subscribe(b.prefix+"*", b.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribe to pulled messages: %w", err)
	}
	b.sub = sub
	sub.SetClosedHandler(func(string) { close(b.closed) })
	return b, sub.SetPendingLimits(-1, -1)
}

func (b *inbox) drain() {
	if err := b.sub.Drain(); err != nil {
		b.l.cfg.Log.Debug("pulled messages are not drained", obs.Err(err))
	}
}

// ask sends a pull.
func (b *inbox) ask(ln *lane, want int, expires time.Duration) (*pull, error) {
	p := &pull{lane: ln, sent: time.Now(), want: want, standing: expires > 0, done: make(chan struct{})}
	b.mu.Lock()
	b.pulls[ln.name] = p
	b.mu.Unlock()
	body := `{"batch":` + strconv.Itoa(want) + `,"no_wait":true}`
	if p.standing {
		body = `{"batch":` + strconv.Itoa(want) + `,"expires":` + strconv.FormatInt(int64(expires), 10) + `}`
	}
	if err := b.l.nc.PublishRequest(ln.subject, b.prefix+ln.name, []byte(body)); err != nil {
		b.mu.Lock()
		delete(b.pulls, ln.name)
		b.mu.Unlock()
		return nil, fmt.Errorf("pull from lane %s: %w", ln.name, err)
	}
	return p, nil
}

func (b *inbox) receive(m *nats.Msg) {
	if status := m.Header.Get("Status"); status != "" && m.Reply == "" {
		b.status(strings.TrimPrefix(m.Subject, b.prefix), status)
		return
	}
	meta, err := m.Metadata()
	if err != nil {
		b.l.cfg.Log.Error("a message without a place in its lane", "reply", m.Reply, obs.Err(err))
		return
	}
	d := Delivery{
		Reply: m.Reply, Seq: meta.Sequence.Stream, Deliveries: meta.NumDelivered, Stored: meta.Timestamp, Header: m.Header, Data: m.Data,
		Limited: wire.IsLimitedLane(meta.Consumer),
	}
	b.mu.Lock()
	p := b.pulls[meta.Consumer]
	full := false
	if p != nil { // else it was given up, and its lease may be over
		d.Since = p.sent
		p.got++
		if full = p.got == p.want; full {
			delete(b.pulls, meta.Consumer)
		}
	}
	b.mu.Unlock()
	tasks := b.l.cfg.Taker.Take(d)
	if p != nil {
		p.lane.brought(tasks)
		b.mu.Lock()
		p.tasks += max(tasks, 1)
		b.mu.Unlock()
	}
	if full {
		b.over(p, false)
	}
}

// over says that nothing more comes by a pull; expired: since it has lasted long enough.
func (b *inbox) over(p *pull, expired bool) {
	if p.standing {
		b.l.spent(p, expired)
		return
	}
	close(p.done)
}

func (b *inbox) status(name, status string) {
	if status == "100" {
		return
	}
	b.mu.Lock()
	p := b.pulls[name]
	if p != nil {
		delete(b.pulls, name)
		p.bad = status != "404" && status != "408"
	}
	b.mu.Unlock()
	if p != nil {
		b.over(p, status == "408")
	}
}

// pull asks a lane for what it has now, up to n messages, and waits until that has been taken:
// how many tasks were in them.
func (l *Loop) pull(ctx context.Context, ln *lane, n int) (got int, bad bool) {
	b := l.inbox
	p, err := b.ask(ln, n, 0)
	if err != nil {
		return 0, true
	}
	t := time.NewTimer(answerTimeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		bad = true
		l.replaceInbox() // what comes late must not be taken for an answer to the next pull
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.tasks, bad || p.bad
}

func (l *Loop) replaceInbox() {
	b, err := l.newInbox()
	if err != nil {
		l.cfg.Log.Debug("no new inbox", obs.Err(err))
		return
	}
	l.mu.Lock()
	old := l.inbox
	l.inbox = b
	l.retire(old)
	l.mu.Unlock()
	old.drain()
}

// retire remembers an inbox that is about to be drained. It needs the lock.
func (l *Loop) retire(b *inbox) {
	l.draining = append(slices.DeleteFunc(l.draining, (*inbox).ended), b)
}

// arm gives each lane without one a standing pull.
func (l *Loop) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	if l.standing == nil {
		b, err := l.newInbox()
		if err != nil {
			l.cfg.Log.Debug("no standing pulls", obs.Err(err))
			return
		}
		l.standing = b
	}
	for _, row := range l.lanes {
		for _, ln := range row {
			if ln.armed != nil || !l.cfg.Gate.Open(ln.Queue, ln.Type) {
				continue
			}
			if p, err := l.standing.ask(ln, 1, l.cfg.Lease/2); err == nil {
				ln.armed = p
			}
		}
	}
}

func (l *Loop) isArmed(ln *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ln.armed != nil
}

// rearm renews a standing pull that has expired with nothing, without asking the lane for what
// it has: an idle pool costs one request a lane and half a lease.
func (l *Loop) rearm(ln *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ln.expired {
		return false
	}
	ln.expired = false
	if l.standing == nil || l.stopped || !l.cfg.Gate.Open(ln.Queue, ln.Type) {
		return false
	}
	p, err := l.standing.ask(ln, 1, l.cfg.Lease/2)
	if err != nil {
		return false
	}
	ln.armed = p
	return true
}

// spent says that a standing pull is over: its lane has to be asked again.
func (l *Loop) spent(p *pull, expired bool) {
	l.mu.Lock()
	if p.lane.armed == p {
		p.lane.armed, p.lane.expired = nil, expired
	}
	l.mu.Unlock()
	l.Wake()
}

// expire gives up standing pulls that the server should have ended: it has forgotten them.
func (l *Loop) expire() {
	now := time.Now()
	l.mu.Lock()
	stale := false
	for _, row := range l.lanes {
		for _, ln := range row {
			stale = stale || ln.armed != nil && now.Sub(ln.armed.sent) > l.cfg.Lease*5/8
		}
	}
	l.mu.Unlock()
	if stale {
		l.disarm()
	}
}

// disarm ends all standing pulls. What they bring meanwhile still goes to the taker.
func (l *Loop) disarm() {
	l.mu.Lock()
	b := l.standing
	l.standing = nil
	for _, row := range l.lanes {
		for _, ln := range row {
			ln.armed, ln.expired = nil, false
		}
	}
	if b != nil {
		l.retire(b)
	}
	l.mu.Unlock()
	if b != nil {
		b.drain()
	}
}

// ended tells whether the inbox brings nothing more.
func (b *inbox) ended() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}
