package role_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

func TestPayloadsAreOfOneSizeAndReadBack(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 7, 123456, 1<<32 - 1} {
		b := role.Payload(n, 987654321987654321)
		require.Len(t, b, role.PayloadSize)
		require.True(t, json.Valid(b))
		got, at, err := role.ParsePayload(b)
		require.NoError(t, err)
		require.Equal(t, uint32(n), got)
		require.Equal(t, int64(987654321987654321), at)
	}
	got, at, err := role.ParsePayload([]byte(`{"t": "5", "x": "", "n": 9}`))
	require.NoError(t, err)
	require.Equal(t, uint32(9), got)
	require.Equal(t, int64(5), at)
	_, _, err = role.ParsePayload([]byte(`{}`))
	require.Error(t, err)
}
