package wire_test

import (
	"pgregory.net/rapid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// anyTime draws a time that RFC 3339 can write; 0 is unknown.
func anyTime() *rapid.Generator[wire.Time] {
	return rapid.Map(rapid.Int64Range(0, 253_402_300_799_999), func(ms int64) wire.Time { return wire.Time(ms) })
}

// anyDefinition draws what a task may ask for, by the bounds of the contract.
func anyDefinition() *rapid.Generator[*wire.Compact] {
	times := rapid.OneOf(rapid.Just(wire.DefaultBackoff.BaseMs), rapid.Int64Range(1, 86_400_000))
	return rapid.Custom(func(t *rapid.T) *wire.Compact {
		return &wire.Compact{
			Type:       rapid.StringMatching(`[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,8}){0,3}`).Draw(t, "type"),
			Queue:      rapid.OneOf(rapid.Just("default"), rapid.StringMatching(`[A-Za-z0-9_-]{1,32}`)).Draw(t, "queue"),
			Priority:   rapid.SampledFrom(wire.Priorities).Draw(t, "priority"),
			MaxRetries: rapid.IntRange(0, 100).Draw(t, "maxRetries"),
			Backoff: rapid.OneOf(rapid.Just(wire.DefaultBackoff), rapid.Custom(func(t *rapid.T) wire.Backoff {
				return wire.Backoff{
					Policy: rapid.SampledFrom([]string{wire.BackoffFixed, wire.BackoffLinear, wire.BackoffExponential}).Draw(t, "policy"),
					BaseMs: times.Draw(t, "baseMs"), MaxMs: times.Draw(t, "maxMs"), Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter"),
				}
			})).Draw(t, "backoff"),
			TimeoutMs:   rapid.Int64Range(1, 604_800_000).Draw(t, "timeoutMs"),
			DelayMs:     rapid.Int64Range(0, 31_536_000_000).Draw(t, "delayMs"),
			RunAt:       anyTime().Draw(t, "runAt"),
			Deadline:    anyTime().Draw(t, "deadline"),
			RetentionMs: rapid.Int64Range(60_000, 2_592_000_000).Draw(t, "retentionMs"),
			Tags:        rapid.MapOfN(rapid.StringMatching(`[A-Za-z0-9_.-]{1,32}`), rapid.StringN(0, 128, -1), 0, 16).Draw(t, "tags"),
		}
	})
}
