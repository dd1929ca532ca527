package program_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/program"
)

// reluctant starts after its errors have been returned.
type reluctant struct{ errs []error }

func (r *reluctant) Stop(context.Context) error { return nil }

func (r *reluctant) Start(context.Context) error {
	if len(r.errs) == 0 {
		return nil
	}
	err := r.errs[0]
	r.errs = r.errs[1:]
	return err
}

func TestAStartWaitsForNATS(t *testing.T) {
	t.Parallel()
	log := obs.NewTestLogger(t.Output())
	r := &reluctant{errs: []error{nats.ErrNoResponders, context.DeadlineExceeded}}
	require.NoError(t, program.Start(t.Context(), r, log))
	wrong := errors.New("a setting is wrong")
	r = &reluctant{errs: []error{nats.ErrNoResponders, wrong, wrong}}
	require.ErrorIs(t, program.Start(t.Context(), r, log), wrong)
	require.Len(t, r.errs, 1, "what will not pass is not tried again")
}

// A signal ends the wait for NATS, and that is no failure: see lifecycle.Runner.
func TestAStartThatIsCalledOffWhileItWaitsHasNotFailed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &reluctant{errs: []error{context.DeadlineExceeded, context.DeadlineExceeded}}
	err := program.Start(ctx, r, obs.NewTestLogger(t.Output()))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
