package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommands(t *testing.T) {
	t.Setenv("BATUTA_OPS_ADDR", "127.0.0.1:1")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"version":         {[]string{"version"}, 0},
		"help":            {[]string{"--help"}, 0},
		"unknown command": {[]string{"dance"}, 2},
		"unknown flag":    {[]string{"--dance"}, 2},
		"bad value":       {[]string{"--lease", "soon"}, 2},
		"nobody there":    {[]string{"healthcheck"}, 1},
		"no server":       {[]string{"--nats-url", "nats://127.0.0.1:1", "--ops-addr", "127.0.0.1:0"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.code, run(t.Context(), c.args))
		})
	}
}
