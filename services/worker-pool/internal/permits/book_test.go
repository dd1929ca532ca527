package permits_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/permits"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is what nothing takes that works.
const patience = time.Minute

// bench is a server with the buckets, and ledgers that a test sets.
type bench struct {
	t      *testing.T
	server *natstest.Server
	js     jetstream.JetStream
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, server: natstest.Start(t)}
	b.js = b.server.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), b.js, topology.Options{Budget: 1 << 30}))
	return b
}

// limit puts a ledger in force, with what is held of it already.
func (b *bench) limit(taskType string, most int, change ...func(*wire.Permits)) {
	b.t.Helper()
	p := wire.Permits{Limits: wire.Limits{MaxConcurrent: &most}}
	for _, f := range change {
		f(&p)
	}
	body, err := json.Marshal(p)
	require.NoError(b.t, err)
	_, err = b.js.Publish(b.t.Context(), wire.KVSubject(wire.BucketPermits, wire.PermitsKey("q", taskType)), body)
	require.NoError(b.t, err)
}

// ledger reads the queue's ledger and its revision.
func (b *bench) ledger() (p wire.Permits, revision uint64) {
	b.t.Helper()
	kv, err := b.js.KeyValue(b.t.Context(), wire.BucketPermits)
	require.NoError(b.t, err)
	e, err := kv.Get(b.t.Context(), wire.PermitsKey("q", ""))
	require.NoError(b.t, err)
	require.NoError(b.t, json.Unmarshal(e.Value(), &p))
	return p, e.Revision()
}

// awaitHeld waits until the queue's ledger says that so many permits are held.
func (b *bench) awaitHeld(n int) {
	b.t.Helper()
	natstest.Eventually(b.t, func() error {
		if p, _ := b.ledger(); p.Total() != n {
			return fmt.Errorf("%d permits are held, not %d: %v", p.Total(), n, p.Held)
		}
		return nil
	})
}

// holder is the book of one pool process.
type holder struct {
	*permits.Book
	lost chan any
	wake chan struct{}
}

func (b *bench) holder(lease time.Duration, js jetstream.JetStream) *holder {
	b.t.Helper()
	h := b.stalled(lease, js)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.Run(ctx) })
	b.t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

// stalled is a holder that does not look after its lease.
func (b *bench) stalled(lease time.Duration, js jetstream.JetStream) *holder {
	b.t.Helper()
	h := &holder{lost: make(chan any, 100), wake: make(chan struct{}, 1)}
	var err error
	h.Book, err = permits.New(b.t.Context(), permits.Config{
		JS: js, Queues: []string{"q"}, Lease: lease, Log: obs.NewTestLogger(b.t.Output()),
		Adopt: func(*permits.Limit) {},
		Lost:  func(owner any) { h.lost <- owner },
		Wake: func() {
			select {
			case h.wake <- struct{}{}:
			default:
			}
		},
	})
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		closing, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		h.Close(closing)
	})
	return h
}

// claims goes round and round, as a pool's claim loop does, and gives back what was not used.
func (h *holder) claims(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			h.Begin()
			h.Settle() //nolint:contextcheck // what it writes is bounded by the book's context
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// acquire asks once; nil where there is no permit.
func (h *holder) acquire(owner any, taskType string) *permits.Hold {
	got := make(chan *permits.Hold, 1)
	h.Acquire(owner, h.Of("q", taskType), func(hold *permits.Hold) { got <- hold })
	select {
	case hold := <-got:
		return hold
	case <-time.After(patience):
		panic("who asked for a permit was not answered")
	}
}

// releaseAll gives permits back, and says how often one of them could be had again at once.
func (h *holder) releaseAll(holds []*permits.Hold) (again int) {
	for _, hold := range holds {
		h.Release(hold)
		if _, ok := h.Take("again", h.Of("q", "a")); ok {
			again++
		}
	}
	return again
}

// await asks until there is one.
func (h *holder) await(owner any, taskType string) *permits.Hold {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if hold := h.acquire(owner, taskType); hold != nil {
			return hold
		}
		select {
		case <-h.wake:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func TestHoldersNeverHaveMorePermitsThanThereAre(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const most, holders, tasks, each = 3, 4, 3, 15
	b.limit("", most)
	var running, seen atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range holders {
		h := b.holder(10*time.Second, b.server.JS(t))
		h.claims(t)
		for range tasks {
			wg.Go(func() {
				for n := range each {
					hold := h.await(n, "a")
					if hold == nil {
						failed.Store(true)
						return
					}
					now := running.Add(1)
					for old := seen.Load(); now > old && !seen.CompareAndSwap(old, now); old = seen.Load() {
					}
					<-time.After(time.Millisecond) // so that others overlap
					running.Add(-1)
					h.Release(hold)
				}
			})
		}
	}
	wg.Wait()
	require.False(t, failed.Load(), "somebody got no permit for long")
	require.LessOrEqual(t, seen.Load(), int64(most))
	require.Greater(t, seen.Load(), int64(1), "nothing ran side by side: the test shows nothing")
}

func TestAPermitGivenBackServesTheNextTaskWithoutAWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 2)
	h := b.holder(10*time.Second, b.server.JS(t))
	h.Release(h.await(0, "a"))
	_, before := b.ledger()
	for n := range 100 {
		hold, ok := h.Take(n, h.Of("q", "a"))
		require.True(t, ok)
		h.Release(hold)
	}
	_, after := b.ledger()
	require.Equal(t, before, after)
	b.awaitHeld(1)
}

func TestWhatIsNotUsedIsGivenBackAfterARound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 1)
	one, two := b.holder(10*time.Second, b.server.JS(t)), b.holder(10*time.Second, b.server.JS(t))
	one.Release(one.await("first", "a"))
	require.Nil(t, two.acquire("second", "a"), "it is in the other's hand")
	one.Begin()
	one.Settle() // it may still be used in this round
	one.Begin()
	one.Settle()
	b.awaitHeld(0)
	require.NotNil(t, two.await("second", "a"))
}

func TestAQueuesPermitIsGivenBackWhereTheTypesIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 2)
	b.limit("rare", 1)
	h := b.holder(10*time.Second, b.server.JS(t))
	rare := h.await("first", "rare")
	require.NotNil(t, rare)
	require.Nil(t, h.acquire("second", "rare"))
	b.awaitHeld(1)
	require.NotNil(t, h.await("third", "common"), "the queue has a permit left")
	require.Nil(t, h.acquire("fourth", "common"))
}

func TestALimitThatIsNewGivesNothingOutUntilAllHaveTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 5, func(p *wire.Permits) { p.Settling = true })
	h := b.holder(10*time.Second, b.server.JS(t))
	require.Nil(t, h.acquire("new", "a"))
	runs := h.Adopt("runs already", h.Of("q", "a")[0])
	require.NotNil(t, runs)
	b.awaitHeld(1)
	b.limit("", 5, func(p *wire.Permits) { p.Held = map[string]int{"somebody": 4} })
	natstest.Eventually(t, func() error {
		p, _ := b.ledger()
		if p.Total() != 5 {
			return errors.New("what runs is not entered again")
		}
		return nil
	})
	require.Nil(t, h.acquire("new", "a"))
}

func TestALoweredLimitTakesPermitsAsTheyComeBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 2)
	h := b.holder(10*time.Second, b.server.JS(t))
	first, second := h.await("first", "a"), h.await("second", "a")
	require.NotNil(t, second)
	p, _ := b.ledger()
	b.limit("", 1, func(now *wire.Permits) { now.Held = p.Held })
	natstest.Eventually(t, func() error {
		if _, ok := h.Take("third", h.Of("q", "a")); ok {
			return errors.New("a permit above the limit was given out")
		}
		return nil
	})
	h.Release(first)
	b.awaitHeld(1)
	h.Release(second)
	require.NotNil(t, h.await("third", "a"))
	require.Nil(t, h.acquire("fourth", "a"))
}

// What comes back while more is held than there is serves nobody, from the first moment.
func TestWhatComesBackToALoweredLimitServesNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const most = 100
	b.limit("", most)
	h := b.holder(10*time.Second, b.server.JS(t))
	var holds []*permits.Hold
	for i := range most {
		holds = append(holds, h.await(i, "a"))
	}
	p, _ := b.ledger()
	require.Equal(t, most, p.Total())
	h.Release(holds[0])
	b.limit("", 1, func(now *wire.Permits) { now.Held = p.Held })
	b.awaitHeld(most - 1) // what lay in hand is given back: the lower limit is known
	require.Zero(t, h.releaseAll(holds[1:most-1]))
	b.awaitHeld(1)
	require.Nil(t, h.acquire("one more", "a"))
	h.Release(holds[most-1])
	require.NotNil(t, h.await("the next", "a"))
}

// While others have not told what they run, nothing is given out, also not what came back.
func TestWhatComesBackToALimitThatIsNewServesNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 50, func(p *wire.Permits) { p.Settling = true })
	h := b.holder(10*time.Second, b.server.JS(t))
	var adopted []*permits.Hold
	for i := range 20 {
		adopted = append(adopted, h.Adopt(i, h.Of("q", "a")[0]))
	}
	b.awaitHeld(20)
	require.Zero(t, h.releaseAll(adopted[:10]))
	require.Nil(t, h.acquire("one more", "a"))
}

// Who has not noticed yet that its lease is over gives nothing out of its hand.
func TestAnExpiredLeaseGivesNothingOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 1)
	h := b.stalled(500*time.Millisecond, b.server.JS(t))
	h.Release(h.await("first", "a"))
	natstest.Eventually(t, func() error {
		if hold, ok := h.Take("later", h.Of("q", "a")); ok {
			h.Release(hold)
			return errors.New("it still has what it held")
		}
		return nil
	})
	require.Nil(t, h.acquire("by the ledger", "a"))
}

func TestARateGivesNoMoreStartsThanItsTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const rate = 20.0
	b.limit("", 1000, func(p *wire.Permits) { p.RatePerSecond = new(rate) })
	one, two := b.holder(10*time.Second, b.server.JS(t)), b.holder(10*time.Second, b.server.JS(t))
	begun := time.Now()
	starts := 0
	for starts < 30 {
		for _, h := range []*holder{one, two} {
			if hold := h.await(starts, "a"); hold != nil {
				h.Release(hold)
				starts++
			}
		}
		most := rate*time.Since(begun).Seconds() + wire.RateBurst(rate)
		require.LessOrEqual(t, float64(starts), most+1e-9)
	}
}

func TestAHolderThatIsCutOffLosesItsPermitsBeforeOthersGetThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 2)
	proxy := natstest.NewProxy(t, b.server.URL())
	js := jsThrough(t, proxy)
	h := b.holder(time.Second, js)
	require.NotNil(t, h.await("runs", "a"))
	proxy.Cut()
	select {
	case owner := <-h.lost:
		require.Equal(t, "runs", owner)
	case <-time.After(patience):
		t.Fatal("it was not told that its permit is lost")
	}
	p, _ := b.ledger()
	require.Equal(t, 1, p.Total(), "others got it before its work was told to stop")
	proxy.Heal()
	require.NotNil(t, h.await("runs again", "a"))
	p, _ = b.ledger()
	require.Len(t, p.Held, 2, "a name that was given up never comes back: a scheduler may be taking its permits away")
}

func TestALeaseIsRenewedWhileAPermitIsHeld(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 1)
	const lease = 500 * time.Millisecond
	h := b.holder(lease, b.server.JS(t))
	require.NotNil(t, h.await("runs", "a"))
	kv, err := b.js.KeyValue(t.Context(), wire.BucketPermits)
	require.NoError(t, err)
	p, _ := b.ledger()
	var name string
	for name = range p.Held {
	}
	first, err := kv.Get(t.Context(), wire.PermitLeaseKey(name))
	require.NoError(t, err)
	stream, err := b.js.Stream(t.Context(), wire.StreamPermits)
	require.NoError(t, err)
	stored, err := stream.GetLastMsgForSubject(t.Context(), wire.KVSubject(wire.BucketPermits, wire.PermitLeaseKey(name)))
	require.NoError(t, err)
	ttl, err := strconv.Atoi(stored.Header.Get(wire.HeaderTTL))
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Duration(ttl)*time.Second, lease+wire.PermitMargin, "its holder must have stopped before others learn")
	// As a renewal that got through whose answer was lost.
	_, err = kv.PutString(t.Context(), wire.PermitLeaseKey(name), name)
	require.NoError(t, err)
	// Longer than lease and margin: the key would be gone without renewals.
	for end := time.Now().Add(2*lease + wire.PermitMargin); time.Now().Before(end); {
		select {
		case <-h.lost:
			t.Fatal("a permit is lost although nothing is wrong")
		case <-time.After(50 * time.Millisecond):
		}
	}
	now, err := kv.Get(t.Context(), wire.PermitLeaseKey(name))
	require.NoError(t, err)
	require.Greater(t, now.Revision(), first.Revision())
}

func TestALedgerThatOthersChangeIsReadAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.limit("", 100)
	var books []*holder
	for range 5 {
		books = append(books, b.holder(10*time.Second, b.server.JS(t)))
	}
	var wg sync.WaitGroup
	for i, h := range books {
		wg.Go(func() {
			for n := range 10 {
				if h.await(fmt.Sprint(i, n), "a") == nil {
					t.Error("no permit, although there are enough")
				}
			}
		})
	}
	wg.Wait()
	p, _ := b.ledger()
	require.Equal(t, 50, p.Total())
	require.Len(t, p.Held, 5)
}

func jsThrough(t *testing.T, proxy *natstest.Proxy) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(proxy.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}
