package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// ledger reads the permits of a limit of the queue default; false where there are none.
func (b *bundle) ledger(t *testing.T, taskType string) (p wire.Permits, there bool) {
	t.Helper()
	kv, err := b.js.KeyValue(t.Context(), wire.BucketPermits)
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), wire.PermitsKey("default", taskType))
	if err != nil {
		return p, false
	}
	require.NoError(t, json.Unmarshal(e.Value(), &p))
	return p, true
}

func (b *bundle) knowsDefault() {
	b.model.set(func() {
		b.model.queues = []wire.QueueView{{Name: "default", ServedBy: []string{}, Types: map[string]wire.QueueLimits{}}}
	})
}

func TestLimitsOfAQueueAndItsTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.knowsDefault()
	var q wire.QueueView
	b.do(http.MethodPatch, "/queues/default", `{"maxConcurrent":3,"types":{"image.resize":{"maxConcurrent":2,"ratePerSecond":0.5}}}`).into(t, &q)
	require.Equal(t, wire.QueueLimits{MaxConcurrent: new(3)}, q.QueueLimits)
	require.Equal(t, map[string]wire.QueueLimits{"image.resize": {MaxConcurrent: new(2), RatePerSecond: new(0.5)}}, q.Types)
	p, _ := b.ledger(t, "")
	require.Equal(t, 3, *p.MaxConcurrent)
	require.False(t, p.Settling, "it is in force when the answer comes")
	p, _ = b.ledger(t, "image.resize")
	require.Equal(t, []any{2, 0.5, false}, []any{*p.MaxConcurrent, *p.RatePerSecond, p.Settling})
	_, err := b.js.Consumer(t.Context(), wire.StreamReady, wire.Lane{Queue: "default", Priority: wire.PriorityLow, Type: "image.resize"}.Consumer())
	require.NoError(t, err, "its lanes are there")

	// What is not named stays.
	b.do(http.MethodPatch, "/queues/default", `{"ratePerSecond":10,"types":{"image.resize":{"maxConcurrent":null},"mail":{"maxConcurrent":1}}}`).into(t, &q)
	require.Equal(t, wire.QueueLimits{MaxConcurrent: new(3), RatePerSecond: new(10.0)}, q.QueueLimits)
	require.Equal(t, map[string]wire.QueueLimits{"image.resize": {RatePerSecond: new(0.5)}, "mail": {MaxConcurrent: new(1)}}, q.Types)
	q = wire.QueueView{} // decoding adds to a map
	b.do(http.MethodPatch, "/queues/default", `{"types":{"image.resize":null}}`).into(t, &q)
	require.Equal(t, map[string]wire.QueueLimits{"mail": {MaxConcurrent: new(1)}}, q.Types)
	p, there := b.ledger(t, "image.resize")
	require.True(t, there && p.None(), "lifted; its lanes may still hold tasks")
	require.NotZero(t, p.LiftedAt)

	b.do(http.MethodPatch, "/queues/default", `{"types":{"mail":{"maxConcurrent":1}}}`).into(t, &q)
	events := b.audits("queue.changed", 3)
	require.Len(t, events, 3, "what changes nothing is no event")
	require.Len(t, b.audits("queue.change", 3), 3)
	require.Equal(t, "default", events[0].Data.Queue)
	require.JSONEq(t, `{"types":{"image.resize":null}}`, string(events[2].Data.Change))
}

func TestLimitsThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.knowsDefault()
	for body, fields := range map[string][]string{
		`{"maxConcurrent":0}`:                          {"maxConcurrent"},
		`{"maxConcurrent":1.5,"ratePerSecond":0}`:      {"maxConcurrent", "ratePerSecond"},
		`{"ratePerSecond":"fast"}`:                     {"ratePerSecond"},
		`{"ratePerSecond":-1}`:                         {"ratePerSecond"},
		`{"types":[]}`:                                 {"types"},
		`{"types":{"a..b":{"maxConcurrent":1}}}`:       {"types.a..b"},
		`{"types":{"a":3}}`:                            {"types.a"},
		`{"types":{"a":{"max":3,"maxConcurrent":-1}}}`: {"types.a.max", "types.a.maxConcurrent"},
		`{"limit":3}`:                                  {"limit"},
		`{}`:                                           {""},
	} {
		faults := b.do(http.MethodPatch, "/queues/default", body).faults(t)
		require.Len(t, faults, len(fields), body)
		for _, f := range fields {
			require.Contains(t, faults, f, body)
		}
	}
	_, there := b.ledger(t, "")
	require.False(t, there)
	many := map[string]wire.Limits{}
	for i := range wire.MaxLimitedTypes + 1 {
		many[fmt.Sprintf("type%d", i)] = wire.Limits{MaxConcurrent: new(1)}
	}
	body, err := json.Marshal(map[string]any{"types": many})
	require.NoError(t, err)
	require.Contains(t, b.do(http.MethodPatch, "/queues/default", string(body)).faults(t), "types")
}
