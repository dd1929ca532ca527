// Package proc runs workers: processes that speak the line protocol over stdin and stdout,
// or, for programs that embed a pool, handlers inside this process.
package proc

import (
	"errors"
	"fmt"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Handler hears of one worker. Both methods are called by the worker's own goroutine.
type Handler interface {
	// Line takes a line of the worker. It must not block. An error says that the line
	// breaks the protocol, which ends the worker.
	Line(l *wire.LineFromWorker) error
	// Busy tells whether the worker has tasks.
	Busy() bool
	// Exited is called once, after the last line.
	Exited(e Exit)
}

// Worker is a running worker.
type Worker interface {
	// PID of the process.
	PID() int
	// Send hands a line over and returns before it is written; it never blocks. The error
	// is wire.ErrLineTooLong, or ErrGone.
	Send(l *wire.LineToWorker) error
	// Kill ends the worker and all processes of its group at once.
	Kill()
}

// Launcher starts workers.
type Launcher interface {
	Launch(id string, h Handler) (Worker, error)
}

// errClosed is why a process is ended that lives on without one of its pipes.
func errClosed(pipe string) error {
	return fmt.Errorf("worker protocol: it closed its %s", pipe)
}

// ErrGone is returned for lines to a worker that has ended.
var ErrGone = errors.New("the worker is gone")

// Exit is how a worker ended.
type Exit struct {
	// Code is the exit code, -1 where a signal ended it.
	Code int
	// Signal is the signal's name, where one ended it.
	Signal string
	// Broken is why the pool ended it, where the worker broke the protocol.
	Broken error
}

// Clean tells whether the worker ended by itself with code 0.
func (e Exit) Clean() bool { return e.Broken == nil && e.Signal == "" && e.Code == 0 }

// String says it in words.
func (e Exit) String() string {
	switch {
	case e.Broken != nil:
		return e.Broken.Error()
	case e.Signal != "":
		return "ended by signal: " + e.Signal
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}
