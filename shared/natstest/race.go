//go:build race

package natstest

// race tells whether the race detector is on.
const race = true
