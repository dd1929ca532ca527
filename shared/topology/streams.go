// Package topology holds Batuta's streams, buckets and lanes as data, and makes them.
package topology

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Sizes that do not follow from the disk.
const (
	settingsBytes = 4 << 20
	permitsBytes  = 16 << 20
	workersBytes  = 64 << 20
	// EventsKept is the most bytes of events that the recorder keeps, as the contract says;
	// on a small disk it keeps half of the stream's limit.
	EventsKept = 1 << 30
	// EventsAge is the longest that it keeps them.
	EventsAge = 7 * 24 * time.Hour
	// WorkerMarkerTTL is how long the marker of a vanished worker can be seen.
	WorkerMarkerTTL = 30 * time.Second
	// taskMarkerTTL is the same for task records: a replica that was cut off longer reads anew.
	taskMarkerTTL = 2 * time.Minute
)

// Shares of the byte budget, in percent. The rest is left to the buckets without a limit.
const (
	submitShare   = 30
	readyShare    = 30
	eventsShare   = 15
	controlShare  = 2
	rejectedShare = 4
	logsShare     = 8
	seriesShare   = 2
)

// Streams lists every stream and bucket for a byte budget and a number of replicas.
func Streams(budget int64, replicas int) []jetstream.StreamConfig {
	share := func(percent int64) int64 { return budget / 100 * percent }
	all := []jetstream.StreamConfig{
		{
			Name: wire.StreamSubmit, Subjects: []string{wire.SubjectSubmit, wire.SubjectSubmitAll},
			Discard: jetstream.DiscardNew, MaxBytes: share(submitShare), Duplicates: 2 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamControl, Subjects: []string{wire.SubjectCancelAll, wire.SubjectRetryAll, wire.SubjectRequestAll},
			Discard: jetstream.DiscardNew, MaxBytes: share(controlShare), Duplicates: 2 * time.Minute, AllowDirect: true,
		},
		{
			// The dedupe table costs memory per id: beyond the window the task's record decides.
			Name: wire.StreamReady, Subjects: []string{wire.SubjectReadyAll}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, MaxBytes: share(readyShare), Duplicates: 30 * time.Second,
			AllowDirect: true, AllowAtomicPublish: true,
		},
		{
			// Schedules exclude discard new, hence no limit here.
			Name: wire.StreamLater, Subjects: []string{wire.SubjectLaterAll, wire.SubjectDueAll}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardOld, Duplicates: 2 * time.Minute, AllowDirect: true,
			AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
		},
		{
			Name: wire.StreamEvents, Subjects: []string{wire.SubjectEventsAll},
			Discard: jetstream.DiscardNew, MaxBytes: share(eventsShare), Duplicates: 2 * time.Minute, AllowDirect: true,
			// Events and records are JSON that repeats itself: blocks that are full shrink to a
			// fifth, for about 2 % of the server's processor time, off the way of the publisher.
			Compression: jetstream.S2Compression,
		},
		{
			Name: wire.StreamRejected, Subjects: []string{wire.SubjectRejected},
			Discard: jetstream.DiscardOld, MaxBytes: share(rejectedShare), Duplicates: 2 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamLogs, Subjects: []string{wire.SubjectLogsAll},
			Discard: jetstream.DiscardOld, MaxBytes: share(logsShare), MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
			Duplicates: 2 * time.Minute, AllowDirect: true,
		},
		{
			Name: wire.StreamSeries, Subjects: []string{wire.SubjectSeriesAll},
			Discard: jetstream.DiscardOld, MaxBytes: share(seriesShare), Duplicates: 2 * time.Minute, AllowDirect: true, AllowMsgTTL: true,
		},
		bucket(wire.BucketTasks, jetstream.StreamConfig{AllowAtomicPublish: true, Compression: jetstream.S2Compression, SubjectDeleteMarkerTTL: taskMarkerTTL, AllowMsgTTL: true}),
		bucket(wire.BucketWorkers, jetstream.StreamConfig{Storage: jetstream.MemoryStorage, MaxBytes: workersBytes, SubjectDeleteMarkerTTL: WorkerMarkerTTL, AllowMsgTTL: true}),
		bucket(wire.BucketSettings, jetstream.StreamConfig{MaxBytes: settingsBytes}),
		// Republished as stored: a subscription to the keys themselves would also hear what the
		// server refuses.
		bucket(wire.BucketPermits, jetstream.StreamConfig{MaxBytes: permitsBytes, AllowMsgTTL: true, RePublish: &jetstream.RePublish{
			Source: wire.KVSubject(wire.BucketPermits, wire.KeyPermitsAll), Destination: wire.SubjectPermitsAll,
		}}),
	}
	for i := range all {
		finish(&all[i], replicas)
	}
	return all
}

// bucket is the stream of a KV bucket. The library's own call is not used: it would switch
// atomic batches off whenever somebody runs it.
func bucket(name string, c jetstream.StreamConfig) jetstream.StreamConfig {
	c.Name, c.Subjects = "KV_"+name, []string{"$KV." + name + ".>"}
	c.MaxMsgsPerSubject, c.Discard = 1, jetstream.DiscardNew
	c.AllowRollup, c.DenyDelete, c.AllowDirect = true, true, true
	c.Duplicates = 2 * time.Minute
	return c
}

// finish fills in what the server would: an unset limit reads -1 afterwards.
func finish(c *jetstream.StreamConfig, replicas int) {
	c.Replicas = replicas
	for _, n := range []*int64{&c.MaxMsgs, &c.MaxBytes, &c.MaxMsgsPerSubject} {
		if *n == 0 {
			*n = -1
		}
	}
	if c.MaxMsgSize == 0 {
		c.MaxMsgSize = -1
	}
	if c.MaxConsumers == 0 {
		c.MaxConsumers = -1
	}
}
