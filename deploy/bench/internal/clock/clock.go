// Package clock reads the clock that all processes of a machine share: monotonic
// nanoseconds, which Node's process.hrtime.bigint() counts, too.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since some fixed point.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("bench: the system has no monotonic clock: " + err.Error())
	}
	return t.Nano()
}

// Ms is a span of nanoseconds in milliseconds.
func Ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
