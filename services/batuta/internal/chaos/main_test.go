package chaos

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/role"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/natstest"
)

// runItself makes this test binary the command.
const runItself = "chaos-itself"

// TestMain: the processes of a run are this package's tests under the hidden command.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case role.Command:
			os.Exit(role.Run(context.Background(), os.Args[2:], os.Environ(), os.Stdout, os.Stderr))
		case runItself:
			o := small(os.Args[2])
			o.Duration, o.Faults = time.Hour, 0
			os.Exit(Run(context.Background(), o, nil, screen(os.Stdout), screen(os.Stderr)))
		}
	}
	executable = func() (string, error) { return natstest.Program(), nil }
	os.Exit(natstest.WithoutRace(func() (status int) {
		goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(starter), goleak.Cleanup(func(s int) { status = s }))
		return status
	}))
}

// starter is the thread that starts processes; it must never end.
const starter = "github.com/batuta-tasks/batuta/shared/child.starter"

// small is a run that a busy machine can carry out in a few seconds.
func small(dir string) options.Options {
	return options.Options{
		Duration: 2 * time.Second, Seed: 1, Kinds: plan.Kinds(1), Servers: 1, Pools: 2, Workers: 2, Concurrency: 8,
		Lease: 2 * time.Second, HungAfter: 3 * time.Second, Sync: "1s", Dir: dir,
	}
}

func screen(f *os.File) *term.Screen {
	return term.New(f, func(string) (string, bool) { return "", false })
}
