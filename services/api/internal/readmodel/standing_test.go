package readmodel

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func TestAStateThatDoesNotHoldIsNotTold(t *testing.T) {
	t.Parallel()
	var s standing
	at := func(ms wire.Time) wire.Time { return 1_000_000 + ms }
	require.Empty(t, s.turn(at(0), wire.SystemStable), "the first")
	require.Empty(t, s.turn(at(100), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(1000), wire.SystemStable))
	require.Empty(t, s.turn(at(2000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(3900), wire.SystemHighLoad))
	require.Equal(t, wire.SystemStable, s.turn(at(4000), wire.SystemHighLoad))
	require.Empty(t, s.turn(at(9000), wire.SystemHighLoad), "told already")
}
