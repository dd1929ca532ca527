package submit

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// storePayload moves a payload into the object store.
func (s *Submitter) storePayload(ctx context.Context, sub *wire.Submission) error {
	name := wire.IncomingObject(nuid.Next())
	_, err := s.objects.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(sub.Payload))
	if err != nil {
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
