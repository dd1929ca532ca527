package run

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Control takes a command from the control stream: cancels of what runs here are passed on
// to the workers, all others remembered for a while.
func (r *Runner) Control(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		r.cfg.Log.Error("a command without a sequence", obs.Err(err))
		return
	}
	command, id := wire.ParseCommand(m.Subject())
	ids := []string{id}
	switch command {
	case "cancel":
	case "request.cancel":
		c, err := wire.DecodeCommand(m.Data())
		if err != nil {
			return // the scheduler rejects it
		}
		ids = c.IDs
	default:
		return
	}
	for _, id := range ids {
		r.cancelTask(id, meta.Sequence.Stream)
	}
}

func (r *Runner) cancelTask(id string, seq uint64) {
	r.mu.Lock()
	if old := r.cancelled[id]; old.seq < seq {
		r.cancelled[id] = mark{seq: seq, at: time.Now()}
	}
	a := r.held[id]
	if a == nil || seq <= a.env.ControlSeq {
		r.mu.Unlock()
		return
	}
	if a.phase != running {
		if a.phase != ending && a.phase != over && a.stop == stopNone {
			a.stop = stopCancel
		}
		parked := a.phase == waiting
		r.mu.Unlock()
		if parked {
			r.drop(a, waiting)
		}
		return
	}
	handOut := a.handOut
	r.mu.Unlock()
	r.stopRunning(a, handOut, stopCancel)
}
