package claim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/claim"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open lets every lane be asked.
type open struct{}

func (open) Version() uint64                { return 0 }
func (open) Limited() ([][2]string, uint64) { return nil, 0 }
func (open) Begin()                         {}
func (open) Room(_, _ string, want int) int { return want }
func (open) Settle()                        {}
func (open) Open(_, _ string) bool          { return true }

// taker has a slot now and then. What comes while it has none it hands back, as a pool does.
type taker struct {
	nc *nats.Conn

	mu    sync.Mutex
	free  int
	taken map[uint64]int
}

func (k *taker) Free() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.free
}

func (k *taker) Take(d claim.Delivery) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.free == 0 {
		_ = k.nc.Publish(d.Reply, []byte("-NAK"))
		return 0
	}
	k.free--
	k.taken[d.Seq]++
	_ = k.nc.Publish(d.Reply, []byte("+ACK"))
	return 1
}

func (k *taker) set(free int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.free = free
}

func (k *taker) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.taken)
}

// Pulls that are given up while a message is on its way to them must not leave it there until
// its lease is over: here that is ten minutes.
func TestNothingIsLeftBehindInPullsThatWereGivenUp(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	near := s.JS(t)
	nc, err := nats.Connect(slowly(t, s.URL()))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	require.NoError(t, topology.EnsureLanes(t.Context(), js, "default", 10*time.Minute, false))
	k := &taker{nc: js.Conn(), taken: map[uint64]int{}}
	l, err := claim.New(claim.Config{
		JS: js, Queues: []string{"default"}, Lease: 10 * time.Minute, Taker: k, Gate: open{}, Log: obs.NewTestLogger(t.Output()),
		Repair: func(context.Context) error { return nil },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })

	for i := range 120 {
		k.set(1)
		l.Wake()
		<-time.After(40 * time.Millisecond) // the lanes are empty: pulls are left standing
		_, err := near.Publish(ctx, wire.ReadySubject("default", wire.PriorityMedium, "any"), []byte("{}"))
		require.NoError(t, err)
		<-time.After(time.Duration(i%10) * latency / 8) // about as long as a delivery takes
		k.set(0)
		l.Wake() // the pull that has the message, or is about to get it, is given up
		natstest.Eventually(t, func() error {
			if n := k.count(); n > i {
				return nil
			}
			k.set(1)
			l.Wake()
			return fmt.Errorf("message %d was not taken", i+1)
		})
	}
	cancel()
	wg.Wait()
	l.Close(context.Background())
	for seq, n := range k.taken {
		require.Equal(t, 1, n, "message %d", seq)
	}
}

// No lane is polled: a pool with nothing to do asks for nothing but what stands anyway, one
// pull for each lane, sent anew when it has expired after half a lease.
func TestAnIdlePoolAsksForNothingButItsStandingPulls(t *testing.T) {
	t.Parallel()
	const lease, rounds = time.Second, 6
	s := natstest.Start(t)
	js := s.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	require.NoError(t, topology.EnsureLanes(t.Context(), js, "default", lease, false))
	var mu sync.Mutex
	standing, passing := map[string]int{}, 0
	sub, err := js.Conn().Subscribe("$JS.API.>", func(m *nats.Msg) {
		var ask struct {
			Expires time.Duration `json:"expires"`
		}
		mu.Lock()
		defer mu.Unlock()
		if err := json.Unmarshal(m.Data, &ask); err == nil && ask.Expires > 0 {
			standing[m.Subject]++
			return
		}
		passing++
	})
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	own, err := jetstream.New(nc)
	require.NoError(t, err)
	k := &taker{nc: nc, taken: map[uint64]int{}, free: 4}
	l, err := claim.New(claim.Config{
		JS: own, Queues: []string{"default"}, Lease: lease, Taker: k, Gate: open{}, Log: obs.NewTestLogger(t.Output()),
		Repair: func(context.Context) error { return nil },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })

	seen := func() (lanes, least, most, others int) {
		mu.Lock()
		defer mu.Unlock()
		least = 1 << 30
		for _, n := range standing {
			least, most = min(least, n), max(most, n)
		}
		return len(standing), least, most, passing
	}
	natstest.Eventually(t, func() error {
		if lanes, least, _, _ := seen(); lanes < len(wire.Priorities) || least < rounds {
			return fmt.Errorf("%d lanes, one of them was asked %d times", lanes, least)
		}
		return nil
	})
	cancel()
	wg.Wait()
	l.Close(context.Background())
	require.NoError(t, sub.Unsubscribe())
	lanes, _, most, others := seen()
	require.Equal(t, len(wire.Priorities), lanes)
	require.LessOrEqual(t, most, rounds+2, "standing pulls of one lane")
	require.LessOrEqual(t, others, 2*len(wire.Priorities), "lanes are asked for what they have at the start, and then no more")
}

// latency of the slow connection.
const latency = 4 * time.Millisecond

// slowly is the address of a proxy that holds up what the server says.
func slowly(t *testing.T, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "tcp", u.Host)
			if err != nil {
				_ = client.Close()
				return
			}
			wg.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			wg.Go(func() { _, _ = io.Copy(late{client}, server); _ = client.Close() })
		}
	})
	return "nats://" + l.Addr().String()
}

type late struct{ w io.Writer }

func (l late) Write(b []byte) (int, error) {
	<-time.After(latency)
	return l.w.Write(b)
}

// counter has always so many slots, and takes parcels: the body of a message says how many tasks are in it.
type counter struct {
	nc   *nats.Conn
	free int

	mu    sync.Mutex
	tasks []int // of each message in the order they came; those of the low lane negative
}

func (k *counter) Free() int { return k.free }

func (k *counter) Take(d claim.Delivery) int {
	n, err := strconv.Atoi(string(d.Data))
	if err != nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	low := d.Header.Get("Low") != ""
	if low {
		k.tasks = append(k.tasks, -n)
	} else {
		k.tasks = append(k.tasks, n)
	}
	_ = k.nc.Publish(d.Reply, []byte("+ACK"))
	return n
}

// The lowest lane has one task in twenty, however many lie in one of its messages, and however
// many of the others come at once.
func TestTheShareOfTheLowestLaneCountsTasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ slots, parcel int }{{1, 8}, {64, 1}} {
		t.Run(fmt.Sprintf("%d slots, parcels of %d", c.slots, c.parcel), func(t *testing.T) {
			t.Parallel()
			checkShare(t, c.slots, c.parcel)
		})
	}
}

func checkShare(t *testing.T, slots, parcel int) {
	t.Helper()
	const high, parcels = 700, 5
	s := natstest.Start(t)
	js := s.JS(t)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{}))
	require.NoError(t, topology.EnsureLanes(t.Context(), js, "default", time.Minute, false))
	put := func(p wire.Priority, body string) {
		m := nats.NewMsg(wire.ReadySubject("default", p, "any"))
		m.Data = []byte(body)
		if p == wire.PriorityLow {
			m.Header.Set("Low", "1")
		}
		_, err := js.PublishMsgAsync(m)
		require.NoError(t, err)
	}
	for range parcels {
		put(wire.PriorityLow, strconv.Itoa(parcel))
	}
	for range high {
		put(wire.PriorityHigh, "1")
	}
	<-js.PublishAsyncComplete()
	k := &counter{nc: js.Conn(), free: slots}
	l, err := claim.New(claim.Config{
		JS: js, Queues: []string{"default"}, Lease: time.Minute, Taker: k, Gate: open{}, Log: obs.NewTestLogger(t.Output()),
		Repair: func(context.Context) error { return nil },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	natstest.Eventually(t, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.tasks) < high+parcels {
			return fmt.Errorf("%d messages", len(k.tasks))
		}
		return nil
	})
	cancel()
	wg.Wait()
	l.Close(context.Background())
	since, lows := 0, 0
	for _, n := range k.tasks {
		switch {
		case n > 0:
			since++
			continue
		case lows == 0:
			require.GreaterOrEqual(t, since, 19)
		case since < parcel*19: // less only once nothing higher is left
			require.Equal(t, high, highIn(k.tasks, lows), "%d tasks after parcel %d", since, lows)
		}
		lows++
		since = 0
	}
	require.GreaterOrEqual(t, lowsBefore(k.tasks, high), 3, "and it has its share: %v", k.tasks)
}

// highIn counts the higher tasks before the n-th parcel of the low lane, counted from 0.
func highIn(tasks []int, n int) (count int) {
	for _, one := range tasks {
		switch {
		case one > 0:
			count++
		case n == 0:
			return count
		default:
			n--
		}
	}
	return count
}

// lowsBefore counts the parcels of the low lane before the n-th higher task.
func lowsBefore(tasks []int, n int) (count int) {
	for _, one := range tasks {
		if one > 0 {
			if n--; n == 0 {
				break
			}
			continue
		}
		count++
	}
	return count
}
