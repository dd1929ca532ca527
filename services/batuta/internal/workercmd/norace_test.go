//go:build !race

package workercmd_test

const raceEnabled = false
