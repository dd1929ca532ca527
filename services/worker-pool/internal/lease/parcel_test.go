package lease_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a parcel's tasks say of it, one after the other, is told to the server once, when the
// last one has spoken.
func TestAParcelIsAnsweredOnceForAllItsTasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		say  string // of each task in turn: a for Ack, n for Nak, d for Drop
		want string
	}{
		{"all are done", "aaa", "+ACK"},
		{"one is to come again", "ana", `-NAK {"delay": 1000000}`},
		{"of one nothing is known", "nda", ""},
		{"of the last nothing is known", "and", ""},
		{"a single one", "a", "+ACK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLane(t, time.Minute)
			p, parts := l.keeper.HoldParcel(l.reply, time.Now(), len(c.say), func() { t.Error("the lease is not lost") })
			done := make(chan int, len(parts))
			for i, part := range parts {
				require.False(t, p.Over())
				require.True(t, part.Valid())
				require.Zero(t, l.count(""), "nothing is said before the last")
				switch c.say[i] {
				case 'a':
					part.Ack(func() { done <- i })
				case 'n':
					part.Nak(time.Millisecond)
					done <- i
				default:
					require.True(t, part.Drop())
					require.False(t, part.Drop(), "it is settled")
					done <- i
				}
				require.Equal(t, i, <-done)
				require.False(t, part.Valid())
				part.Nak(0) // is not heard any more
			}
			require.True(t, p.Over())
			if c.want == "" {
				require.Zero(t, l.count(""))
			} else {
				require.Equal(t, 1, l.count(c.want))
				require.Equal(t, 1, l.count(""))
			}
			require.False(t, p.Renew(l.reply, time.Now()), "it is held no more")
		})
	}
}

func TestAParcelIsExtendedAndLostAsOne(t *testing.T) {
	t.Parallel()
	l := newLane(t, 400*time.Millisecond)
	l.mu.Lock()
	l.answer = func(string) bool { return false }
	l.mu.Unlock()
	lost := make(chan struct{}, 2)
	_, parts := l.keeper.HoldParcel(l.reply, time.Now(), 2, func() { lost <- struct{}{} })
	parts[0].Ack(nil)
	<-lost
	require.False(t, parts[1].Valid())
	require.Positive(t, l.count("+WPI"), "for the one that is not done")
	parts[1].Ack(nil)
	require.Zero(t, l.count("+ACK"), "somebody else may hold it")
	require.Empty(t, lost)
}

// A parcel that is delivered again to the pool that holds it is the same: its lease counts anew.
func TestAParcelIsRenewed(t *testing.T) {
	t.Parallel()
	l := newLane(t, time.Minute)
	p, parts := l.keeper.HoldParcel("an.earlier.delivery", time.Now().Add(-59*time.Second), 2, func() { t.Error("the lease is not lost") })
	require.True(t, p.Renew(l.reply, time.Now().Add(time.Minute)))
	parts[0].Ack(nil)
	require.True(t, parts[1].Valid())
	done := make(chan struct{})
	parts[1].Ack(func() { close(done) })
	<-done
	require.Equal(t, 1, l.count("+ACK"), "by the later delivery")
}
