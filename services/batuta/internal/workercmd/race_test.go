//go:build race

package workercmd_test

const raceEnabled = true
