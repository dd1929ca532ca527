package openapi

import "github.com/batuta-tasks/batuta/shared/wire"

// overrides are fields whose schema does not follow from their type.
var overrides = map[string]object{
	"Problem": {
		"errors": nullable(array(ref("Fault"))),
		"code":   object{"type": []string{"string", "null"}, "enum": []any{wire.ProblemPayloadExpired, wire.ProblemUnknownOutcome, nil}},
	},
	"EventData":    {"task": ref("Definition")},
	"TaskResource": {"fence": fence},
	"TaskDetail":   {"fence": fence},
	"Snapshot":     {"type": object{"const": wire.LiveSnapshot}},
	"Delta":        {"type": object{"const": wire.LiveDelta}},
	"Facets":       {},
}

var fence = object{"type": "integer", "minimum": 0, "description": "Grows with every hand-out; 0 before the first."}

// descriptions of components, and of fields as Component.field.
var descriptions = map[string]string{
	"TaskResource":                 "A task as lists show it, without its payload.",
	"TaskDetail":                   "A task with payload, result and history.",
	"TaskResource.attempt":         "1 for the first; counts failures only.",
	"TaskResource.retries":         "Retries so far; a manual retry sets it to 0.",
	"TaskResource.resultOmitted":   "The result is too large for a list; GET /tasks/{id} has it.",
	"TaskResource.startedAt":       "Start of the latest attempt.",
	"TaskResource.executionTimeMs": "Of the latest attempt.",
	"TaskResource.waitTimeMs":      "From due to started, of the latest attempt.",
	"TaskDetail.payloadExpired":    "The payload is no longer kept; it reads null, and the task cannot be retried.",
	"TaskDetail.history":           "Its events, oldest first: the first and the latest ones.",
	"TaskDetail.historyTruncated":  "Events in the middle, or old ones, are missing.",
	"TaskPage.total":               "All matches, not of this page.",
	"TaskPage.nextCursor":          "For the next page; null at the end.",
	"TaskPage.facets":              "Counts of the matches; null unless asked for.",
	"LogPage.nextCursor":           "For the next page; null at the end.",
	"EventsAnswer.nextCursor":      "For older events; null at the end.",
	"BulkAnswer":                   "What became of several tasks; the three counts add up to their number.",
	"WorkerView.assignedTasks":     "Tasks in progress on it now.",
	"WorkerView.cpuPercent":        "Of one core.",
	"EndedWorker":                  "A worker that ended in the last 60 s.",
	"PoolView.min":                 "Total over its processes.",
	"PoolView.max":                 "Total over its processes.",
	"PoolView.reason":              "Of the last scaling.",
	"PoolView.instances":           "Its processes.",
	"QueueView.rateIn":             "Tasks a second that come to wait.",
	"QueueView.rateOut":            "Tasks a second that are started.",
	"QueueView.servedBy":           "Pools that take from it; none means that nothing will run.",
	"QueueView.types":              "Limits by type.",
	"Stats.uptime":                 "hh:mm:ss of the longest running service, hours unbounded.",
	"Stats.averageExecutionTimeMs": "Over the last 15 minutes; null where nothing ran.",
	"Stats.reason":                 "Why the status is not Stable.",
	"Series":                       "One value per step, null where nobody measured.",
	"EventView.seq":                "Sequence in the event stream and place in the message.",
	"EventView.data":               "Every part of the description; which fields there are depends on the event.",
	"Problem":                      "RFC 9457.",
	"Problem.errors":               "All that is wrong with the input.",
	"Fault.field":                  "Path such as [3].backoff.policy; empty for the whole input.",
	"Snapshot":                     "The first message of /ws.",
	"Delta":                        "Every later message of /ws; what did not change is left out.",
}
