package core

import (
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Refused tells whether the server's word on a message is final: asking again is no use.
func Refused(err error) bool { return natsx.Final(err) }

// FailedEvent is the scheduler's word that a task ends without a further hand-out.
func FailedEvent(env *wire.Envelope, code wire.ErrorCode, message string, at wire.Time) wire.Event {
	return wire.NewEvent(wire.Event{Event: wire.EventFailed, Timestamp: at, TaskID: env.ID, Attempt: env.Attempt, Data: wire.EventData{
		Round: env.Round, Final: new(true), Retries: new(env.Retries), MaxRetries: new(env.Task.MaxRetries),
		Error: &wire.TaskError{Message: message, Code: code, Attempt: env.Attempt, At: at},
	}})
}
