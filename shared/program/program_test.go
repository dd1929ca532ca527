package program_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

// service tells that it has been started, and nothing else.
type service struct{ started chan program.Env }

func (s service) Start(context.Context) error { return nil }
func (s service) Stop(context.Context) error  { return nil }
func (s service) Ready() error                { return nil }

func spec(started chan program.Env) program.Spec {
	return program.Spec{Name: "scheduler", Settings: settings.Scheduler, Long: "It schedules.", New: func(e program.Env) (program.Service, error) {
		started <- e
		return service{started}, nil
	}}
}

func run(ctx context.Context, started chan program.Env, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = program.Run(ctx, spec(started), args, []string{"BATUTA_OPS_ADDR=127.0.0.1:1"}, &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"version":         {[]string{"version"}, 0, "scheduler dev"},
		"help":            {[]string{"--help"}, 0, "It schedules."},
		"unknown command": {[]string{"dance"}, 2, `unknown command "dance": there are healthcheck and version`},
		"unknown flag":    {[]string{"--dance"}, 2, "unknown flag: --dance"},
		"bad value":       {[]string{"--lease", "soon"}, 2, `"soon"`},
		"nobody there":    {[]string{"healthcheck"}, 1, "127.0.0.1:1"},
		"no server":       {[]string{"--nats-url", "nats://127.0.0.1:1", "--ops-addr", "127.0.0.1:0"}, 1, "scheduler: BATUTA_NATS_URL: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t.Context(), nil, c.args...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stdout+stderr, c.says)
		})
	}
}

func TestServesUntilItIsToldToStop(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ctx, stop := context.WithCancel(t.Context())
	started := make(chan program.Env, 1)
	ended := make(chan int, 1)
	go func() {
		code, _, _ := run(ctx, started, "--nats-url", s.URL(), "--ops-addr", "127.0.0.1:0", "--lease", "7s")
		ended <- code
	}()
	env := <-started
	require.Equal(t, "7s", env.Settings.Lease.String())
	require.NoError(t, program.Connected(env.Conn))
	stop()
	require.Equal(t, 0, <-ended)
	require.Error(t, program.Connected(env.Conn), "the connection is closed with the program")
}
