package openapi

import (
	"slices"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// operation is one request of the API.
type operation struct {
	method, path, id, tag, summary, description string
	// role that is needed; empty for none.
	role     string
	query    []parameter
	body     object
	answers  []reply
	problems []int
}

type parameter struct {
	name, text string
	schema     object
}

// reply is an answer that is no problem.
type reply struct {
	status   int
	shape    any
	text     string
	media    string
	location bool
	file     bool
}

// Health is the answer of a probe.
type Health struct {
	Status string `json:"status"`
}

var text = object{"type": "string"}

func number(least, most, absent int) object {
	return object{"type": "integer", "minimum": least, "maximum": most, "default": absent}
}

var filters = []parameter{
	{"status", "Statuses, separated by commas (or).", text},
	{"type", "Types, separated by commas; `image.*` takes all below image.", text},
	{"queue", "Queues, separated by commas.", text},
	{"priority", "Priorities, separated by commas.", text},
	{"worker", "Workers, separated by commas.", text},
	{"tag", "`key:value` pairs, separated by commas (or).", text},
	{"q", "Prefix of the id.", text},
}

var listParams = append(slices.Clip(filters),
	parameter{"sort", "Order; `-` before it is descending.", object{
		"type": "string", "default": "-submittedAt",
		"enum": []string{"submittedAt", "-submittedAt", "priority", "-priority", "executionTimeMs", "-executionTimeMs"},
	}},
	parameter{"limit", "Tasks of one page.", number(1, 1000, 50)},
	parameter{"cursor", "nextCursor of the page before.", text},
	parameter{"facets", "1 adds counts by status, type, queue and priority.", object{"type": "string", "enum": []string{"0", "1"}}},
)

var eventParams = []parameter{
	{"task", "Id of a task.", text},
	{"worker", "Id of a worker.", text},
	{"event", "Names of events, separated by commas.", text},
	{"since", "A time, RFC 3339: not older.", object{"type": "string", "format": "date-time"}},
	{"until", "A time, RFC 3339: not newer.", object{"type": "string", "format": "date-time"}},
	{"limit", "Events of one page.", number(1, 1000, 100)},
	{"cursor", "nextCursor of the page before.", text},
}

const (
	viewer    = "viewer"
	submitter = "submitter"
	operator  = "operator"
)

var operations = []operation{
	{
		method: "POST", path: "/tasks", id: "submitTasks", tag: "tasks", summary: "Submit one task, or an array of 1 to 10,000",
		description: "Not atomic: each member of an array has its own result. The same id with the same content runs once.",
		role:        submitter, body: object{"oneOf": []object{ref("Submission"), {"type": "array", "minItems": 1, "maxItems": wire.MaxGroupHTTP, "items": ref("Submission")}}},
		answers: []reply{
			{status: 202, shape: accepted{}, text: "Durably accepted.", location: true},
			{status: 200, shape: wire.DuplicateAnswer{}, text: "The very task exists already."},
		}, problems: []int{409, 413, 415, 503},
	},
	{
		method: "GET", path: "/tasks", id: "listTasks", tag: "tasks", summary: "List tasks", role: viewer, query: listParams,
		answers: []reply{{status: 200, shape: wire.TaskPage{}}}, problems: []int{503},
	},
	bulkOperation("cancel", "Cancel all tasks that match and have not ended"),
	bulkOperation("retry", "Retry all tasks that match and have failed or were cancelled"),
	bulkOperation("delete", "Delete all tasks that match and have ended"),
	{
		method: "GET", path: "/tasks/{id}", id: "getTask", tag: "tasks", summary: "One task with payload, result and history", role: viewer,
		answers: []reply{{status: 200, shape: wire.TaskDetail{}}}, problems: []int{404, 503},
	},
	{
		method: "DELETE", path: "/tasks/{id}", id: "deleteTask", tag: "tasks", summary: "Delete a task that has ended", role: operator,
		answers: []reply{{status: 204, text: "It is gone."}}, problems: []int{404, 409, 413, 415, 503},
	},
	{
		method: "GET", path: "/tasks/{id}/logs", id: "taskLogs", tag: "tasks", summary: "What its worker logged, oldest first", role: viewer,
		query:   []parameter{{"limit", "Lines of one page.", number(1, 1000, 200)}, {"cursor", "nextCursor of the page before.", text}},
		answers: []reply{{status: 200, shape: wire.LogPage{}}}, problems: []int{404, 503},
	},
	{
		method: "POST", path: "/tasks/{id}/cancel", id: "cancelTask", tag: "tasks", summary: "Cancel a task", role: operator,
		description: "Also accepted where it is cancelled already.",
		answers:     []reply{{status: 202, shape: wire.ActionAnswer{}}}, problems: []int{404, 409, 413, 415, 503},
	},
	{
		method: "POST", path: "/tasks/{id}/retry", id: "retryTask", tag: "tasks", summary: "Run a failed or cancelled task again", role: operator,
		description: "A 409 with the code payloadExpired says that the payload is no longer kept.",
		answers:     []reply{{status: 202, shape: wire.ActionAnswer{}}}, problems: []int{404, 409, 413, 415, 503},
	},
	{
		method: "GET", path: "/workers/status", id: "listWorkers", tag: "workers", summary: "Workers alive, and those that ended in the last 60 s", role: viewer,
		answers: []reply{{status: 200, shape: wire.WorkersAnswer{}}},
	},
	{
		method: "GET", path: "/workers/{id}", id: "getWorker", tag: "workers", summary: "One worker", role: viewer,
		answers: []reply{{status: 200, shape: wire.WorkerView{}}}, problems: []int{404},
	},
	{
		method: "POST", path: "/workers/{id}/drain", id: "drainWorker", tag: "workers", summary: "Let a worker finish what runs, then end it", role: operator,
		answers: []reply{{status: 202, shape: wire.ActionAnswer{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "POST", path: "/workers/{id}/kill", id: "killWorker", tag: "workers", summary: "Kill a worker; its tasks are handed out again", role: operator,
		answers: []reply{{status: 202, shape: wire.ActionAnswer{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "GET", path: "/pools", id: "listPools", tag: "pools", summary: "All pools", role: viewer,
		answers: []reply{{status: 200, shape: wire.PoolsAnswer{}}},
	},
	{
		method: "GET", path: "/pools/{name}", id: "getPool", tag: "pools", summary: "One pool", role: viewer,
		answers: []reply{{status: 200, shape: wire.PoolView{}}}, problems: []int{404},
	},
	{
		method: "PATCH", path: "/pools/{name}", id: "changePool", tag: "pools", summary: "Change the size of a pool, or pause it", role: operator,
		description: "Kept, and outranks the settings of the pool's processes. min and max are totals; null goes back to the settings.", body: ref("PoolChange"),
		answers: []reply{{status: 200, shape: wire.PoolView{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "GET", path: "/queues", id: "listQueues", tag: "queues", summary: "All queues", role: viewer,
		answers: []reply{{status: 200, shape: wire.QueuesAnswer{}}},
	},
	{
		method: "GET", path: "/queues/{name}", id: "getQueue", tag: "queues", summary: "One queue", role: viewer,
		answers: []reply{{status: 200, shape: wire.QueueView{}}}, problems: []int{404},
	},
	{
		method: "PATCH", path: "/queues/{name}", id: "changeQueue", tag: "queues", summary: "Pause or resume a queue", role: operator,
		description: "What is not named stays; null takes a limit away. Limits are in force when the answer comes: a new one settles for a moment first, while pools tell what they run.",
		body:        ref("QueueChange"),
		answers:     []reply{{status: 200, shape: wire.QueueView{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "POST", path: "/queues/{name}/pause", id: "pauseQueue", tag: "queues", summary: "Hand out nothing of a queue", role: operator,
		answers: []reply{{status: 200, shape: wire.QueueView{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "POST", path: "/queues/{name}/resume", id: "resumeQueue", tag: "queues", summary: "Undo a pause", role: operator,
		answers: []reply{{status: 200, shape: wire.QueueView{}}}, problems: []int{404, 413, 415, 503},
	},
	{
		method: "GET", path: "/stats", id: "stats", tag: "system", summary: "The global figures", role: viewer,
		answers: []reply{{status: 200, shape: wire.Stats{}}},
	},
	{
		method: "GET", path: "/stats/series", id: "series", tag: "system", summary: "Figures over time, up to 24 h back", role: viewer,
		query: []parameter{
			{"window", "How far back, such as 15m.", object{"type": "string", "default": "15m"}},
			{"step", "Length of a step, such as 5s.", object{"type": "string", "default": "5s"}},
		}, answers: []reply{{status: 200, shape: wire.Series{}}}, problems: []int{503},
	},
	{
		method: "GET", path: "/events", id: "listEvents", tag: "system", summary: "Events, newest first", role: viewer, query: eventParams,
		answers: []reply{{status: 200, shape: wire.EventsAnswer{}}}, problems: []int{503},
	},
	{
		method: "GET", path: "/metrics", id: "metrics", tag: "system", summary: "Prometheus text format", role: viewer,
		answers: []reply{{status: 200, media: "text/plain"}},
	},
	{
		method: "GET", path: "/ws", id: "live", tag: "system", summary: "WebSocket: a snapshot, then what changes", role: viewer,
		description: "Messages are Snapshot and Delta: at most four a second, at least one in two seconds. A client that cannot keep up is closed with a reason.",
		query:       []parameter{{"since", "seq of the last message seen: goes on there where that is still possible.", text}},
		answers:     []reply{{status: 101, text: "The WebSocket is open."}}, problems: []int{426, 503},
	},
	{
		method: "GET", path: "/openapi.json", id: "openapi", tag: "system", summary: "This document", role: viewer,
		answers: []reply{{status: 200, file: true}, {status: 304, text: "Not modified."}},
	},
	{
		method: "GET", path: "/docs", id: "docs", tag: "system", summary: "This document as a page", role: viewer,
		answers: []reply{{status: 200, media: "text/html"}, {status: 304, text: "Not modified."}},
	},
	{
		method: "GET", path: "/docs/style.css", id: "docsStyle", tag: "system", summary: "Style of that page", role: viewer,
		answers: []reply{{status: 200, media: "text/css"}, {status: 304, text: "Not modified."}},
	},
	{
		method: "GET", path: "/healthz", id: "healthz", tag: "system", summary: "Is the process of use?",
		answers: []reply{{status: 200, shape: Health{}}}, problems: []int{503},
	},
	{
		method: "GET", path: "/readyz", id: "readyz", tag: "system", summary: "Will requests be answered?",
		answers: []reply{{status: 200, shape: Health{}}}, problems: []int{503},
	},
	{
		method: "GET", path: "/session", id: "session", tag: "access", summary: "Who is signed in", role: viewer,
		answers: []reply{{status: 200, shape: wire.SessionAnswer{}}},
	},
	{
		method: "POST", path: "/session", id: "signIn", tag: "access", summary: "Keep a token in an HttpOnly cookie", body: ref("SignIn"),
		answers: []reply{{status: 200, shape: wire.SessionAnswer{}}}, problems: []int{401, 413, 415},
	},
	{
		method: "DELETE", path: "/session", id: "signOut", tag: "access", summary: "Forget the cookie",
		answers: []reply{{status: 204, text: "The cookie is gone."}},
	},
}

func bulkOperation(action, summary string) operation {
	return operation{
		method: "POST", path: "/tasks/" + action, id: action + "Tasks", tag: "tasks", summary: summary, role: operator,
		description: "The filters of the list, at least one; or tasks by their ids. With dryRun it only counts.", body: ref("BulkFilter"),
		answers: []reply{{status: 202, shape: wire.MatchedAnswer{}}}, problems: []int{413, 415, 503},
	}
}
