package run

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	logsEvery = 100 * time.Millisecond
	// maxLogText is the longest line kept whole, maxLogBatch the bytes of one message.
	maxLogText  = 64 << 10
	maxLogBatch = 256 << 10
	// maxLogWaiting bounds what waits while the stream cannot take it.
	maxLogWaiting = 4 << 20
	logsTimeout   = 3 * time.Second
	logLineExtra  = 64
)

// logs gathers the log lines of a task.
type logs struct {
	mu      sync.Mutex
	lines   []wire.LogLine
	bytes   int
	dropped int
	timer   bool
	// writing counts who is about to publish.
	writing int

	// publishing keeps messages in order.
	publishing sync.Mutex
}

// stored tells whether nothing waits and nothing is on its way.
func (g *logs) stored() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.lines) == 0 && g.dropped == 0 && g.writing == 0
}

func (g *logs) write(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing += n
}

// take is the next message's lines.
func (g *logs) take() []wire.LogLine {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.lines) {
		size += len(g.lines[n].Message) + logLineExtra
		if n > 0 && size > maxLogBatch {
			break
		}
		n++
	}
	out := g.lines[:n:n]
	g.lines = g.lines[n:]
	if len(g.lines) == 0 {
		g.bytes = 0
		if g.dropped > 0 {
			out = append(out, wire.LogLine{At: wire.Now(), Level: wire.LevelWarn, Message: "lines were dropped: they came faster than they could be stored"})
			g.dropped = 0
		}
	}
	return out
}

func (r *Runner) logged(a *attempt, w *fleet.Worker, l *wire.LineFromWorker) {
	r.mu.Lock()
	current := a.phase == running && a.worker == w && a.stop != stopLease
	r.mu.Unlock()
	if !current {
		return
	}
	g := &a.logs
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes > maxLogWaiting {
		g.dropped++
		return
	}
	text := clip(l.Message)
	g.lines = append(g.lines, wire.LogLine{At: wire.Now(), Level: l.Level, Message: text, Attempt: a.env.Attempt})
	g.bytes += len(text) + logLineExtra
	if !g.timer {
		g.timer = true
		r.spawn(func() { r.logsLater(a) })
	}
}

func (r *Runner) logsLater(a *attempt) {
	t := time.NewTimer(logsEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
	a.logs.mu.Lock()
	a.logs.timer = false
	a.logs.mu.Unlock()
	r.publishLogs(a)
}

func (r *Runner) publishLogs(a *attempt) {
	g := &a.logs
	g.write(1)
	defer g.write(-1)
	g.publishing.Lock()
	defer g.publishing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), logsTimeout)
	defer cancel()
	for lines := g.take(); len(lines) > 0; lines = g.take() {
		body, err := json.Marshal(lines)
		if err != nil {
			r.cfg.Log.Error("log lines do not encode", obs.KeyTaskID, a.env.ID, obs.Err(err))
			return
		}
		m := nats.NewMsg(wire.LogsSubject(a.env.ID))
		m.Data = body
		if _, err := r.cfg.Pub.Publish(ctx, m); err != nil {
			r.cfg.Log.Warn("log lines of a task are lost", obs.KeyTaskID, a.env.ID, "lines", len(lines), obs.Err(err))
			return
		}
	}
}

// flushLogs stores what a task has logged, then goes on. Without log lines that is at once.
func (r *Runner) flushLogs(a *attempt, then func()) {
	if a.logs.stored() {
		then()
		return
	}
	r.spawn(func() {
		r.publishLogs(a)
		then()
	})
}

func clip(s string) string {
	if len(s) <= maxLogText {
		return s
	}
	n := maxLogText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
