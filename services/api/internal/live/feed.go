package live

import "github.com/batuta-tasks/batuta/shared/wire"

// Source is what the feed shows: the read model.
type Source interface {
	Stats() wire.Stats
	Workers() wire.WorkersAnswer
	Pools() []wire.PoolView
	Queues() []wire.QueueView
	// NewestTasks are the n tasks submitted last, newest first.
	NewestTasks(n int) ([]wire.TaskResource, error)
	// NewestEvents are the last n events, newest first.
	NewestEvents(n int) []wire.EventView
	// Collect tells whether changes are to be kept until they are taken.
	Collect(on bool)
	// Changes takes what has changed since the last call.
	Changes() Changes
}

// Changes is what became of tasks, and what happened. Under load the source keeps the newest
// changes only: at most MaxTasks tasks and MaxEvents events.
type Changes struct {
	// Upserted tasks without result, in the order of their changes.
	Upserted []wire.TaskResource
	// Removed ids.
	Removed []string
	// Events, newest first.
	Events []wire.EventView
}

// Bounds of one message.
const (
	// MaxTasks bounds the tasks in a delta. Where more have changed in its interval the
	// delta has those that changed last, and no word of the others: whoever shows a list
	// asks for it anew from time to time, and a slow link survives.
	MaxTasks = 500
	// MaxRemoved bounds the removed tasks in a delta in the same way.
	MaxRemoved = 2000
	// MaxEvents bounds the events in a delta in the same way.
	MaxEvents = 200
	// SnapshotTasks and SnapshotEvents are how many a snapshot has.
	SnapshotTasks  = 200
	SnapshotEvents = 200
)
