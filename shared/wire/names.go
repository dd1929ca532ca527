package wire

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// Streams. Buckets and the object store lie on streams of their own, named by NATS
// (`KV_<bucket>`, `OBJ_<bucket>`).
const (
	StreamSubmit   = "BATUTA_SUBMIT"
	StreamControl  = "BATUTA_CONTROL"
	StreamReady    = "BATUTA_READY"
	StreamLater    = "BATUTA_LATER"
	StreamEvents   = "BATUTA_EVENTS"
	StreamRejected = "BATUTA_REJECTED"
	StreamLogs     = "BATUTA_LOGS"
	StreamSeries   = "BATUTA_SERIES"

	BucketTasks    = "BATUTA_TASKS"
	BucketWorkers  = "BATUTA_WORKERS"
	BucketSettings = "BATUTA_SETTINGS"
	BucketPermits  = "BATUTA_PERMITS"
	BucketObjects  = "BATUTA_OBJECTS"

	StreamTasks    = "KV_" + BucketTasks
	StreamWorkers  = "KV_" + BucketWorkers
	StreamSettings = "KV_" + BucketSettings
	StreamPermits  = "KV_" + BucketPermits
	StreamObjects  = "OBJ_" + BucketObjects
)

// Durable consumers.
const (
	// ConsumerSubmit is shared by all scheduler replicas on StreamSubmit.
	ConsumerSubmit = "scheduler"
	// ConsumerControl is shared by all scheduler replicas on StreamControl.
	ConsumerControl = "scheduler"
	// ConsumerDue is shared by all scheduler replicas on StreamLater.
	ConsumerDue = "scheduler"
)

// LaneConsumer names the durable consumer of one lane, for example `default_high`.
// Underscores may stand in a queue's name; priorities hold none, so names stay distinct.
func LaneConsumer(queue string, p Priority) string { return queue + "_" + string(p) }

// Subjects and prefixes. Builders below make every full subject.
const (
	SubjectSubmit        = "batuta.submit"
	SubjectSubmitAll     = "batuta.submit.>"
	SubjectCancelAll     = "batuta.cancel.*"
	SubjectRetryAll      = "batuta.retry.*"
	SubjectRequestAll    = "batuta.request.>"
	SubjectReadyAll      = "batuta.ready.>"
	SubjectLaterAll      = "batuta.later.>"
	SubjectDueAll        = "batuta.due.>"
	SubjectEventsAll     = "batuta.events.>"
	SubjectRejected      = "batuta.rejected"
	SubjectLogsAll       = "batuta.logs.*"
	SubjectSeriesAll     = "batuta.series.*"
	SubjectRequestCancel = "batuta.request.cancel"
	SubjectRequestRetry  = "batuta.request.retry"
	SubjectRequestDelete = "batuta.request.delete"
	SubjectLaterTick     = "batuta.later.tick"
	SubjectLaterRunAll   = "batuta.later.run.>"
	SubjectDueTick       = "batuta.due.tick"
	// SubjectSeriesFine carries a sample every SampleFine, SubjectSeriesCoarse every SampleCoarse.
	SubjectSeriesFine   = "batuta.series.fine"
	SubjectSeriesCoarse = "batuta.series.coarse"

	prefixSubmit = "batuta.submit."
	prefixCancel = "batuta.cancel."
	prefixRetry  = "batuta.retry."
	prefixReady  = "batuta.ready."
	prefixLater  = "batuta.later."
	prefixDue    = "batuta.due."
	prefixEvents = "batuta.events."
	prefixLogs   = "batuta.logs."
)

// SubmitSubject is where one task of the given type is published.
func SubmitSubject(taskType string) string { return prefixSubmit + taskType }

// SubmitType is the type named by a submission's subject; empty for `batuta.submit`.
func SubmitType(subject string) string {
	return strings.TrimPrefix(trimExact(subject, SubjectSubmit), prefixSubmit)
}

func trimExact(s, exact string) string {
	if s == exact {
		return ""
	}
	return s
}

// CancelSubject asks for the end of a task.
func CancelSubject(id string) string { return prefixCancel + id }

// RetrySubject asks for a new round of an ended task.
func RetrySubject(id string) string { return prefixRetry + id }

// ReadySubject is a task's place in its lane. A type's dots make further tokens.
func ReadySubject(queue string, p Priority, taskType string) string {
	return prefixReady + queue + "." + string(p) + "." + taskType
}

// LaneFilter matches all tasks of a lane.
func LaneFilter(queue string, p Priority) string {
	return prefixReady + queue + "." + string(p) + ".>"
}

// ParseReady is the inverse of ReadySubject.
func ParseReady(subject string) (queue string, p Priority, taskType string, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(subject, prefixReady), ".", 3)
	if len(parts) != 3 || !strings.HasPrefix(subject, prefixReady) {
		return "", "", "", false
	}
	return parts[0], Priority(parts[1]), parts[2], Priority(parts[1]).Valid()
}

// LaterRunSubject is the schedule of a task's next run: the one that follows the hand-out
// with this fence, 0 where there was none. One live schedule per subject: a second replaces the first.
func LaterRunSubject(id string, fence uint64) string {
	return prefixLater + "run." + id + "." + strconv.FormatUint(fence, 10)
}

// LaterDeadlineSubject is the schedule of a task's deadline.
func LaterDeadlineSubject(id string) string { return prefixLater + "deadline." + id }

// DueRunSubject is where the schedule of a run fires, and where runs due within the
// schedules' resolution are published at once.
func DueRunSubject(id string) string { return prefixDue + "run." + id }

// DueDeadlineSubject is where a deadline fires.
func DueDeadlineSubject(id string) string { return prefixDue + "deadline." + id }

// DueMoveSubject asks the scheduler to put a task into the lane where it belongs now: a
// pool found it in a common lane although its type is limited.
func DueMoveSubject(id string) string { return prefixDue + "move." + id }

// ParseDue tells what fell due ("run", "deadline", "move", "tick") and for which task.
func ParseDue(subject string) (kind, id string) {
	kind, id, _ = strings.Cut(strings.TrimPrefix(subject, prefixDue), ".")
	return kind, id
}

// EventsSubject is a shard of the event stream. There is one shard, "0".
func EventsSubject(shard string) string { return prefixEvents + shard }

// StartID is the message id of the start of a hand-out that may have a twin: of two pools
// that give one fence to one task, the stream takes the first.
func StartID(taskID string, fence uint64) string {
	return "start." + taskID + "." + strconv.FormatUint(fence, 10)
}

// Shard0 is the only shard of events so far.
const Shard0 = "0"

// LogsSubject holds the log lines of one task.
func LogsSubject(id string) string { return prefixLogs + id }

// ParseCommand takes the command and the task's id from a subject of the control stream:
// "cancel", "retry", or "request.cancel", "request.retry", "request.delete" with no id.
func ParseCommand(subject string) (command, id string) {
	switch {
	case strings.HasPrefix(subject, prefixCancel):
		return "cancel", strings.TrimPrefix(subject, prefixCancel)
	case strings.HasPrefix(subject, prefixRetry):
		return "retry", strings.TrimPrefix(subject, prefixRetry)
	}
	return strings.TrimPrefix(subject, "batuta."), ""
}

// KVSubject is the subject under which a key of a bucket is stored.
func KVSubject(bucket, key string) string { return "$KV." + bucket + "." + key }

// Keys of Batuta's own: they hold a dot, which no task, worker, pool or queue may.
const (
	// KeyPosition in BucketTasks: the recorder's Position in the event stream.
	KeyPosition = "recorder.position"
	// KeyTotals in BucketTasks: Totals.
	KeyTotals = "recorder.totals"
	// KeyTold in BucketTasks: the recorder's own events that a full stream has no room for yet.
	KeyTold = "recorder.told"
	// KeyLease in BucketSettings: the lease of all lanes, a Go duration.
	KeyLease = "system.lease"
	// KeyWorkerNumber in BucketSettings: the last number given to a worker.
	KeyWorkerNumber = "system.worker"
	// KeyAudit in BucketSettings: the audit's cursor.
	KeyAudit = "system.audit"
	// KeyScale in BucketSettings: what the autoscaler remembers between ticks.
	KeyScale = "system.scale"
	// KeySequences in BucketSettings: the highest stream sequences known.
	KeySequences = "system.sequences"
)

// EpochKey in BucketSettings says since when a server, by its id, is known.
func EpochKey(serverID string) string { return "epoch." + serverID }

// PoolSettingsKey in BucketSettings holds what operators changed of a pool.
func PoolSettingsKey(pool string) string { return "pool." + pool }

// QueueSettingsKey is the same for a queue.
func QueueSettingsKey(queue string) string { return "queue." + queue }

// InstanceKey in BucketWorkers holds the Instance of a pool's process.
func InstanceKey(pool, instance string) string { return "instance." + pool + "." + instance }

// DesiredKey in BucketWorkers holds the Desired size of a pool.
func DesiredKey(pool string) string { return "desired." + pool }

// WorkerCommandKey in BucketWorkers holds the WorkerCommand for a worker.
func WorkerCommandKey(worker string) string { return "command." + worker }

// ServiceKey in BucketWorkers holds the Service that a service's process is.
func ServiceKey(service, instance string) string {
	return "service." + service + "." + instance
}

// ParseInstanceKey is the inverse of InstanceKey.
func ParseInstanceKey(key string) (pool, instance string, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 || parts[0] != "instance" {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// IsOwnKey tells Batuta's own keys from those of tasks and workers.
func IsOwnKey(key string) bool { return strings.Contains(key, ".") }

// IncomingObject names a payload whose submission has no id yet.
func IncomingObject(nonce string) string { return "incoming." + nonce }

// ObjectMetaSubject is where an object's description is stored (nats.go, object store).
func ObjectMetaSubject(name string) string {
	return objectsPrefix + "M." + base64.URLEncoding.EncodeToString([]byte(name))
}

// ObjectChunksSubject is where an object's content is stored, in pieces (nats.go, object store).
func ObjectChunksSubject(nuid string) string { return objectsPrefix + "C." + nuid }

const objectsPrefix = "$O." + BucketObjects + "."

const (
	// SubjectObjectMetas are the descriptions of all objects.
	SubjectObjectMetas = objectsPrefix + "M.>"
	// SubjectObjectsBarrier takes messages that are nobody's content: a replica that has one has
	// everything stored before.
	SubjectObjectsBarrier = objectsPrefix + "C.barrier"
)

// PayloadObject names the payload of a task.
func PayloadObject(id string) string { return "payload." + id }

// ResultObject names the result of a hand-out of a task.
func ResultObject(id string, fence uint64) string {
	return "result." + id + "." + strconv.FormatUint(fence, 10)
}

// Headers of Batuta's own messages.
const (
	// HeaderPayloadObject on a submission names the object that holds its payload.
	HeaderPayloadObject = "Batuta-Payload-Object"
	// HeaderPayloadHash on such a submission is PayloadHash of the object's content.
	HeaderPayloadHash = "Batuta-Payload-Hash"
	// HeaderPayloadBytes on such a submission is the length of the payload.
	HeaderPayloadBytes = "Batuta-Payload-Bytes"
	// HeaderCheck on a lane message makes its taker check the task's record behind the
	// barrier before it runs, even at the first delivery.
	HeaderCheck = "Batuta-Check"
	// HeaderNotBefore on a due message is the time before which it must not be granted.
	HeaderNotBefore = "Batuta-Not-Before"
	// HeaderReason on a rejected submission says why, HeaderSubject where it was published,
	// HeaderSequence with which sequence of StreamSubmit.
	HeaderReason   = "Batuta-Reason"
	HeaderSubject  = "Batuta-Subject"
	HeaderSequence = "Batuta-Sequence"
	// HeaderLane on a task that is to be moved is the sequence of its lane message so far.
	HeaderLane = "Batuta-Lane"
	// HeaderActor on a command says who asked for it and from where.
	HeaderActor = "Batuta-Actor"
)

// Headers of NATS itself (ADR-4, ADR-43, ADR-50, ADR-51).
const (
	HeaderMsgID          = "Nats-Msg-Id"
	HeaderTTL            = "Nats-TTL"
	HeaderSchedule       = "Nats-Schedule"
	HeaderScheduleTarget = "Nats-Schedule-Target"
	HeaderScheduleTTL    = "Nats-Schedule-TTL"
	HeaderExpectedLast   = "Nats-Expected-Last-Subject-Sequence"
	HeaderKVOperation    = "KV-Operation"
	HeaderRollup         = "Nats-Rollup"
	HeaderSequenceOf     = "Nats-Sequence"
)
