package worker

import (
	"context"
	"fmt"
	"slices"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Handler runs one attempt of a task. What it returns is stored as the task's result, as
// JSON (a json.RawMessage as it is); an error makes the attempt fail, to be retried unless
// it is [Permanent]. It should return soon after ctx is done; [Reason] says why it is.
// Handlers run at the same time as others.
type Handler func(ctx context.Context, t *Task) (any, error)

// Mux finds the handler of a type. It must not be changed once it is in use.
type Mux struct {
	handlers map[string]Handler
	fallback Handler
}

// NewMux is a mux without handlers.
func NewMux() *Mux { return &Mux{handlers: map[string]Handler{}} }

// Handle sets the handler of a type. It panics where the type is not valid, has a handler
// already, or h is nil: mistakes of the program, not of its input.
func (m *Mux) Handle(taskType string, h Handler) {
	switch {
	case !wire.ValidType(taskType):
		panic(fmt.Sprintf("worker: Handle: %q is not a task type", taskType))
	case h == nil:
		panic(fmt.Sprintf("worker: Handle: the handler of %q is nil", taskType))
	case m.handlers[taskType] != nil:
		panic(fmt.Sprintf("worker: Handle: %q has a handler already", taskType))
	}
	m.handlers[taskType] = h
}

// HandleDefault sets the handler of every type without one of its own.
func (m *Mux) HandleDefault(h Handler) {
	if h == nil || m.fallback != nil {
		panic("worker: HandleDefault: one handler that is not nil")
	}
	m.fallback = h
}

// Lookup is the handler of a type.
func (m *Mux) Lookup(taskType string) (Handler, bool) {
	if h, ok := m.handlers[taskType]; ok {
		return h, true
	}
	return m.fallback, m.fallback != nil
}

// Types lists the types that have a handler, sorted; nil means every type, since there is
// a default.
func (m *Mux) Types() []string {
	if m.fallback != nil {
		return nil
	}
	types := make([]string, 0, len(m.handlers))
	for t := range m.handlers {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}
