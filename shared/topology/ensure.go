package topology

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
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
	// ensureShort is how long Ensure looks again when there is no room, ensureTime how long it
	// tries at all; after each probeStale tries a probe that is in the way is removed.
	ensureShort  = 15 * time.Second
	ensureTime   = time.Minute
	probeStale   = 20
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
	began := time.Now()
	for try := 1; ; try++ {
		err := ensureOnce(ctx, js, o, replicas)
		again := raced(err) || unanswered(err)
		if insufficient(err) { // another service may hold the room, for its probe or for streams it is making
			again = time.Since(began) < ensureShort
		}
		if !again || time.Since(began) > ensureTime || ctx.Err() != nil {
			return err
		}
		if try%probeStale == 0 {
			_ = js.DeleteStream(ctx, probeStream) // of a service that died in between
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(min(try, 10)) * 20 * time.Millisecond):
		}
	}
}

// Repair makes whatever is missing, as Ensure does, but looks no closer at what is there:
// while a cluster elects leaders, every stream that is asked for itself keeps one waiting.
func Repair(ctx context.Context, js jetstream.JetStream, o Options) error {
	missing, err := Missing(ctx, js)
	if err != nil || len(missing) == 0 {
		return err
	}
	return Ensure(ctx, js, o)
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

// Missing lists the streams and buckets that are not there, by one request: somebody has
// removed them, or the store was lost.
func Missing(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	there := map[string]bool{}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		there[name] = true
	}
	if err := names.Err(); err != nil {
		return nil, fmt.Errorf("list the streams: %w", err)
	}
	var missing []string
	for _, want := range Streams(StandardBudget, 1) {
		if !there[want.Name] {
			missing = append(missing, want.Name)
		}
	}
	if !there[wire.StreamObjects] {
		missing = append(missing, wire.StreamObjects)
	}
	return missing, nil
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
		if !insufficient(err) || budget/2 < smallestBudget {
			return 0, fmt.Errorf("find room for the streams: %w", err)
		}
		budget /= 2
	}
}

// raced tells whether two services make or remove one stream at the same moment: the other
// probes for room just now (10058), the server trips over it (10049: the store is being made
// or removed), or a cluster has promised it to one and does not know it yet (10059).
func raced(err error) bool {
	var ae *jetstream.APIError
	return errors.As(err, &ae) && slices.Contains([]jetstream.ErrorCode{10049, 10058, 10059}, ae.ErrorCode)
}

// unanswered tells whether a request was lost: a cluster that makes and removes one stream
// for several services at once, or has no leader at this moment, leaves some without a word.
func unanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse)
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
	if err := awaitReads(ctx, js, replicas); err != nil {
		return err
	}
	return ensureObjects(ctx, js, replicas)
}

// awaitReads waits until every stream answers reads: on a cluster one that was just made does
// so a moment after it is there.
func awaitReads(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, want := range Streams(StandardBudget, replicas) {
		s, err := js.Stream(ctx, want.Name)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", want.Name, err)
		}
		for try := 1; want.AllowDirect; try++ {
			_, err := s.GetMsg(ctx, 1)
			if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) {
				break
			}
			if !errors.Is(err, nats.ErrNoResponders) || try == existingTries {
				return fmt.Errorf("read from stream %s: %w", want.Name, err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try) * 20 * time.Millisecond):
			}
		}
	}
	return nil
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if want.FirstSeq, err = firstSequence(ctx, js, want.Name); err != nil {
			return err
		}
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
	found := s.CachedInfo().Config
	if err := compatible(found, want); err != nil {
		return err
	}
	return addReplicas(ctx, js, found, want.Replicas)
}

// addReplicas gives a stream that has fewer copies the number wanted: the cluster has grown,
// or the setting. The servers copy in the background, consumers included, and the stream is
// in use meanwhile. Copies are never taken away.
func addReplicas(ctx context.Context, js jetstream.JetStream, found jetstream.StreamConfig, replicas int) error {
	if found.Replicas >= replicas {
		return nil
	}
	found.Replicas = replicas
	if _, err := js.UpdateStream(ctx, found); err != nil && !insufficient(err) { // a server is away: next time
		return fmt.Errorf("give stream %s %d replicas: %w", found.Name, replicas, err)
	}
	return nil
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
		{"persist_mode", found.PersistMode, want.PersistMode},
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
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrBucketExists) && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create object store %s: %w", wire.BucketObjects, err)
	}
	s, err := js.Stream(ctx, wire.StreamObjects)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", wire.StreamObjects, err)
	}
	return addReplicas(ctx, js, s.CachedInfo().Config, replicas)
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
	e, err := Existing(ctx, kv, wire.KeyLease)
	if err != nil {
		return 0, fmt.Errorf("read the lease: %w", err)
	}
	d, err := time.ParseDuration(string(e.Value()))
	if err != nil {
		return 0, fmt.Errorf("key %s of bucket %s: %q is no duration", wire.KeyLease, wire.BucketSettings, e.Value())
	}
	return d, nil
}
