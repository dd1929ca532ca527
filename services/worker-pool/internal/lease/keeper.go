// Package lease keeps the leases of lane messages, and acknowledges them.
//
// A pool that lost its lease is not told: the server answers extensions and
// acknowledgements of an ex-holder positively. So a lease counts from the *sending* of the
// last extension that was answered, and whoever is past it must stop.
package lease

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/shared/obs"
)

// Keeper holds the leases of one pool process.
type Keeper struct {
	nc    *nats.Conn
	lease time.Duration
	log   *slog.Logger
	inbox string
	sub   *nats.Subscription

	mu    sync.Mutex
	next  uint64
	asks  map[uint64]ask
	holds map[*Hold]struct{}
}

// Hold is the lease of one lane message.
type Hold struct {
	k    *Keeper
	lost func()

	reply string
	from  time.Time // the lease counts from here
	asked time.Time // when an extension or acknowledgement was sent last
	// version grows when answers to earlier questions do not count any more.
	version int
	// ended: somebody was told that the lease is over. From does not change any more then.
	ended bool
	// acking is set once the message is to be acknowledged: it is not extended any more.
	acking bool
	done   func()
}

// ask is a question to the server that has no answer yet. There may be several about one
// hold: a slow answer counts as well.
type ask struct {
	hold    *Hold
	version int
	sent    time.Time
}

var (
	bodyAck      = []byte("+ACK")
	bodyProgress = []byte("+WPI")
	bodyTerm     = []byte("+TERM")
)

// New makes a keeper; lease is the lanes' ack wait.
func New(nc *nats.Conn, lease time.Duration, log *slog.Logger) (*Keeper, error) {
	k := &Keeper{nc: nc, lease: lease, log: log, inbox: nc.NewInbox() + ".", asks: map[uint64]ask{}, holds: map[*Hold]struct{}{}}
	var err error
	k.sub, err = nc.Subscribe(k.inbox+"*", k.answered)
	if err != nil {
		return nil, err
	}
	return k, k.sub.SetPendingLimits(-1, -1)
}

// Lease is how long one lasts.
func (k *Keeper) Lease() time.Duration { return k.lease }

// Hold begins to keep a lease that counts from the given time. Lost is called once, without
// a lock held, when it could not be kept; not after Ack, Nak or Drop.
func (k *Keeper) Hold(reply string, from time.Time, lost func()) *Hold {
	h := &Hold{k: k, lost: lost, reply: reply, from: from}
	k.mu.Lock()
	k.holds[h] = struct{}{}
	k.mu.Unlock()
	return h
}

// Valid tells whether the lease still holds. Once it does not it never does again: who was told
// so relies on being told of the loss, which a late answer or delivery must not call off.
func (h *Hold) Valid() bool {
	h.k.mu.Lock()
	defer h.k.mu.Unlock()
	_, held := h.k.holds[h]
	if time.Since(h.from) >= h.k.lease {
		h.ended = true
	}
	return held && !h.ended
}

// Renew puts a later delivery of the same message in the place of the earlier one; false
// where the lease had ended.
func (h *Hold) Renew(reply string, from time.Time) bool {
	k := h.k
	k.mu.Lock()
	if _, held := k.holds[h]; !held || h.ended {
		k.mu.Unlock()
		return false
	}
	h.reply, h.from = reply, from
	h.version++
	acking := h.acking
	k.mu.Unlock()
	if acking {
		k.send(h, bodyAck)
	}
	return true
}

// Ack acknowledges the message, again and again until the server has answered or the lease
// is gone; then done is called, where it is not nil.
func (h *Hold) Ack(done func()) {
	k := h.k
	k.mu.Lock()
	_, held := k.holds[h]
	if !held || h.acking || time.Since(h.from) >= k.lease {
		delete(k.holds, h)
		k.mu.Unlock()
		if done != nil {
			done()
		}
		return
	}
	h.acking, h.done = true, done
	h.version++
	k.mu.Unlock()
	k.send(h, bodyAck)
}

// Nak hands the message back, to be delivered again after the delay. It is sent once: a
// second would deliver the message twice, and so would one without a lease. Where it is lost,
// the lease runs out.
func (h *Hold) Nak(delay time.Duration) {
	valid := h.Valid()
	if h.Drop() && valid {
		h.k.NakMessage(h.reply, delay)
	}
}

// NakMessage hands back a message whose lease was never kept.
func (k *Keeper) NakMessage(reply string, delay time.Duration) {
	body := "-NAK"
	if delay > 0 {
		body += ` {"delay": ` + strconv.FormatInt(int64(delay), 10) + "}"
	}
	if err := k.nc.Publish(reply, []byte(body)); err != nil {
		k.log.Debug("a message could not be handed back", obs.Err(err))
	}
}

// Term removes a message that nobody can ever run.
func (k *Keeper) Term(reply string) {
	if err := k.nc.Publish(reply, bodyTerm); err != nil {
		k.log.Debug("a message could not be removed", obs.Err(err))
	}
}

// Drop ends the keeping without a word to the server; false where it had ended before.
func (h *Hold) Drop() bool {
	k := h.k
	k.mu.Lock()
	defer k.mu.Unlock()
	_, held := k.holds[h]
	delete(k.holds, h)
	return held
}

// send asks the server and remembers when.
func (k *Keeper) send(h *Hold, body []byte) {
	now := time.Now()
	k.mu.Lock()
	if _, held := k.holds[h]; !held {
		k.mu.Unlock()
		return
	}
	k.next++
	h.asked = now
	k.asks[k.next] = ask{h, h.version, now}
	reply, answer := h.reply, k.inbox+strconv.FormatUint(k.next, 10)
	k.mu.Unlock()
	if err := k.nc.PublishRequest(reply, answer, body); err != nil {
		k.log.Debug("a lease could not be extended yet", obs.Err(err)) // the next round tries again
	}
}

func (k *Keeper) answered(m *nats.Msg) {
	if m.Header.Get("Status") == "503" {
		return // nobody is there to answer; the next round tries again
	}
	token, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, k.inbox), 10, 64)
	if err != nil {
		return
	}
	k.mu.Lock()
	a, asked := k.asks[token]
	delete(k.asks, token)
	if !asked {
		k.mu.Unlock()
		return
	}
	_, held := k.holds[a.hold]
	if !held || a.version != a.hold.version {
		k.mu.Unlock()
		return
	}
	var done func()
	if a.hold.acking {
		delete(k.holds, a.hold)
		done = a.hold.done
	} else if !a.hold.ended && a.sent.After(a.hold.from) {
		a.hold.from = a.sent
	}
	k.mu.Unlock()
	if done != nil {
		done()
	}
}

// Run extends what is held for more than half a lease, repeats acknowledgements, and tells
// of leases that are lost, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	t := time.NewTicker(min(max(k.lease/16, 10*time.Millisecond), 250*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			k.sweep(false)
		}
	}
}

// ExtendAll extends everything held: the first thing to do after a reconnection.
func (k *Keeper) ExtendAll() { k.sweep(true) }

func (k *Keeper) sweep(all bool) {
	now := time.Now()
	var extend, ack, lost []*Hold
	k.mu.Lock()
	for token, a := range k.asks {
		if now.Sub(a.sent) >= k.lease {
			delete(k.asks, token)
		}
	}
	for h := range k.holds {
		age := now.Sub(h.from)
		waited := now.Sub(h.asked) >= k.lease/8
		switch {
		case age >= k.lease:
			delete(k.holds, h)
			lost = append(lost, h)
		case h.acking && (waited || all):
			ack = append(ack, h)
		case !h.acking && (all || waited && age >= k.lease/2):
			extend = append(extend, h)
		}
	}
	k.mu.Unlock()
	for _, h := range extend {
		k.send(h, bodyProgress)
	}
	for _, h := range ack {
		k.send(h, bodyAck)
	}
	for _, h := range lost {
		if !h.acking {
			h.lost()
		} else if h.done != nil {
			h.done()
		}
	}
}

// Acking counts acknowledgements without an answer.
func (k *Keeper) Acking() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for h := range k.holds {
		if h.acking {
			n++
		}
	}
	return n
}

// Close takes no more answers.
func (k *Keeper) Close() { _ = k.sub.Unsubscribe() }
