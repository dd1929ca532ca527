// Package pull takes messages from a durable consumer that several processes share.
//
// The library's own loops are not used: a cancelled fetch leaves messages stuck until the
// ack wait, a consume loop goes on pulling while nothing can be done with what it brings,
// and neither tells since when a message may count as delivered.
package pull

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config of a Puller.
type Config struct {
	JS               jetstream.JetStream
	Stream, Consumer string
	// Batch is the most messages asked for at once.
	Batch int
	// MaxHeld is how many may be held before no more are asked for.
	MaxHeld int
	// AckWait is the consumer's; what is held is extended in time.
	AckWait time.Duration
	// Blocked tells that nothing should be taken at present; may be nil.
	Blocked func() bool
	// Missing is called when the server knows no such consumer; may be nil.
	Missing func()
	Log     *slog.Logger
}

// Puller holds messages of one consumer.
type Puller struct {
	cfg Config

	mu    sync.Mutex
	queue []*Msg
	held  map[*Msg]struct{}
	// asked, left and reply are of the pull that is under way; left is 0 where none is.
	asked time.Time
	left  int
	reply string
	count uint64

	arrived chan struct{}
	freed   chan struct{}
	ended   chan string
	kicked  chan struct{}
}

// blockedPoll is how often a blocked puller looks whether it may go on.
const blockedPoll = 20 * time.Millisecond

// New makes a puller; Run makes it work.
func New(cfg Config) *Puller {
	return &Puller{
		cfg: cfg, held: map[*Msg]struct{}{},
		arrived: make(chan struct{}, 1), freed: make(chan struct{}, 1), ended: make(chan string, 1), kicked: make(chan struct{}, 1),
	}
}

// Run pulls and extends until ctx ends, and returns when nothing more will arrive.
func (p *Puller) Run(ctx context.Context) {
	inbox := p.cfg.JS.Conn().NewInbox()
	closed := make(chan struct{})
	sub, err := p.cfg.JS.Conn().Subscribe(inbox+".*", p.receive)
	if err != nil {
		return // the connection is closed for good
	}
	sub.SetClosedHandler(func(string) { close(closed) })
	_ = sub.SetPendingLimits(-1, -1)
	for ctx.Err() == nil {
		if p.mayAsk() {
			p.ask(inbox)
			p.await(ctx)
		} else {
			wait(ctx, p.freed, blockedPoll)
		}
	}
	// Draining, where unsubscribing would strand what is on its way until the ack wait.
	if sub.Drain() == nil {
		select {
		case <-closed:
		case <-time.After(2 * time.Second):
		}
	}
}

// Extend keeps what is held until ctx ends; it outlives Run, since held messages do.
func (p *Puller) Extend(ctx context.Context) {
	t := time.NewTicker(p.cfg.AckWait / 6)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.extend()
		}
	}
}

// Next waits for messages and returns up to most of those that have arrived; an error only
// when ctx ends.
func (p *Puller) Next(ctx context.Context, most int) ([]*Msg, error) {
	for {
		if msgs := p.take(most); len(msgs) > 0 {
			return msgs, nil
		}
		select {
		case <-p.arrived:
		case <-ctx.Done():
			return p.take(most), context.Cause(ctx)
		}
	}
}

// Kick asks anew at once: after a reconnect the server knows nothing of the old pull.
func (p *Puller) Kick() { signal(p.kicked) }

// Held is how many messages are neither acknowledged nor handed back.
func (p *Puller) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// HandBack gives back all that is still held, at once.
func (p *Puller) HandBack() {
	p.mu.Lock()
	all := make([]*Msg, 0, len(p.held))
	for m := range p.held {
		all = append(all, m)
	}
	p.mu.Unlock()
	for _, m := range all {
		m.Nak(0)
	}
}

func (p *Puller) take(most int) []*Msg {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(most, len(p.queue))
	msgs := p.queue[:n:n]
	if p.queue = p.queue[n:]; len(p.queue) > 0 {
		signal(p.arrived)
	} else {
		p.queue = nil
	}
	return msgs
}

func (p *Puller) mayAsk() bool {
	return p.Held() < p.cfg.MaxHeld && (p.cfg.Blocked == nil || !p.cfg.Blocked())
}

func (p *Puller) expiry() time.Duration { return max(p.cfg.AckWait/4, 100*time.Millisecond) }

func (p *Puller) ask(inbox string) {
	p.mu.Lock()
	p.count++
	p.asked, p.left, p.reply = time.Now(), p.cfg.Batch, inbox+"."+strconv.FormatUint(p.count, 10)
	reply := p.reply
	p.mu.Unlock()
	select {
	case <-p.ended: // of an earlier pull
	default:
	}
	req, _ := json.Marshal(map[string]any{"batch": p.cfg.Batch, "expires": p.expiry().Nanoseconds()})
	subject := natsx.APISubject(p.cfg.JS, "CONSUMER.MSG.NEXT."+p.cfg.Stream+"."+p.cfg.Consumer)
	if err := p.cfg.JS.Conn().PublishRequest(subject, reply, req); err != nil {
		p.end(reply, "disconnected")
	}
}

// await the end of the pull that is under way.
func (p *Puller) await(ctx context.Context) {
	t := time.NewTimer(p.expiry() + time.Second)
	defer t.Stop()
	select {
	case status := <-p.ended:
		p.judge(ctx, status)
	case <-p.kicked:
	case <-t.C:
	case <-ctx.Done():
	}
}

// judge waits a little after a pull that the server did not take.
func (p *Puller) judge(ctx context.Context, status string) {
	switch {
	case status == "" || strings.HasPrefix(status, "408"):
		return
	case strings.Contains(status, "Deleted"), strings.HasPrefix(status, "503"), strings.HasPrefix(status, "404"):
		if p.cfg.Missing != nil {
			p.cfg.Missing()
		}
	}
	p.cfg.Log.Debug("a pull was refused", "consumer", p.cfg.Stream+"/"+p.cfg.Consumer, "status", status)
	wait(ctx, p.kicked, 100*time.Millisecond)
}

func (p *Puller) receive(raw *nats.Msg) {
	if raw.Reply == "" {
		p.end(raw.Subject, strings.TrimSpace(raw.Header.Get("Status")+" "+raw.Header.Get("Description")))
		return
	}
	meta, err := raw.Metadata()
	if err != nil {
		return
	}
	p.mu.Lock()
	m := &Msg{
		raw: raw, p: p, Seq: meta.Sequence.Stream, Deliveries: meta.NumDelivered, Stored: meta.Timestamp,
		asked: p.asked, extended: p.asked,
	}
	p.queue = append(p.queue, m)
	p.held[m] = struct{}{}
	p.left--
	done := p.left == 0
	reply := p.reply
	p.mu.Unlock()
	signal(p.arrived)
	if done {
		p.end(reply, "")
	}
}

// end notes that the pull with this reply subject is over.
func (p *Puller) end(reply, status string) {
	p.mu.Lock()
	current := reply == p.reply
	if current {
		p.left, p.reply = 0, ""
	}
	p.mu.Unlock()
	if !current {
		return
	}
	select {
	case p.ended <- status:
	default:
	}
}

func (p *Puller) release(m *Msg) bool {
	p.mu.Lock()
	_, held := p.held[m]
	delete(p.held, m)
	p.mu.Unlock()
	signal(p.freed)
	return held
}

func (p *Puller) extend() {
	now := time.Now()
	var late []*Msg
	p.mu.Lock()
	for m := range p.held {
		if now.Sub(m.extended) >= p.cfg.AckWait/3 {
			m.extended = now
			late = append(late, m)
		}
	}
	p.mu.Unlock()
	for _, m := range late {
		_ = m.raw.InProgress()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func wait(ctx context.Context, c <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-ctx.Done():
	}
}
