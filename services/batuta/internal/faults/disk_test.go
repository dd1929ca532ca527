package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/up"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// post submits one task over HTTP.
func post(t *testing.T, url, task string) (status int, header http.Header, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/tasks", strings.NewReader(task))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(b)
}

// long tasks still run when a disk has become full.
const long = `{"type":"nap","payload":3000}`

// someRun is nil once tasks run.
func (s *system) someRun() error {
	began, _ := s.executions()
	if len(began) == 0 {
		return errors.New("no task runs")
	}
	return nil
}

func (s *system) submitted() uint64 {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), wire.StreamSubmit)
	require.NoError(s.t, err)
	return st.CachedInfo().State.Msgs
}

// requireRefused posts until the API says that there is no room: 503, when to come again, and
// nothing is half accepted.
func (s *system) requireRefused(url string) {
	s.t.Helper()
	before := s.submitted()
	for range 3 {
		status, header, body := post(s.t, url, nap)
		require.Equal(s.t, http.StatusServiceUnavailable, status, body)
		require.NotEmpty(s.t, header.Get("Retry-After"))
		require.Contains(s.t, body, "nothing was accepted")
	}
	require.Equal(s.t, before, s.submitted())
}

// A stream at its limit, then the whole store at its limit: submissions are refused, what is
// accepted stays, and once there is room everything goes on.
func TestFullStore(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, natstest.MaxStore(256<<20))
	s := newSystem(t, srv.URL(), srv.URL())
	api := s.add("scheduler", "state-recorder", "worker-pool", "api")[3]
	s.submit(200, `{"type":"nap","payload":50}`)

	st, err := s.js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	limited, room := st.CachedInfo().Config, st.CachedInfo().Config.MaxBytes
	limited.MaxBytes = int64(st.CachedInfo().State.Bytes) + 10
	_, err = s.js.UpdateStream(t.Context(), limited)
	require.NoError(t, err)
	s.requireRefused(api.http)
	limited.MaxBytes = room
	_, err = s.js.UpdateStream(t.Context(), limited)
	require.NoError(t, err)

	other, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SOMEBODY_ELSES", Subjects: []string{"else"}})
	require.NoError(t, err)
	fill := func(size int) {
		err = nil
		for err == nil {
			_, err = s.js.Publish(t.Context(), "else", make([]byte, size))
		}
	}
	fill(1<<20 - 100)
	require.NoError(t, other.DeleteMsg(t.Context(), 1))
	s.submit(40, long) // they run while the rest fills up, and need room when they end
	fill(10 << 10)
	fill(16)
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, jetstream.ErrorCode(10023), refused.ErrorCode)
	s.requireRefused(api.http)
	natstest.Eventually(t, func() error { // who needs room says that there is none
		if !slices.ContainsFunc(s.procs, func(p *proc) bool { return p.ready() != nil }) {
			return errors.New("all services call themselves ready")
		}
		return nil
	})
	require.NoError(t, s.js.DeleteStream(t.Context(), "SOMEBODY_ELSES"))
	s.requireCompleted()
}

// storeOn makes a server store on a disk.
func storeOn(d *natstest.Disk) natstest.Option {
	return func(o *server.Options) { o.StoreDir = filepath.Join(d.Dir(), "store") }
}

// A disk that is really full freezes the streams of a NATS server of its own. Services say so
// in /readyz, also when the disk has room again: somebody has to restart that server. Then
// everything goes on, and nothing is missing.
func TestFullDiskOfAnotherServer(t *testing.T) {
	t.Parallel()
	natstest.OnSmallDisk(t, "400m", fullDiskOfAnotherServer)
}

func fullDiskOfAnotherServer(t *testing.T, disk *natstest.Disk) {
	t.Helper()
	srv := natstest.StartProcess(t, storeOn(disk))
	s := newSystem(t, srv.URL(), srv.URL())
	s.add("scheduler", "state-recorder", "worker-pool")
	s.submit(40, long)
	natstest.Eventually(t, s.someRun)
	disk.Fill(t)
	natstest.Eventually(t, func() error {
		for _, p := range s.procs {
			if strings.Contains(fmt.Sprint(p.ready()), "stores nothing although NATS is connected") {
				return nil
			}
		}
		return errors.New("nobody says why nothing goes on")
	})
	disk.Free(t)
	srv.Kill(t)
	srv.StartAgain(t)
	s.submit(20, nap)
	s.requireCompleted()
}

// The embedded server is restarted by itself once the disk has room.
func TestFullDiskOfTheEmbeddedServer(t *testing.T) {
	natstest.OnSmallDisk(t, "400m", fullDiskOfTheEmbeddedServer)
}

func fullDiskOfTheEmbeddedServer(t *testing.T, disk *natstest.Disk) {
	t.Helper()
	ledger := filepath.Join(t.TempDir(), "ledger")
	t.Setenv(envLedger, ledger)
	y := up.New(upSettings(t, disk.Dir()), obs.NewTestLogger(t.Output()))
	require.NoError(t, y.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, y.Stop(context.Background())) })
	s := newSystem(t, y.NATSURL(), y.NATSURL())
	s.ledger = ledger
	s.submit(40, long)
	natstest.Eventually(t, s.someRun)
	disk.Fill(t)
	natstest.Eventually(t, func() error {
		if err := y.Ready(); err == nil || !strings.Contains(err.Error(), "BATUTA_DATA_DIR: the disk is full") {
			return fmt.Errorf("it says: %w", err)
		}
		return nil
	})
	// A small one may find room in a page that is there already.
	status, header, body := post(t, "http://"+y.Addr(), `{"type":"nap","payload":"`+strings.Repeat("x", 100_000)+`"}`)
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.NotEmpty(t, header.Get("Retry-After"))
	disk.Free(t)
	natstest.Eventually(t, y.Ready)
	s.submit(20, nap)
	s.awaitEnd()
	s.awaitLanesEmpty()
	b := s.fold()
	for _, id := range s.ids() {
		require.Equal(t, wire.StatusCompleted, b.records[id].Status, "%+v", b.records[id])
		require.Equal(t, 1, b.ends[id])
	}
	s.requireFolded(b)
}

func upSettings(t *testing.T, dir string) *settings.Settings {
	t.Helper()
	fs := pflag.NewFlagSet("up", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Up)
	require.NoError(t, fs.Parse([]string{
		"--http-addr=127.0.0.1:0", "--nats-addr=127.0.0.1:0", "--data-dir=" + dir, "--worker-command=" + natstest.Program() + " worker",
		"--lease=2s", "--heartbeat=200ms", "--hung-after=4s", "--pool-min=2", "--pool-max=2",
	}))
	s, err := settings.Load(fs, nil)
	require.NoError(t, err)
	return s
}
