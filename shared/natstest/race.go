//go:build race

package natstest

// Race tells whether the race detector is on.
const Race = true
