package cli_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
)

// chaosWith runs the command line up to the point where the system would be started.
func chaosWith(args string) (o options.Options, r ran) {
	c := everything()
	c.Chaos = func(_ context.Context, got options.Options, client *apiclient.Client, _, _ *term.Screen) int {
		if o = got; o.Join != (client != nil) {
			return 0
		}
		return 1
	}
	r = runCLI(context.Background(), session{commands: c}, strings.Fields("chaos "+args)...)
	return o, r
}

func TestChaosTakesItsOptions(t *testing.T) {
	t.Parallel()
	o, r := chaosWith("--duration 2m --seed 7 --tasks 1000 --faults 30,nats.kill,pool --json")
	require.Equal(t, ran{status: 1}, r)
	require.Equal(t, 2*time.Minute, o.Duration)
	require.EqualValues(t, 7, o.Seed)
	require.Equal(t, 1000, o.Tasks)
	require.Equal(t, 30, o.Faults)
	require.Len(t, o.Kinds, 7)
	require.True(t, o.JSON)

	o, r = chaosWith("--join")
	require.Equal(t, 1, r.status)
	require.Len(t, o.Kinds, 2)

	o, _ = chaosWith("--servers 3")
	again, _ := chaosWith("--servers 3")
	require.Greater(t, o.Faults, 50)
	require.Len(t, o.Kinds, 28)
	require.NotEqual(t, o.Seed, again.Seed, "a new seed each time")
}

func TestChaosRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"--servers 2":           "--servers: 2 is neither 1 nor 3",
		"--seed x":              `--seed: "x" is not a whole number`,
		"--faults nats.isolate": `--faults: there is no fault "nats.isolate"`,
		"--join --faults nats":  "nats.kill cannot be done to a system that was joined",
		"--sync never":          "--sync",
		"--workers 0":           "--workers: 0 is not from 1 to 1000",
		"--duration 1ms":        "--duration",
		"more":                  "too much",
	} {
		_, r := chaosWith(args)
		require.Equal(t, 2, r.status, args)
		require.Contains(t, r.errOut, says)
	}
}

func TestTheProcessesOfChaosAreNotShown(t *testing.T) {
	t.Parallel()
	c := everything()
	var got []string
	c.Role = func(_ context.Context, args, _ []string, _, _ io.Writer) int {
		got = args
		return 3
	}
	s := session{commands: c}
	r := runCLI(context.Background(), s, "chaos-role", "nats", "--x", "-h")
	require.Equal(t, 3, r.status)
	require.Equal(t, []string{"nats", "--x", "-h"}, got)
	require.NotContains(t, runCLI(context.Background(), s, "--help").out, "chaos-role")
}
