package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

func TestReadyAnnouncesTypesAndConcurrency(t *testing.T) {
	t.Parallel()
	h := func(context.Context, *worker.Task) (any, error) { return nil, nil }
	_, ready := start(t, func(o *worker.Options) *worker.Worker {
		o.Concurrency = 7
		w := worker.New(*o)
		w.Handle("b", h)
		w.Handle("a.x", h)
		return w
	})
	require.Equal(t, wire.LineFromWorker{Op: wire.OpReady, Protocol: 1, Types: []string{"a.x", "b"}, Concurrency: 7}, ready)
	_, ready = start(t, func(o *worker.Options) *worker.Worker {
		w := worker.New(*o)
		w.Handle("b", h)
		w.HandleDefault(h)
		return w
	})
	require.Equal(t, wire.LineFromWorker{Op: wire.OpReady, Protocol: 1}, ready)
}

func TestATaskArrivesWholeAndItsResultKeepsItsDigits(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		raw, err := k.Payload()
		if err != nil {
			return nil, err
		}
		return map[string]any{
			"payload": raw, "id": k.ID, "type": k.Type, "attempt": k.Attempt, "fence": k.Fence,
			"timeout": k.Timeout.String(), "tags": k.Tags,
		}, nil
	}))
	p.send(wire.LineToWorker{
		Op: wire.OpTask, ID: "x", Type: "a", Attempt: 3, Fence: 9007199254740993,
		Payload: json.RawMessage(`{"n":1.10,"big":12345678901234567890}`), TimeoutMs: 1500, Tags: map[string]string{"k": "v"},
	})
	l := p.next()
	require.Equal(t, wire.OpResult, l.Op)
	require.Equal(t, "x", l.ID)
	require.Equal(t, `{"attempt":3,"fence":9007199254740993,"id":"x","payload":{"n":1.10,"big":12345678901234567890},`+
		`"tags":{"k":"v"},"timeout":"1.5s","type":"a"}`, string(l.Result))
}

func TestPayloadsInFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "payload.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"name":"in a file"}`), 0o600))
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		var in struct {
			Name string `json:"name"`
		}
		if err := k.Bind(&in); err != nil {
			return nil, err
		}
		r, err := k.PayloadReader()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		return in.Name + " " + strconv.Itoa(len(b)), errors.Join(err, r.Close())
	}))
	p.send(wire.LineToWorker{Op: wire.OpTask, ID: "x", Type: "a", PayloadFile: file})
	require.Equal(t, `"in a file 20"`, string(p.next().Result))
	p.send(wire.LineToWorker{Op: wire.OpTask, ID: "y", Type: "a", PayloadFile: file + ".gone"})
	l := p.next()
	require.Equal(t, wire.OpError, l.Op)
	require.True(t, l.Retryable)
	require.Contains(t, l.Message, "read payload")
}

func TestErrorsOfHandlers(t *testing.T) {
	t.Parallel()
	type in struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
	}
	bind := func(_ context.Context, k *worker.Task) (any, error) { return nil, k.Bind(new(in)) }
	cases := map[string]struct {
		h       worker.Handler
		payload string
		want    wire.LineFromWorker
	}{
		"plain": {
			h:    func(context.Context, *worker.Task) (any, error) { return nil, errTest },
			want: wire.LineFromWorker{Message: "it broke", Retryable: true},
		},
		"permanent": {
			h: func(context.Context, *worker.Task) (any, error) {
				return nil, fmt.Errorf("wrapped: %w", worker.Permanent(errTest))
			},
			want: wire.LineFromWorker{Message: "wrapped: it broke"},
		},
		"later": {
			h: func(context.Context, *worker.Task) (any, error) {
				return nil, worker.RetryAfter(2*time.Second, errTest)
			},
			want: wire.LineFromWorker{Message: "it broke", Retryable: true, RetryAfterMs: new(int64(2000))},
		},
		"unknown key": {
			h: bind, payload: `{"name":"x","cuont":1}`,
			want: wire.LineFromWorker{Message: `payload: unknown field "cuont"`},
		},
		"wrong type": {
			h: bind, payload: `{"count":"1"}`,
			want: wire.LineFromWorker{Message: `payload: count must be an integer, not string`},
		},
		"no JSON of it": {
			h:    func(context.Context, *worker.Task) (any, error) { return math.NaN(), nil },
			want: wire.LineFromWorker{Message: `encode result: json: unsupported value: NaN`},
		},
		"goexit": {
			h:    func(context.Context, *worker.Task) (any, error) { runtime.Goexit(); return nil, nil },
			want: wire.LineFromWorker{Message: "the handler ended its goroutine (runtime.Goexit)", Retryable: true},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := start(t, simple(c.h))
			p.task("x", "a", c.payload)
			c.want.Op, c.want.ID = wire.OpError, "x"
			require.Equal(t, c.want, p.next())
		})
	}
}

func TestNilErrorsStayNil(t *testing.T) {
	t.Parallel()
	require.NoError(t, worker.Permanent(nil))
	require.NoError(t, worker.RetryAfter(time.Second, nil))
}

func TestAPanicFailsTheAttemptAndLeavesItsStackInTheLog(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(context.Context, *worker.Task) (any, error) { panic(errTest) }))
	p.task("x", "a", "")
	l := p.next()
	require.Equal(t, wire.OpLog, l.Op)
	require.Equal(t, wire.LevelError, l.Level)
	require.Contains(t, l.Message, "session_test.go")
	require.Equal(t, wire.LineFromWorker{Op: wire.OpError, ID: "x", Message: "panic: it broke", Retryable: true}, p.next())
	p.task("y", "a", "")
	require.Equal(t, "y", p.next().ID)
}

func TestATypeWithoutHandlerIsAnError(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(context.Context, *worker.Task) (any, error) { return nil, nil }))
	p.task("x", "b", "")
	l := p.next()
	require.Equal(t, wire.OpError, l.Op)
	require.Contains(t, l.Message, `"b"`)
}

func TestTasksRunAtOnceAndCancelsHitOne(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(ctx context.Context, k *worker.Task) (any, error) {
		k.Log(wire.LevelInfo, "here")
		<-ctx.Done()
		k.Log("strange", worker.Reason(ctx))
		return nil, ctx.Err()
	}))
	for i, reason := range []string{wire.CancelCancelled, wire.CancelTimeout, wire.CancelDeadline} {
		p.task("other-"+strconv.Itoa(i), "a", "")
		require.Equal(t, wire.OpLog, p.next().Op)
		p.task("x", "a", "")
		require.Equal(t, "x", p.next().ID)
		p.send(wire.LineToWorker{Op: wire.OpCancel, ID: "nobody", Reason: reason})
		p.send(wire.LineToWorker{Op: wire.OpCancel, ID: "x", Reason: reason})
		require.Equal(t, wire.LineFromWorker{Op: wire.OpLog, ID: "x", Level: "info", Message: reason}, p.next())
		l := p.next()
		require.Equal(t, wire.OpError, l.Op)
		require.Equal(t, "x", l.ID)
		require.Contains(t, l.Message, (&worker.CancelError{Reason: reason}).Error())
	}
}

func TestTheLastProgressIsAlwaysSentAndFewOthersAre(t *testing.T) {
	t.Parallel()
	late := make(chan func(), 1)
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		for i := range 10_000 {
			k.Progress(float64(i)/100, "step "+strconv.Itoa(i))
		}
		late <- func() { k.Progress(1, "late"); k.Log(wire.LevelInfo, "late"); k.Step("late") }
		return 1, nil
	}))
	p.task("x", "a", "")
	var lines []wire.LineFromWorker
	for len(lines) == 0 || lines[len(lines)-1].Op == wire.OpProgress {
		lines = append(lines, p.next())
	}
	require.Equal(t, "step 0", lines[0].Message)
	require.Equal(t, "step 9999", lines[len(lines)-2].Message)
	require.InDelta(t, 99.99, *lines[len(lines)-2].Percent, 0.001)
	require.Less(t, len(lines), 1000)
	(<-late)()
	p.task("y", "a", "")
	require.Equal(t, "step 0", p.next().Message)
}

func TestProgressHeldBackIsSentWhileTheHandlerWorksOn(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		k.Progress(1, "one")
		k.Progress(2, "two")
		<-seen
		return nil, nil
	}))
	p.task("x", "a", "")
	require.Equal(t, "one", p.next().Message)
	require.Equal(t, "two", p.next().Message)
	close(seen)
	require.Equal(t, wire.OpResult, p.next().Op)
}

func TestResultsBeyondALineGoToAFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", wire.MaxLine)
	p, _ := start(t, simple(func(context.Context, *worker.Task) (any, error) { return long, nil }))
	p.task("x", "a", "")
	l := p.next()
	require.Equal(t, wire.OpResult, l.Op)
	require.True(t, filepath.IsAbs(l.ResultFile))
	b, err := os.ReadFile(l.ResultFile)
	require.NoError(t, err)
	require.Equal(t, `"`+long+`"`, string(b))
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		k.Step("in it")
		<-release
		return "done", nil
	}))
	p.task("x", "a", "")
	p.next()
	p.send(wire.LineToWorker{Op: wire.OpDrain})
	p.task("late", "a", "")
	require.Equal(t, "late", p.next().ID)
	close(release)
	require.Equal(t, wire.OpResult, p.next().Op)
	require.Equal(t, wire.OpResult, p.next().Op)
	require.NoError(t, p.wait())
	require.ErrorIs(t, <-p.ended, io.EOF)
	require.Empty(t, p.exits)
}

func TestTheEndOfTheContextDrains(t *testing.T) {
	t.Parallel()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	w := worker.New(worker.Options{Stdin: inR, Stdout: outW})
	release := make(chan struct{})
	w.HandleDefault(func(ctx context.Context, k *worker.Task) (any, error) {
		k.Step("in it")
		<-release
		return 1, ctx.Err()
	})
	p := &pool{t: t, in: inW, done: make(chan error, 1)}
	p.read(outR)
	go func() {
		err := w.Run(ctx)
		outW.Close()
		p.done <- err
	}()
	p.next()
	p.task("x", "whatever", "")
	p.next()
	cancel()
	close(release)
	require.Equal(t, wire.OpResult, p.next().Op)
	require.NoError(t, p.wait())
	require.NoError(t, inW.Close())
}

func TestWhenThePoolIsGoneTheWorkerExitsAtOnce(t *testing.T) {
	t.Parallel()
	causes, killed := make(chan error, 1), make(chan struct{})
	p, _ := start(t, func(o *worker.Options) *worker.Worker {
		o.BeforeExit = func() { close(killed) }
		return simple(func(ctx context.Context, k *worker.Task) (any, error) {
			k.Step("in it")
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return nil, nil
		})(o)
	})
	p.task("x", "a", "")
	p.next()
	require.NoError(t, p.in.Close())
	require.ErrorIs(t, p.wait(), worker.ErrPoolGone)
	require.Equal(t, 0, <-p.exits)
	require.ErrorIs(t, <-causes, worker.ErrPoolGone)
	<-killed
}

func TestAPoolThatBreaksTheProtocolEndsTheWorker(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(context.Context, *worker.Task) (any, error) { return nil, nil }))
	_, err := io.WriteString(p.in, "hello\n")
	require.NoError(t, err)
	var broken *wire.ProtocolError
	require.ErrorAs(t, p.wait(), &broken)
	require.Empty(t, p.exits)
}

func TestHeartbeatsFlowWhileAHandlerBlocks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p, _ := start(t, func(o *worker.Options) *worker.Worker {
		o.Getenv = func(name string) string {
			return map[string]string{"BATUTA_HEARTBEAT_MS": "20"}[name]
		}
		return simple(func(context.Context, *worker.Task) (any, error) { <-release; return nil, nil })(o)
	})
	p.task("x", "a", "")
	for range 5 {
		require.Equal(t, wire.OpHeartbeat, p.any().Op)
	}
	close(release)
	require.Equal(t, wire.OpResult, p.next().Op)
}

func TestManyTasksAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	p, _ := start(t, simple(func(_ context.Context, k *worker.Task) (any, error) {
		k.Progress(50, "half")
		return k.ID, nil
	}))
	const n = 2000
	go func() {
		for i := range n {
			p.task("t"+strconv.Itoa(i), "a", "1")
		}
		p.send(wire.LineToWorker{Op: wire.OpDrain})
	}()
	results := map[string]bool{}
	for len(results) < n {
		if l := p.next(); l.Op == wire.OpResult {
			require.Equal(t, strconv.Quote(l.ID), string(l.Result))
			results[l.ID] = true
		}
	}
	require.NoError(t, p.wait())
}

func TestBadOptionsAreNamed(t *testing.T) {
	t.Parallel()
	h := func(context.Context, *worker.Task) (any, error) { return nil, nil }
	mux := worker.NewMux()
	mux.Handle("a", h)
	for want, o := range map[string]worker.Options{
		"no handler is set":                    {},
		`"b" has no handler`:                   {Mux: mux, Types: []string{"a", "b"}},
		"Concurrency: -1":                      {Mux: mux, Concurrency: -1},
		"Stdin and Stdout go together":         {Mux: mux, Stdin: strings.NewReader("")},
		`BATUTA_HEARTBEAT_MS: "soon": must be`: {Mux: mux, Getenv: func(string) string { return "soon" }},
	} {
		require.ErrorContains(t, worker.New(o).Run(context.Background()), want)
	}
	require.Panics(t, func() { mux.Handle("a", h) })
	require.Panics(t, func() { mux.Handle("a b", h) })
	require.Panics(t, func() { mux.Handle("c", nil) })
	require.Panics(t, func() { mux.HandleDefault(nil) })
	_, ok := mux.Lookup("b")
	require.False(t, ok)
}
