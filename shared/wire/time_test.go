package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestTimesInJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wire.Time{
		`"2026-01-01T10:21:02.000Z"`: dawn, `"2026-01-01T12:21:02+02:00"`: dawn, `"2026-01-01T10:21:02.000999Z"`: dawn, `null`: 0,
		`"2026-01-01T10:21:02.5Z"`: dawn + 500,
	} {
		var got wire.Time
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{`""`, `"now"`, `5`, `{}`, `"2026-01-01"`, `"2026-13-01T00:00:00Z"`, `"9999-12-31T23:59:59-12:00"`, `"0000-01-01T00:00:00+01:00"`} {
		var got wire.Time
		require.Error(t, json.Unmarshal([]byte(text), &got), text)
	}
	require.Equal(t, `"2026-01-01T10:21:02.000Z"`, string(encoded(t, dawn)))
	require.Equal(t, "null", string(encoded(t, wire.Time(0))))
	require.Equal(t, "2026-01-01T10:21:02.000Z", dawn.String())
	require.Empty(t, wire.Time(0).String())
}

func TestTimesSurviveTheirTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := anyTime().Draw(t, "time")
		var back wire.Time
		require.NoError(t, json.Unmarshal(encoded(t, at), &back))
		require.Equal(t, at, back)
		require.Equal(t, at, wire.At(at.Time()))
	})
}

func TestTimeArithmetic(t *testing.T) {
	t.Parallel()
	require.Zero(t, wire.At(time.Time{}))
	require.True(t, wire.Time(0).Time().IsZero())
	require.Equal(t, dawn, wire.At(dawn.Time().Add(999*time.Microsecond)))
	require.Equal(t, dawn+1500, dawn.Add(1500*time.Millisecond))
	require.Equal(t, 1500*time.Millisecond, (dawn + 1500).Sub(dawn))
	require.WithinDuration(t, time.Now(), wire.Now().Time(), time.Minute)
	require.Equal(t, time.UTC, dawn.Time().Location())
}

func TestPositions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.Custom(func(t *rapid.T) wire.Position {
			return wire.Position{Seq: rapid.Uint64Range(0, 4).Draw(t, "seq"), Index: rapid.IntRange(0, 4).Draw(t, "index")}
		})
		p, q := place.Draw(t, "p"), place.Draw(t, "q")
		got, err := wire.ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
		var back wire.Position
		require.NoError(t, json.Unmarshal(encoded(t, p), &back))
		require.Equal(t, p, back)
		require.Equal(t, p == q, !p.Before(q) && !q.Before(p))
		require.False(t, p.Before(q) && q.Before(p))
	})
	got, err := wire.ParsePosition("1042")
	require.NoError(t, err)
	require.Equal(t, wire.Position{Seq: 1042}, got)
	require.Equal(t, "1042.3", wire.Position{Seq: 1042, Index: 3}.String())
	require.True(t, wire.Position{Seq: 2, Index: 9}.Before(wire.Position{Seq: 10, Index: 0}), "by number, not by text")
	for _, wrong := range []string{"", ".", "1.", ".3", "a.b", "1.2.3", "-1.0", "1.-1", "1.2147483648", "18446744073709551616.0", " 1.2"} {
		_, err := wire.ParsePosition(wrong)
		require.ErrorContains(t, err, "<sequence>.<index>", wrong)
	}
}
