// Package pull takes messages from a durable consumer that several processes share.
//
// The library's own loops are not used: a cancelled fetch leaves messages stuck until the
// ack wait, a consume loop goes on pulling while nothing can be done with what it brings,
// and neither tells since when a message may count as delivered.
package pull

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
)

// Config of a Puller.
type Config struct {
	JS               jetstream.JetStream
	Stream, Consumer string
	// Batch is the most messages asked for at once.
	Batch int
	// MaxHeld is how many may be held before no more are asked for.
	MaxHeld int
	// MaxBytes is the same in bytes; 0 is 8 MiB. It bounds single pulls too, by the mean size.
	MaxBytes int
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
	// bytes of what is held, and the mean size of a message.
	bytes int
	mean  float64
	// pledges are extensions that have no answer yet, by their reply subject.
	pledges map[string]pledge
	inbox   string
	// asked, left and reply are of the pull that is under way; left is 0 where none is.
	asked time.Time
	left  int
	reply string
	count uint64

	arrived  chan struct{}
	freed    chan struct{}
	ended    chan string
	kicked   chan struct{}
	finished chan struct{}
}

// pledge is an extension under way.
type pledge struct {
	m    *Msg
	sent time.Time
}

const bytesDefault = 8 << 20

// blockedPoll is how often a blocked puller looks whether it may go on.
const blockedPoll = 20 * time.Millisecond

// New makes a puller; Run makes it work.
func New(cfg Config) *Puller {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = bytesDefault
	}
	return &Puller{
		cfg: cfg, held: map[*Msg]struct{}{}, pledges: map[string]pledge{}, inbox: cfg.JS.Conn().NewInbox(),
		arrived: make(chan struct{}, 1), freed: make(chan struct{}, 1), ended: make(chan string, 1), kicked: make(chan struct{}, 1),
		finished: make(chan struct{}),
	}
}

// Run pulls until ctx ends, and returns when nothing more will arrive. It may run once.
func (p *Puller) Run(ctx context.Context) {
	defer close(p.finished)
	closed := make(chan struct{})
	sub, err := p.cfg.JS.Conn().Subscribe(p.inbox+".*", p.receive)
	if err != nil {
		return // the connection is closed for good
	}
	sub.SetClosedHandler(func(string) { close(closed) })
	_ = sub.SetPendingLimits(-1, -1)
	for ctx.Err() == nil {
		if p.mayAsk() {
			p.ask()
			p.await(ctx)
		} else {
			wait(ctx, p.freed, blockedPoll)
		}
	}
	// No pull is under way: ending one would strand what the server has on its way to us
	// until the ack wait, also by draining.
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

// ErrEnded is returned by Next when Run has ended and everything it brought is taken.
var ErrEnded = errors.New("pulling has ended")

// Next waits for messages and returns up to most of those that have arrived, or an error:
// ErrEnded, or that ctx ended.
func (p *Puller) Next(ctx context.Context, most int) ([]*Msg, error) {
	for {
		if msgs := p.take(most); len(msgs) > 0 {
			return msgs, nil
		}
		select {
		case <-p.arrived:
		case <-p.finished:
			if msgs := p.take(most); len(msgs) > 0 {
				return msgs, nil
			}
			return nil, ErrEnded
		case <-ctx.Done():
			return nil, context.Cause(ctx)
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
	p.queue = nil
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
	p.mu.Lock()
	room := len(p.held) < p.cfg.MaxHeld && p.bytes < p.cfg.MaxBytes
	p.mu.Unlock()
	return room && (p.cfg.Blocked == nil || !p.cfg.Blocked())
}

// batch is how many messages to ask for: no more than fit the bytes by their mean size.
func (p *Puller) batch() int {
	if p.mean < 1 {
		return min(p.cfg.Batch, firstBatch)
	}
	return min(max(int(float64(p.cfg.MaxBytes)/2/p.mean), 1), p.cfg.Batch)
}

// firstBatch is asked for while nothing is known of the messages' size.
const firstBatch = 16

// expiry of one pull. It is short, since an end waits for it.
func (p *Puller) expiry() time.Duration {
	return min(max(p.cfg.AckWait/10, 100*time.Millisecond), 500*time.Millisecond)
}

func (p *Puller) ask() {
	p.mu.Lock()
	p.count++
	p.asked, p.left, p.reply = time.Now(), p.batch(), p.inbox+"."+strconv.FormatUint(p.count, 10)
	reply, batch := p.reply, p.left
	p.mu.Unlock()
	select {
	case <-p.ended: // of an earlier pull
	default:
	}
	req, _ := json.Marshal(map[string]any{"batch": batch, "expires": p.expiry().Nanoseconds()})
	subject := natsx.APISubject(p.cfg.JS, "CONSUMER.MSG.NEXT."+p.cfg.Stream+"."+p.cfg.Consumer)
	if err := p.cfg.JS.Conn().PublishRequest(subject, reply, req); err != nil {
		p.end(reply, "disconnected")
	}
}

// await the end of the pull that is under way, also where ctx has ended.
func (p *Puller) await(ctx context.Context) {
	t := time.NewTimer(p.expiry() + time.Second)
	defer t.Stop()
	select {
	case status := <-p.ended:
		p.judge(ctx, status)
	case <-p.kicked:
	case <-t.C:
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
		if p.pledged(raw.Subject) {
			return
		}
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
	p.bytes += len(raw.Data)
	p.mean += (float64(len(raw.Data)) + 1 - p.mean) / meanOver
	p.left--
	done := p.left == 0
	reply := p.reply
	p.mu.Unlock()
	signal(p.arrived)
	if done {
		p.end(reply, "")
	}
}

// meanOver is over how many messages the mean size is taken, roughly.
const meanOver = 32

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
	if held {
		delete(p.held, m)
		p.bytes -= len(m.raw.Data)
	}
	p.mu.Unlock()
	signal(p.freed)
	return held
}

// extend asks for more time for what is held for long. The hold counts anew from the
// sending, once that is answered: the answer to one who has lost a message looks the same.
func (p *Puller) extend() {
	now := time.Now()
	late := map[string]*Msg{}
	p.mu.Lock()
	for reply, pl := range p.pledges {
		if now.Sub(pl.sent) > p.cfg.AckWait {
			delete(p.pledges, reply)
		}
	}
	for m := range p.held {
		if now.Sub(m.extended) >= p.cfg.AckWait/3 {
			m.extended = now
			p.count++
			reply := p.inbox + ".x" + strconv.FormatUint(p.count, 10)
			p.pledges[reply] = pledge{m, now}
			late[reply] = m
		}
	}
	p.mu.Unlock()
	for reply, m := range late {
		_ = p.cfg.JS.Conn().PublishRequest(m.raw.Reply, reply, []byte("+WPI"))
	}
}

// pledged takes the answer to an extension.
func (p *Puller) pledged(reply string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl, ok := p.pledges[reply]
	if !ok {
		return strings.HasPrefix(reply, p.inbox+".x")
	}
	delete(p.pledges, reply)
	if time.Since(pl.m.asked) < p.cfg.AckWait {
		pl.m.asked = pl.sent // the hold was never broken
	}
	return true
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
