package tick

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// sweepMost bounds the objects that one sweep looks at.
	sweepMost = 2000
	// objectAge is how old an object must be before it can be one that was left behind,
	// incomingFactor times that old one that no submission has claimed.
	objectAge      = 10 * time.Minute
	incomingFactor = 6
)

// found is an object that a sweep looks at.
type found struct {
	objectMeta
	subject string
	stored  time.Time
}

// task is whose the object is: the id in payload.<id> and result.<id>.<fence>.
func (f *found) task() (id string, ok bool) {
	kind, rest, _ := strings.Cut(f.Name, ".")
	id, _, _ = strings.Cut(rest, ".")
	return id, (kind == "payload" || kind == "result") && wire.ValidID(id)
}

// sweep removes objects that nobody will ask for: those whose task is gone, results of
// hand-outs that did not count, payloads whose submission never came.
func (t *Tick) sweep(ctx context.Context) error {
	objects, err := t.objects(ctx)
	if err != nil || len(objects) == 0 {
		return err
	}
	processed, idle, err := t.processed(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, f := range objects {
		if id, ok := f.task(); ok {
			ids = append(ids, id)
		}
	}
	recs, err := t.core.Records.Behind(ctx, ids...)
	if err != nil {
		return err
	}
	incomingAge := incomingFactor * t.cfg.ObjectAge
	var errs []error
	for _, f := range objects {
		id, owned := f.task()
		incoming := strings.HasPrefix(f.Name, wire.IncomingObject("")) && time.Since(f.stored) > incomingAge
		var err error
		switch {
		case f.Deleted:
			err = t.purge(ctx, f.subject)
		case owned && useless(f, recs[id]) && (idle || f.stored.Before(processed)),
			incoming && (idle || f.stored.Add(incomingAge).Before(processed)):
			err = t.discard(ctx, f)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove object %s: %w", f.Name, err))
		}
	}
	return errors.Join(errs...)
}

// objects reads the next stretch of objects' descriptions that are old enough.
func (t *Tick) objects(ctx context.Context) ([]found, error) {
	var all []found
	for walked := 0; walked < sweepMost; {
		n, err := t.batch(ctx, wire.StreamObjects, wire.SubjectObjectMetas, t.sweepFrom+1, func(m *jetstream.RawStreamMsg) {
			t.sweepFrom = m.Sequence
			if o, ok := decodeMeta(m); ok && time.Since(m.Time) > t.cfg.ObjectAge {
				all = append(all, found{o, m.Subject, m.Time})
			}
		})
		if err != nil {
			return nil, err
		}
		if walked += n; n < auditBatch {
			t.sweepFrom = 0
			break
		}
	}
	return all, nil
}

// processed tells up to when submissions have been dealt with, and whether none is left: an
// object without a record may belong to one that is still to be.
func (t *Tick) processed(ctx context.Context) (upTo time.Time, idle bool, err error) {
	s, err := t.core.Submitted(ctx)
	if err != nil || s.Idle || s.Floor == 0 {
		return time.Time{}, s.Idle, err
	}
	m, err := t.core.Stream(wire.StreamSubmit).GetMsg(ctx, s.Floor)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read submission %d: %w", s.Floor, err)
	}
	return m.Time, false, nil
}

// useless tells whether a task's record has no more use for an object.
func useless(f found, rec *wire.Record) bool {
	if rec == nil {
		return true
	}
	if !strings.HasPrefix(f.Name, "result.") || f.Name == rec.Meta.ResultObject {
		return false
	}
	return rec.Status.Ended() || f.Name != wire.ResultObject(rec.ID, rec.Fence)
}

// discard removes an object. One whose content has been given to another name is only
// taken off the list, since removing it would take the content along.
func (t *Tick) discard(ctx context.Context, f found) error {
	info, err := t.core.Objects.GetInfo(ctx, f.Name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.NUID != f.NUID {
		return nil // another one since
	}
	if strings.HasPrefix(f.Name, wire.IncomingObject("")) {
		shared, err := t.adopted(ctx, f.NUID)
		if err != nil {
			return err
		}
		if shared {
			return t.purge(ctx, f.subject)
		}
	}
	return t.core.Objects.Delete(ctx, f.Name)
}

func (t *Tick) purge(ctx context.Context, subject string) error {
	return t.core.Stream(wire.StreamObjects).Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// adopted tells whether another object has this content.
func (t *Tick) adopted(ctx context.Context, nuid string) (bool, error) {
	for from := uint64(1); ; {
		named := 0
		n, err := t.batch(ctx, wire.StreamObjects, wire.SubjectObjectMetas, from, func(m *jetstream.RawStreamMsg) {
			from = m.Sequence + 1
			if o, ok := decodeMeta(m); ok && o.NUID == nuid && !o.Deleted && !strings.HasPrefix(o.Name, wire.IncomingObject("")) {
				named++
			}
		})
		if err != nil || named > 0 || n < auditBatch {
			return named > 0, err
		}
	}
}
