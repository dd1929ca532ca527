package systems

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/ledger"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// handler is what a worker process in Go does with each task.
type handler struct {
	spec role.Worker
	pipe *role.Pipe // nil where the process has none
	book *ledger.Book
}

func newHandler(spec role.Worker, pipe *role.Pipe) (*handler, error) {
	h := &handler{spec: spec, pipe: pipe}
	h.book = ledger.NewBook(spec.Expect, func(at int64) {
		if pipe != nil {
			pipe.Say(role.Line{Op: role.OpDone, At: at})
		}
	})
	if err := os.MkdirAll(spec.Ledger, 0o755); err != nil {
		return nil, err
	}
	if spec.AtOnce {
		return h, h.book.AtOnce(spec.Ledger)
	}
	return h, nil
}

// handle runs one task.
func (h *handler) handle(payload []byte) error {
	n, at, err := role.ParsePayload(payload)
	if err == nil {
		h.run(n, at)
	}
	return err
}

// run is handle for a payload that has been read.
func (h *handler) run(n uint32, at int64) {
	started := h.book.Run(n, at, func() {
		if h.spec.TaskUs > 0 {
			<-time.After(time.Duration(h.spec.TaskUs) * time.Microsecond)
		}
	})
	if h.spec.Echo {
		h.pipe.Say(role.Line{Op: role.OpStart, From: at, At: started})
	}
}

// serve says that the worker is ready and does what it is told until it is to stop.
func (h *handler) serve() error {
	h.pipe.Say(role.Line{Op: role.OpReady})
	for {
		l, err := h.pipe.Hear()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case l.Op == role.OpSave:
			if err := h.book.Save(h.spec.Ledger); err != nil {
				return err
			}
			h.pipe.Say(role.Line{Op: role.OpSaved})
		case l.Op == role.OpStop:
			return nil
		}
	}
}
