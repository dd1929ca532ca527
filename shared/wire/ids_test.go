package wire_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestMadeIDs(t *testing.T) {
	t.Parallel()
	for want, from := range map[string][2]uint64{
		"task-001": {1, 0}, "task-104": {104, 0}, "task-104-7": {104, 7}, "task-099-1000": {99, 1000}, "task-123456": {123456, 0},
		"task-18446744073709551615-1": {math.MaxUint64, 1},
	} {
		require.Equal(t, want, wire.MakeID(from[0], int(from[1])))
		require.True(t, wire.IsMadeID(want))
		seq, member, ok := wire.MadeFrom(want)
		require.True(t, ok)
		require.Equal(t, [2]uint64{seq, uint64(member)}, from)
	}
	for _, other := range []string{"", "task-", "task-12", "task-104-0", "task-104-", "task-104-01", "xtask-104", "task-104x", "task--104", "order-104"} {
		require.False(t, wire.IsMadeID(other), other)
		_, _, ok := wire.MadeFrom(other)
		require.False(t, ok, other)
	}
	for _, none := range []string{"task-0001", "task-0104-2", "task-18446744073709551616", "task-104-9223372036854775808"} {
		_, _, ok := wire.MadeFrom(none)
		require.False(t, ok, "%s was never made", none)
	}
}

func TestMadeIDsAreDistinctAndReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seq, member := rapid.Uint64Min(1).Draw(t, "seq"), rapid.IntRange(0, wire.MaxGroupHTTP).Draw(t, "member")
		id := wire.MakeID(seq, member)
		require.True(t, wire.ValidID(id))
		require.False(t, wire.IsOwnKey(id))
		gotSeq, gotMember, ok := wire.MadeFrom(id)
		require.True(t, ok)
		require.Equal(t, seq, gotSeq)
		require.Equal(t, member, gotMember)
	})
}

func TestFencesGrowWithEveryHandOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lane := rapid.Uint64Range(1, 1<<50).Draw(t, "lane")
		recorded := uint64(0)
		if rapid.Bool().Draw(t, "handed out before") {
			recorded = wire.FirstFence(lane - rapid.Uint64Range(0, min(lane-1, 5)).Draw(t, "earlier lane"))
		}
		for range rapid.IntRange(1, 400).Draw(t, "hand-outs") {
			next := wire.NextFence(lane, recorded)
			require.Greater(t, next, recorded)
			require.Greater(t, next, wire.FirstFence(lane), "an unchecked first delivery may run beside it")
			require.Equal(t, lane, next/wire.FencePerLane, "never in the room of another message")
			require.Less(t, next, wire.FirstFence(lane+1))
			recorded = next
		}
	})
}

func TestFencesOfOneMessage(t *testing.T) {
	t.Parallel()
	require.Equal(t, uint64(7*1024+1), wire.FirstFence(7))
	require.Equal(t, uint64(7*1024+2), wire.NextFence(7, 0), "an unchecked hand-out may not be recorded")
	require.Equal(t, uint64(7*1024+2), wire.NextFence(7, wire.FirstFence(7)))
	require.Equal(t, uint64(7*1024+3), wire.NextFence(7, 7*1024+2))
	require.Equal(t, uint64(7*1024+1023), wire.NextFence(7, 7*1024+1023), "the end of the room")
}
