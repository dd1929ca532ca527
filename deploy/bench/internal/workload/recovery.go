package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/clock"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/ledger"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

const (
	// dying tasks run in the worker that is killed, of recoveryTask each.
	dying        = 4
	recoveryTask = 400 * time.Millisecond
	ledgerPoll   = time.Millisecond
)

// NotRecovered is the figure of a system that ran out of patience.
const NotRecovered = -1

// recovery measures from the SIGKILL of a worker process to the restart of what it ran.
func (b *bench) recovery(ctx context.Context) (Figures, error) {
	w := role.Worker{Expect: dying, Slots: dying * 4, TaskUs: int(recoveryTask.Microseconds()), AtOnce: true, Tuned: true}
	if err := b.start(ctx, w); err != nil {
		return nil, err
	}
	first, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.producer(ctx, role.Producer{Mode: role.ModeOne, Tasks: dying, Producers: dying})
	if err != nil {
		return nil, err
	}
	if err := p.Say(role.OpGo); err != nil {
		return nil, err
	}
	running, err := b.starts(ctx, dying)
	if err != nil {
		return nil, err
	}
	var killed []ledger.Entry
	var at int64
	if first == nil {
		killed, at, err = b.killOne()
	} else if _, err = b.worker(ctx); err == nil { // its successor lives already
		killed, at = running.Entries, clock.Now()
		first.Kill()
	}
	if err != nil {
		return nil, err
	}
	return b.restarts(ctx, killed, at)
}

// starts waits until n starts are written down.
func (b *bench) starts(ctx context.Context, n int) (*ledger.Ledger, error) {
	for {
		l, err := ledger.Read(b.env.Ledger())
		if err != nil || len(l.Entries) >= n {
			return l, err
		}
		if err := rest(ctx, ledgerPoll); err != nil {
			return nil, fmt.Errorf("%d of %d tasks have started: %w", len(l.Entries), n, err)
		}
	}
}

// killOne kills one of the servers' worker processes that runs something.
func (b *bench) killOne() ([]ledger.Entry, int64, error) {
	for _, parent := range b.server.PIDs() {
		for _, pid := range proc.Children(parent) {
			running, err := ledger.ReadOf(b.env.Ledger(), pid)
			if err != nil {
				return nil, 0, err
			}
			if len(running.Entries) > 0 {
				at := clock.Now()
				return running.Entries, at, proc.KillPID(pid)
			}
		}
	}
	return nil, 0, errors.New("no worker process runs anything")
}

// restarts waits for the second start of each task that was cut short.
func (b *bench) restarts(ctx context.Context, killed []ledger.Entry, at int64) (Figures, error) {
	late := time.Now().Add(b.size.Patience)
	for {
		l, err := ledger.Read(b.env.Ledger())
		if err != nil {
			return nil, err
		}
		again := map[uint32]int64{}
		for _, e := range l.Entries {
			for _, k := range killed {
				if e.N == k.N && e.Started > at && (again[e.N] == 0 || e.Started < again[e.N]) {
					again[e.N] = e.Started
				}
			}
		}
		if len(again) == len(killed) {
			return spread(again, at), nil
		}
		if time.Now().After(late) {
			return Figures{First: NotRecovered, Last: NotRecovered}, nil
		}
		if err := rest(ctx, ledgerPoll); err != nil {
			return nil, err
		}
	}
}

func spread(again map[uint32]int64, at int64) Figures {
	f := Figures{First: -1}
	for _, started := range again {
		ms := clock.Ms(started - at)
		if f[First] < 0 || ms < f[First] {
			f[First] = ms
		}
		f[Last] = max(f[Last], ms)
	}
	return f
}
