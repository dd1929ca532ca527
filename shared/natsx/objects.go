package natsx

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// objectChunk is the size of an object's pieces, which the library uses as well.
const objectChunk = 128 << 10

// objectTries is how often an object is stored anew where its stream has no leader, as in the
// moment of an election.
const objectTries = 6

// PutObject stores content under a name, in place of what has that name, in the object store's
// format (nats.go, ADR-20). The library's own Put has one buffer for all pieces and publishes
// what no leader took again later: by then the buffer holds the last piece (v1.55.0), and the
// object is corrupt for good. Here a piece is never repeated, and the description follows
// when all pieces are stored. An error says that it may not be there; it may be called again.
func PutObject(ctx context.Context, js jetstream.JetStream, objects jetstream.ObjectStore, name string, content []byte) error {
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, objectTime(len(content)))
		err := putObject(one, js, objects, name, content)
		cancel()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("store object %s: %w", name, err)
		if try+1 >= objectTries || !errors.Is(err, jetstream.ErrNoStreamResponse) {
			return err
		}
		if stop := pause(ctx, try+4); stop != nil {
			return fmt.Errorf("%w (last try: %w)", stop, err)
		}
	}
}

// objectTime is how long one try may take.
func objectTime(bytes int) time.Duration {
	return 2*tryTimeout + time.Duration(bytes>>20)*time.Second
}

func putObject(ctx context.Context, js jetstream.JetStream, objects jetstream.ObjectStore, name string, content []byte) error {
	before, err := objects.GetInfo(ctx, name)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	digest := sha256.New()
	digest.Write(content)
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: objectChunk}},
		Bucket:     wire.BucketObjects, NUID: nuid.Next(), Size: uint64(len(content)), Digest: jetstream.GetObjectDigestValue(digest),
	}
	chunks := wire.ObjectChunksSubject(info.NUID)
	if info.Chunks, err = putChunks(ctx, js, chunks, content); err != nil {
		purgeChunks(ctx, js, chunks)
		return err
	}
	body, err := json.Marshal(&info)
	if err != nil {
		return fmt.Errorf("describe it: %w", err)
	}
	m := nats.NewMsg(wire.ObjectMetaSubject(name))
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Data = body
	if _, err := js.PublishMsg(ctx, m); err != nil { // repeated by the library with the same bytes, which does no harm
		if errors.Is(err, jetstream.ErrNoStreamResponse) || codeOf(err) != 0 { // it is certainly not there
			purgeChunks(ctx, js, chunks)
		}
		return fmt.Errorf("store its description: %w", err)
	}
	if before != nil && before.NUID != info.NUID {
		purgeChunks(ctx, js, wire.ObjectChunksSubject(before.NUID))
	}
	return nil
}

// putChunks stores content in pieces, all on their way at once: one connection keeps their order.
func putChunks(ctx context.Context, js jetstream.JetStream, subject string, content []byte) (uint32, error) {
	var acks []jetstream.PubAckFuture
	for piece := range slices.Chunk(content, objectChunk) {
		m := nats.NewMsg(subject)
		m.Data = piece
		ack, err := js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, err
		}
		acks = append(acks, ack)
	}
	var last uint64
	for _, ack := range acks {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case err := <-ack.Err():
			return 0, err
		case stored := <-ack.Ok():
			if stored.Sequence <= last {
				return 0, errors.New("its pieces were stored out of order")
			}
			last = stored.Sequence
		}
	}
	return uint32(len(acks)), nil
}

// purgeChunks removes pieces that nothing describes; where it cannot, they only take room.
func purgeChunks(ctx context.Context, js jetstream.JetStream, subject string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	s, err := js.Stream(ctx, wire.StreamObjects)
	if err == nil {
		_ = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
}
