package client

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// storePayload moves a payload into the object store.
func storePayload(ctx context.Context, js jetstream.JetStream, objects jetstream.ObjectStore, sub *wire.Submission) error {
	name := wire.IncomingObject(nuid.Next())
	if err := natsx.PutObject(ctx, js, objects, name, sub.Payload); err != nil {
		if natsx.IsFull(err) {
			return fmt.Errorf("%w: store the payload: %w", ErrFull, err)
		}
		return fmt.Errorf("%w: store the payload: %w", ErrNotStored, err)
	}
	sub.PayloadObject, sub.PayloadBytes = name, int64(len(sub.Payload))
	sub.PayloadHash = wire.PayloadHash(sub.Payload)
	sub.Payload = nil
	return nil
}

// objectHeader says where the payload of a submission lies.
func objectHeader(sub *wire.Submission) nats.Header {
	return nats.Header{
		wire.HeaderPayloadObject: {sub.PayloadObject}, wire.HeaderPayloadHash: {sub.PayloadHash},
		wire.HeaderPayloadBytes: {strconv.FormatInt(sub.PayloadBytes, 10)},
	}
}

// dropObject removes a payload; what it cannot remove the scheduler's sweep finds.
func dropObject(objects jetstream.ObjectStore, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	_ = objects.Delete(ctx, name)
}
