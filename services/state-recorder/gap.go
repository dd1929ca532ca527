package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// errOvertaken is returned when an event arrives before one that the stream still has:
// around a reconnection the library may run the callbacks of an old and of a new consumer
// side by side. Passing over the gap would lose the event for good.
var errOvertaken = errors.New("an event arrived before the one in front of it")

// gap looks into the stream where the event message that should come next was not the one
// that came. Nil: it is gone, and the fold goes on behind it. Only what was folded is ever
// trimmed, so what is gone was never seen by anybody.
func (f *folder) gap(ctx context.Context, want, came uint64) error {
	one, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := f.r.cfg.JS.Stream(one, wire.StreamEvents)
	if err != nil {
		return fmt.Errorf("read the state of %s: %w", wire.StreamEvents, err)
	}
	st := s.CachedInfo().State
	if want >= st.FirstSeq && st.NumDeleted == 0 {
		return fmt.Errorf("%w: %d before %d", errOvertaken, came, want)
	}
	if want >= st.FirstSeq { // an operator has deleted some: is it one of those?
		if _, err := s.GetMsg(one, want); !errors.Is(err, jetstream.ErrMsgNotFound) {
			return errors.Join(fmt.Errorf("%w: %d before %d", errOvertaken, came, want), err)
		}
	}
	f.r.cfg.Log.Error("events are missing", "stream", wire.StreamEvents, "from", want, "to", came-1)
	return nil
}
