package lease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/lease"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mark is said by a test to know that all before it was heard.
const mark = "mark"

// lane answers for a server: it hears what is said of one message.
type lane struct {
	t      *testing.T
	keeper *lease.Keeper
	nc     *nats.Conn // the keeper's
	reply  string

	mu     sync.Mutex
	said   []string
	marks  []chan struct{}
	answer func(said string) bool // nil: always
}

func newLane(t *testing.T, length time.Duration) *lane {
	t.Helper()
	s := natstest.Start(t)
	l := &lane{t: t, nc: s.Conn(t), reply: "lane.message"}
	far := s.Conn(t)
	_, err := far.Subscribe(l.reply, l.hear)
	require.NoError(t, err)
	require.NoError(t, far.Flush())
	l.keeper, err = lease.New(l.nc, length, obs.NewTestLogger(t.Output()))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.keeper.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); l.keeper.Close() })
	return l
}

func (l *lane) hear(m *nats.Msg) {
	l.mu.Lock()
	if string(m.Data) == mark {
		close(l.marks[0])
		l.marks = l.marks[1:]
		l.mu.Unlock()
		return
	}
	l.said = append(l.said, string(m.Data))
	answer := l.answer == nil || l.answer(string(m.Data))
	l.mu.Unlock()
	if answer && m.Reply != "" {
		_ = m.Respond(nil)
	}
}

// count of what was said until now that begins so.
func (l *lane) count(prefix string) int {
	heard := make(chan struct{})
	l.mu.Lock()
	l.marks = append(l.marks, heard)
	l.mu.Unlock()
	require.NoError(l.t, l.nc.Publish(l.reply, []byte(mark)))
	<-heard
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.said {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

func (l *lane) await(prefix string, n int) {
	l.t.Helper()
	natstest.Eventually(l.t, func() error {
		if got := l.count(prefix); got < n {
			return fmt.Errorf("%d of %d %s", got, n, prefix)
		}
		return nil
	})
}

// heldAndLost tells when a hold that counts from now was lost.
func (l *lane) heldAndLost() (*lease.Hold, <-chan time.Time) {
	lost := make(chan time.Time, 1)
	return l.keeper.Hold(l.reply, time.Now(), func() { lost <- time.Now() }), lost
}

func TestWhatIsHeldIsExtended(t *testing.T) {
	t.Parallel()
	l := newLane(t, 2*time.Second)
	h, lost := l.heldAndLost()
	l.await("+WPI", 3)
	require.True(t, h.Valid())
	require.Empty(t, lost)
	require.True(t, h.Drop())
	require.False(t, h.Valid())
}

func TestALeaseCountsFromTheSendingOfWhatWasAnswered(t *testing.T) {
	t.Parallel()
	const length = 4 * time.Second
	l := newLane(t, length)
	var sent time.Time
	release := make(chan struct{})
	l.answer = func(string) bool {
		if !sent.IsZero() {
			return false
		}
		sent = time.Now()
		l.mu.Unlock()
		<-release // the answer is slow, and no other comes
		l.mu.Lock()
		return true
	}
	_, lost := l.heldAndLost()
	time.AfterFunc(length*7/8, func() { close(release) })
	at := <-lost
	l.mu.Lock()
	defer l.mu.Unlock()
	require.False(t, sent.IsZero())
	// It was sent at half the lease and answered before that was over.
	require.Less(t, at.Sub(sent), length+length/4)
}

func TestAnUnansweredExtensionKeepsNothing(t *testing.T) {
	t.Parallel()
	const length = 2 * time.Second
	l := newLane(t, length)
	l.answer = func(string) bool { return false }
	begin := time.Now()
	h, lost := l.heldAndLost()
	at := <-lost
	require.GreaterOrEqual(t, at.Sub(begin), length)
	require.Positive(t, l.count("+WPI"))
	require.False(t, h.Valid())
	h.Ack(nil)
	h.Nak(0)
	require.Zero(t, l.count("+ACK"), "an ex-holder's would be answered, and remove the message of its new holder")
	require.Zero(t, l.count("-NAK"))
}

// As after a stop of the whole process: the keeper itself has not noticed yet.
func TestALeaseThatIsOverIsNotUsed(t *testing.T) {
	t.Parallel()
	const length = time.Minute
	l := newLane(t, length)
	over := time.Now().Add(-length)
	done := make(chan struct{})
	l.keeper.Hold(l.reply, over, func() {}).Ack(func() { close(done) })
	<-done
	l.keeper.Hold(l.reply, over, func() {}).Nak(0)
	require.False(t, l.keeper.Hold(l.reply, over, func() {}).Valid())
	require.Zero(t, l.count("+ACK"))
	require.Zero(t, l.count("-NAK"))
}

func TestAnAcknowledgementIsRepeatedUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	l := newLane(t, 4*time.Second)
	acks := 0
	l.answer = func(said string) bool {
		if said == "+ACK" {
			acks++
		}
		return acks == 3 // a server that was killed ignores the acknowledgements it has forgotten the delivery of
	}
	h, lost := l.heldAndLost()
	done := make(chan struct{})
	h.Ack(func() { close(done) })
	<-done
	require.Equal(t, 3, l.count("+ACK"))
	require.Empty(t, lost)
	require.Zero(t, l.keeper.Acking())
}

func TestAnAcknowledgementEndsWithTheLease(t *testing.T) {
	t.Parallel()
	l := newLane(t, time.Second)
	l.answer = func(string) bool { return false }
	h, lost := l.heldAndLost()
	done := make(chan struct{})
	h.Ack(func() { close(done) })
	<-done
	require.Empty(t, lost, "there is nothing to stop")
	said := l.count("+ACK")
	l.keeper.ExtendAll()
	require.Equal(t, said, l.count("+ACK"))
}

func TestAMessageIsHandedBackOnce(t *testing.T) {
	t.Parallel()
	l := newLane(t, time.Minute)
	h, _ := l.heldAndLost()
	h.Nak(0)
	h.Nak(0)
	h.Nak(time.Second)
	l.keeper.ExtendAll()
	require.Equal(t, 1, l.count("-NAK"), "two would deliver it twice, to two pools")
	require.Zero(t, l.count("+WPI"))
}

func TestALaterDeliveryIsAcknowledgedInThePlaceOfTheEarlier(t *testing.T) {
	t.Parallel()
	l := newLane(t, time.Minute)
	l.answer = func(string) bool { return false } // the server has forgotten the first delivery
	h, _ := l.heldAndLost()
	done := make(chan struct{})
	h.Ack(func() { close(done) })
	l.await("+ACK", 1)
	l.mu.Lock()
	l.answer = nil
	l.mu.Unlock()
	require.True(t, h.Renew(l.reply, time.Now()))
	<-done
	require.False(t, h.Renew(l.reply, time.Now()))
}

// Who is told that a lease is over waits for the word of its loss. A late answer to an
// extension, or the message delivered here once more, must not bring the lease back: nobody
// would work on the task then, and nobody else could.
func TestALeaseThatWasSeenToBeOverDoesNotComeBack(t *testing.T) {
	t.Parallel()
	const length = 20 * time.Second
	for _, by := range []string{"a late answer", "another delivery"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			l := newLane(t, length)
			release := make(chan struct{})
			l.answer = func(said string) bool {
				if said == "+WPI" {
					l.mu.Unlock()
					<-release
					l.mu.Lock()
				}
				return true
			}
			lost := make(chan struct{})
			h := l.keeper.Hold(l.reply, time.Now().Add(-length*99/100), func() { close(lost) })
			l.keeper.ExtendAll()
			var over bool
			select {
			case <-lost: // the keeper saw it first
				over = true
			default:
				natstest.Eventually(t, func() error {
					if h.Valid() {
						return errors.New("the lease is not over yet")
					}
					return nil
				})
			}
			if by == "another delivery" {
				require.False(t, h.Renew(l.reply, time.Now()))
			}
			close(release)
			answered := make(chan struct{})
			l.keeper.Hold(l.reply, time.Now(), nil).Ack(func() { close(answered) })
			<-answered // and so is what was asked before
			require.False(t, h.Valid())
			if !over {
				<-lost
			}
		})
	}
}
