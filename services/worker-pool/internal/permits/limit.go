package permits

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Limit is one limit as this process knows it. Its fields are guarded by the book's lock.
type Limit struct {
	name
	book *Book

	doc     *wire.Permits // nil: there is none
	seq     uint64
	inForce bool
	// used permits, of those that the ledger says are ours; out are those of them that are
	// being given back, tokens the starts that were taken from the ledger and not made yet.
	used, out, tokens, outTokens int
	// asked is how many permits the queued requests want.
	asked int
	queue []*request
	// busy: a goroutine changes the ledger. settle: what is not used is to be given back.
	busy, settle bool
	// contended: a permit must be had before a lane is asked. blocked: somebody wants to know
	// when there is room. reserving: a reservation is under way.
	contended, blocked, reserving bool
	// keep is the round of the claim loop in which something became spare: the next one may use it.
	keep  uint64
	timer *time.Timer
}

// Covers tells whether a task is under the limit.
func (l *Limit) Covers(queue, taskType string) bool {
	return l.name.queue == queue && (l.taskType == "" || l.taskType == taskType)
}

// Typed tells whether the limit is of a type, and not of a whole queue.
func (l *Limit) Typed() bool { return l.taskType != "" }

// granted is how many permits the ledger says are ours.
func (l *Limit) granted() int {
	if l.doc == nil {
		return 0
	}
	return l.doc.Held[l.book.lease.holder]
}

// spare permits can be given to a task without a word to the ledger: none, where the limit
// was lowered below what is held.
func (l *Limit) spare() int {
	if l.doc == nil || l.doc.Over() || l.doc.Settling || !l.book.lease.valid(time.Now()) {
		return 0
	}
	n := max(l.granted()-l.used-l.out, 0)
	if l.doc.RatePerSecond != nil {
		n = min(n, max(l.tokens-l.outTokens, 0))
	}
	return n
}

// more is how many permits the ledger would give beside those granted.
func (l *Limit) more(now wire.Time) int {
	if l.doc == nil {
		return 0
	}
	return min(l.doc.Free(), wholeTokens(l.doc.TokensAt(now)))
}

// room is for how many tasks there may be permits, less what is asked for already.
func (l *Limit) room(now wire.Time) int {
	more, spare := l.more(now), l.spare()
	if more == math.MaxInt {
		return more
	}
	// A permit of ours whose token is used up needs a token only.
	if l.doc != nil && l.doc.RatePerSecond != nil && !l.doc.Settling && !l.doc.Over() {
		idle := max(l.granted()-l.used-l.out, 0) - spare
		more = min(addUp(l.doc.Free(), idle), wholeTokens(l.doc.TokensAt(now)))
		if more == math.MaxInt {
			return more
		}
	}
	return max(more+spare-l.asked, 0)
}

func addUp(a, b int) int {
	if a == math.MaxInt {
		return a
	}
	return a + b
}

func wholeTokens(t float64) int {
	if t >= math.MaxInt32 {
		return math.MaxInt
	}
	return int(t)
}

// await wakes the claim loop when the rate allows a start again. It needs the lock.
func (l *Limit) await(now wire.Time) {
	l.blocked = true
	if l.doc == nil || l.doc.RatePerSecond == nil || l.timer != nil {
		return
	}
	wait := l.doc.NextToken(now)
	if wait <= 0 {
		return // not the rate is what holds it up
	}
	l.timer = time.AfterFunc(wait, func() {
		l.book.mu.Lock()
		l.timer, l.blocked = nil, false
		l.book.unlock()
		l.book.cfg.Wake()
	})
}

func decode(body []byte) (*wire.Permits, error) {
	if len(body) == 0 {
		return nil, nil // removed
	}
	var p wire.Permits
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

func parseSeq(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }
