package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/plan"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/proc"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// newRun makes a run whose output is kept.
func newRun(t *testing.T, o options.Options) (r *run, out *bytes.Buffer) {
	t.Helper()
	out = &bytes.Buffer{}
	s := term.New(out, func(string) (string, bool) { return "", false })
	return &run{opts: o, out: s, err: term.New(t.Output(), func(string) (string, bool) { return "", false })}, out
}

func TestARunUnderFaults(t *testing.T) {
	t.Parallel()
	o := small(t.TempDir())
	kinds, err := plan.Parse([]string{"worker.kill", "pool.kill", "scheduler.kill", "recorder.kill", "api.kill", "nats.kill", "pool.drop"}, 1)
	require.NoError(t, err)
	o.Kinds, o.Faults, o.Duration = kinds, len(kinds), 4*time.Second
	r, out := newRun(t, o)
	rep, err := r.run(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.print(rep))
	require.Empty(t, rep.Findings, out)
	require.Empty(t, rep.Broken, out)
	require.Positive(t, rep.Counts.Completed)
	require.Equal(t, rep.Counts.Accepted+rep.Counts.Unasked, rep.Counts.Ended)
	require.Equal(t, len(kinds), rep.Faults+rep.Skipped)
	require.True(t, rep.Whole)
	require.Contains(t, out.String(), "nothing was lost, nothing counted twice")
	require.NoDirExists(t, r.dir)
	children, err := proc.Children(t.Context(), os.Getpid())
	require.NoError(t, err)
	for _, p := range append(r.sys.services, &service{Process: r.sys.servers[0].Process}) {
		require.NotContains(t, children, p.PID(), "%s is still there", p.Name())
	}
}

// What is planted into the books of a real run is found, with the history of the task.
func TestAPlantedDoubleEndAndAPlantedLossAreFoundInARealRun(t *testing.T) {
	t.Parallel()
	o := small(t.TempDir())
	o.Tasks, o.JSON = 60, true
	r, out := newRun(t, o)
	var twice, lost string
	r.tamper = func(ctx context.Context, js jetstream.JetStream) error {
		var err error
		twice, lost, err = plant(ctx, js)
		return err
	}
	rep, err := r.run(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.print(rep))
	found := map[check.Rule]string{}
	for _, f := range rep.Findings {
		found[f.Rule] = f.TaskID
		require.NotEmpty(t, f.History)
	}
	require.Equal(t, map[check.Rule]string{check.RuleTwoEnds: twice, check.RuleLost: lost}, found, "%v", rep.Findings)
	require.DirExists(t, r.dir, "what is broken stays to be looked at")
	var printed struct {
		OK       bool
		Seed     uint64
		Findings []check.Finding
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &printed))
	require.False(t, printed.OK)
	require.EqualValues(t, 1, printed.Seed)
	require.Len(t, printed.Findings, 2)
}

// plant ends one completed task a second time, and removes the record of another.
func plant(ctx context.Context, js jetstream.JetStream) (twice, lost string, err error) {
	var ended []wire.Record
	c := check.New(check.Config{})
	if err := readBooks(ctx, js, c); err != nil {
		return "", "", err
	}
	err = readAll(ctx, js, wire.StreamTasks, wire.KVSubject(wire.BucketTasks, "*"), func(_ uint64, m jetstream.Msg) error {
		r, err := wire.DecodeRecord(m.Data())
		if err == nil && r.Status == wire.StatusCompleted {
			ended = append(ended, *r)
		}
		return err
	})
	if err != nil || len(ended) < 2 {
		return "", "", errors.Join(err, fmt.Errorf("%d tasks are completed", len(ended)))
	}
	r := ended[0]
	body, err := wire.EncodeEvents([]wire.Event{wire.NewEvent(wire.Event{
		Event: wire.EventCompleted, TaskID: r.ID, WorkerID: r.Worker, Pool: r.Pool, Attempt: r.Attempt, Data: wire.EventData{Fence: r.Fence},
	})})
	if err != nil {
		return "", "", err
	}
	if _, err = js.Publish(ctx, wire.EventsSubject(wire.Shard0), body); err != nil {
		return "", "", err
	}
	m := nats.NewMsg(wire.KVSubject(wire.BucketTasks, ended[1].ID))
	m.Header.Set(wire.HeaderKVOperation, "PURGE")
	_, err = js.PublishMsg(ctx, m)
	return r.ID, ended[1].ID, err
}

// A system that runs already is broken and looked at through its API.
func TestAJoinedSystem(t *testing.T) {
	t.Parallel()
	o := small(t.TempDir())
	sys, err := newSystem(o, o.Dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(sys.close)
	require.NoError(t, sys.start(t.Context()))
	o.Join, o.Kinds, o.Faults = true, plan.Joined, 4
	r, out := newRun(t, o)
	rep, err := (&joined{run: r, c: sys.apis[0]}).drive(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.print(rep))
	require.Empty(t, rep.Findings)
	require.Empty(t, rep.Broken)
	require.Positive(t, rep.Counts.Accepted)
	require.Equal(t, rep.Counts.Accepted, rep.Counts.Ended)
	require.Equal(t, 4, rep.Faults+rep.Skipped)
	require.Contains(t, out.String(), "nothing was lost, nothing counted twice")
}

// However the command ends, nothing that it started outlives it.
func TestNothingOutlivesTheCommand(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command(exe, runItself, dir)
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	natstest.Eventually(t, func() error {
		ledgers, err := filepath.Glob(filepath.Join(dir, "*", ledgerDir, "*.ledger"))
		if err == nil && len(ledgers) < 4 {
			err = fmt.Errorf("%d workers have begun", len(ledgers))
		}
		return err
	})
	all := descendants(t, cmd.Process.Pid)
	require.GreaterOrEqual(t, len(all), 1+6+2+4, "a server, three services twice, two pools with two workers each")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	natstest.Eventually(t, func() error {
		for _, pid := range all {
			if proc.Alive(pid) {
				return fmt.Errorf("process %d is there", pid)
			}
		}
		return nil
	})
}

func descendants(t *testing.T, pid int) []int {
	t.Helper()
	children, err := proc.Children(t.Context(), pid)
	require.NoError(t, err)
	all := children
	for _, c := range children {
		all = append(all, descendants(t, c)...)
	}
	return all
}
