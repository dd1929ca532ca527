package topology

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// Options of Ensure.
type Options struct {
	// Replicas of each stream and bucket; 0 is 3 where the cluster has 3 or more servers, else 1.
	Replicas int
	// Budget is the bytes that the streams' limits are shares of; 0 is what the account
	// has free, less a reserve; where the account has no limit, what the servers have room
	// for, at most StandardBudget.
	Budget int64
	// ClusterSize is the number of servers known, used where Replicas is 0.
	ClusterSize int
}

// StandardBudget is the most that is asked for where nothing is known of the disk.
const StandardBudget = 32 << 30

const (
	smallestBudget = 64 << 20
	// ensureTries bounds how often Ensure looks again when there is no room.
	ensureTries  = 10
	probeStream  = "BATUTA_PROBE"
	probeSubject = "batuta.probe"
	// reservePercent of the account's free storage is left alone: a store that is really
	// full freezes until its server restarts.
	reservePercent = 20
)

// IncompatibleError is returned when a stream exists with a setting that Batuta cannot work with.
type IncompatibleError struct {
	Stream, Setting string
	Found, Wanted   any
}

// Error names stream, setting, found and wanted.
func (e *IncompatibleError) Error() string {
	return fmt.Sprintf("stream %s exists with %s = %v, wanted %v: change or remove it", e.Stream, e.Setting, e.Found, e.Wanted)
}

// Ensure makes whatever streams and buckets are missing and checks the others. It can be
// run at any time, by any number of services at once.
func Ensure(ctx context.Context, js jetstream.JetStream, o Options) error {
	replicas := o.Replicas
	if replicas == 0 {
		replicas = 1
		if o.ClusterSize >= 3 {
			replicas = 3
		}
	}
	for try := 1; ; try++ {
		err := ensureOnce(ctx, js, o, replicas)
		if !insufficient(err) && !raced(err) || try == ensureTries {
			return err
		}
		select { // another service holds the room for its probe, or has just made the streams
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

func ensureOnce(ctx context.Context, js jetstream.JetStream, o Options, replicas int) error {
	missing, err := anyMissing(ctx, js)
	if err != nil {
		return err
	}
	if !missing {
		return ensureAll(ctx, js, StandardBudget, replicas)
	}
	budget, err := budgetOf(ctx, js, o.Budget, replicas)
	if err != nil {
		return err
	}
	return ensureAll(ctx, js, budget, replicas)
}

// anyMissing tells whether a stream with a share of the budget has yet to be made.
func anyMissing(ctx context.Context, js jetstream.JetStream) (bool, error) {
	for _, want := range Streams(StandardBudget, 1) {
		if want.MaxBytes <= 0 {
			continue
		}
		_, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read stream %s: %w", want.Name, err)
		}
	}
	return false, nil
}

func budgetOf(ctx context.Context, js jetstream.JetStream, given int64, replicas int) (int64, error) {
	if given > 0 {
		return given, nil
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the account's limits: %w", err)
	}
	limit := info.Limits.MaxStore
	if limit <= 0 {
		return probe(ctx, js, replicas)
	}
	free := limit - int64(max(info.Store, info.ReservedStore))
	return max(free/100*(100-reservePercent)/int64(replicas), smallestBudget), nil
}

// probe finds what the servers have room for, by reserving it for a moment: their own
// limit is not told to clients.
func probe(ctx context.Context, js jetstream.JetStream, replicas int) (int64, error) {
	budget := int64(StandardBudget)
	for {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: probeStream, Subjects: []string{probeSubject}, MaxBytes: budget, Replicas: replicas, Discard: jetstream.DiscardNew,
		})
		if err == nil {
			if err = js.DeleteStream(ctx, probeStream); errors.Is(err, jetstream.ErrStreamNotFound) {
				err = nil // another service had the same thought
			}
			return budget / 100 * (100 - reservePercent), err
		}
		if raced(err) || !insufficient(err) && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) || budget/2 < smallestBudget {
			return 0, fmt.Errorf("find room for the streams: %w", err)
		}
		budget /= 2
	}
}

// raced tells whether the server tripped over two services making or removing one stream
// at the same moment (10049: the store is being made or removed).
func raced(err error) bool {
	var ae *jetstream.APIError
	return errors.As(err, &ae) && ae.ErrorCode == 10049
}

// insufficient tells whether the server refused because the bytes are not there (10023, 10047,
// 10028; of a cluster 10005: no server has room).
func insufficient(err error) bool {
	var ae *jetstream.APIError
	return errors.As(err, &ae) && slices.Contains([]jetstream.ErrorCode{10005, 10023, 10047, 10028}, ae.ErrorCode)
}

func ensureAll(ctx context.Context, js jetstream.JetStream, budget int64, replicas int) error {
	for _, want := range Streams(budget, replicas) {
		if err := ensureStream(ctx, js, want); err != nil {
			return err
		}
	}
	return ensureObjects(ctx, js, replicas)
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = js.CreateStream(ctx, want); err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", want.Name, err)
		}
		s, err = js.Stream(ctx, want.Name) // another service was faster, or it differs
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", want.Name, err)
	}
	return compatible(s.CachedInfo().Config, want)
}

// compatible checks the settings that change what Batuta's messages mean; limits may be
// set by the operator.
func compatible(found, want jetstream.StreamConfig) error {
	slices.Sort(found.Subjects)
	slices.Sort(want.Subjects)
	for _, c := range []struct {
		setting string
		found   any
		wanted  any
	}{
		{"subjects", strings.Join(found.Subjects, " "), strings.Join(want.Subjects, " ")},
		{"retention", found.Retention, want.Retention},
		{"discard", found.Discard, want.Discard},
		{"storage", found.Storage, want.Storage},
		{"max_msgs_per_subject", found.MaxMsgsPerSubject, want.MaxMsgsPerSubject},
		{"allow_direct", found.AllowDirect, want.AllowDirect},
		{"allow_atomic", found.AllowAtomicPublish || !want.AllowAtomicPublish, true},
		{"allow_msg_schedules", found.AllowMsgSchedules, want.AllowMsgSchedules},
		{"allow_msg_ttl", found.AllowMsgTTL || !want.AllowMsgTTL, true},
		{"max_age", found.MaxAge, want.MaxAge},
		{"sealed", found.Sealed, false},
		{"mirror", found.Mirror != nil, false},
	} {
		if !reflect.DeepEqual(c.found, c.wanted) {
			return &IncompatibleError{Stream: want.Name, Setting: c.setting, Found: c.found, Wanted: c.wanted}
		}
	}
	return nil
}

func ensureObjects(ctx context.Context, js jetstream.JetStream, replicas int) error {
	_, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: wire.BucketObjects, Replicas: replicas})
	if err == nil || errors.Is(err, jetstream.ErrBucketExists) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return fmt.Errorf("create object store %s: %w", wire.BucketObjects, err)
}

// Lease reads the lease of all lanes; the first service to ask sets it to its own.
func Lease(ctx context.Context, js jetstream.JetStream, own time.Duration) (time.Duration, error) {
	kv, err := js.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return 0, fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	if _, err = kv.Create(ctx, wire.KeyLease, []byte(own.String())); err == nil {
		return own, nil
	}
	e, err := kv.Get(ctx, wire.KeyLease)
	if err != nil {
		return 0, fmt.Errorf("read the lease: %w", err)
	}
	d, err := time.ParseDuration(string(e.Value()))
	if err != nil {
		return 0, fmt.Errorf("key %s of bucket %s: %q is no duration", wire.KeyLease, wire.BucketSettings, e.Value())
	}
	return d, nil
}

// maxWaiting is how many pull requests one lane holds: each pool process has one standing.
const maxWaiting = 10000

// farFuture is until when a lane is paused that waits for somebody to resume it.
var farFuture = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// EnsureLanes makes the four lanes of a queue, with the given lease as ack wait, paused
// where the queue is.
func EnsureLanes(ctx context.Context, js jetstream.JetStream, queue string, lease time.Duration, paused bool) error {
	for _, p := range wire.Priorities {
		c := jetstream.ConsumerConfig{
			Durable: wire.LaneConsumer(queue, p), FilterSubject: wire.LaneFilter(queue, p),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: maxWaiting,
		}
		if paused {
			c.PauseUntil = &farFuture
		}
		if _, err := js.CreateOrUpdateConsumer(ctx, wire.StreamReady, c); err != nil {
			return fmt.Errorf("make lane %s: %w", c.Durable, err)
		}
	}
	return nil
}

// PauseLanes stops the lanes of a queue from delivering; ResumeLanes lets them go on.
func PauseLanes(ctx context.Context, js jetstream.JetStream, queue string) error {
	for _, p := range wire.Priorities {
		if _, err := js.PauseConsumer(ctx, wire.StreamReady, wire.LaneConsumer(queue, p), farFuture); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("pause lane %s: %w", wire.LaneConsumer(queue, p), err)
		}
	}
	return nil
}

// ResumeLanes undoes PauseLanes.
func ResumeLanes(ctx context.Context, js jetstream.JetStream, queue string) error {
	for _, p := range wire.Priorities {
		if _, err := js.ResumeConsumer(ctx, wire.StreamReady, wire.LaneConsumer(queue, p)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("resume lane %s: %w", wire.LaneConsumer(queue, p), err)
		}
	}
	return nil
}
