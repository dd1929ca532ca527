package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// ErrPayloadGone is returned where a task's payload lies nowhere any more.
var ErrPayloadGone = errors.New("payload is gone")

// Adopt gives a client's object its task's name. It may be repeated.
func (c *Core) Adopt(ctx context.Context, incoming, id string) error {
	name := wire.PayloadObject(id)
	from, err := c.object(ctx, incoming)
	if err != nil {
		return err
	}
	to, err := c.object(ctx, name)
	if err != nil {
		return err
	}
	switch {
	case from == nil && to == nil:
		return ErrPayloadGone
	case from == nil:
		return nil // an earlier delivery did it
	case to != nil && to.NUID == from.NUID:
		// An earlier delivery was cut short. Deleting the object would take its content along.
		return c.Stream(wire.StreamObjects).Purge(ctx, jetstream.WithPurgeSubject(wire.ObjectMetaSubject(incoming)))
	case to != nil: // of an earlier task with this id
		if err := c.Objects.Delete(ctx, name); err != nil {
			return fmt.Errorf("remove object %s: %w", name, err)
		}
	}
	if err := c.Objects.UpdateMeta(ctx, incoming, jetstream.ObjectMeta{Name: name}); err != nil {
		return fmt.Errorf("rename object %s: %w", incoming, err)
	}
	return nil
}

// lookTime bounds the search for an object; what asked is tried again.
const lookTime = 10 * time.Second

// object is nil where there certainly is none.
func (c *Core) object(ctx context.Context, name string) (*jetstream.ObjectInfo, error) {
	one, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	info, err := natsx.ObjectInfo(one, c.JS, c.Objects, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, nil
	}
	return info, err
}

// Payload fills an envelope with the payload of its task: from the object that holds it, or
// from the submission.
func (c *Core) Payload(ctx context.Context, rec *wire.Record, env *wire.Envelope) error {
	if name := rec.Meta.PayloadObject; name != "" {
		info, err := c.object(ctx, name)
		if err != nil {
			return err
		}
		if info == nil {
			return ErrPayloadGone
		}
		env.PayloadObject = name
		return nil
	}
	m, err := c.submission(ctx, rec.Meta.SubmitSeq)
	if err != nil {
		return err
	}
	body, err := MemberBytes(m.Data, rec.Meta.Member)
	if err != nil {
		return ErrPayloadGone
	}
	var task struct {
		Payload json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(body, &task); err != nil {
		return ErrPayloadGone
	}
	if string(task.Payload) != "null" {
		env.Payload = task.Payload
	}
	return nil
}

// submission reads a message of the stream of submissions; ErrPayloadGone is certain: a
// replica that lags has not the last ones yet.
func (c *Core) submission(ctx context.Context, seq uint64) (*jetstream.RawStreamMsg, error) {
	one, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	m, err := natsx.Message(one, c.JS, wire.StreamSubmit, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrPayloadGone
	}
	if err != nil {
		return nil, fmt.Errorf("read submission %d: %w", seq, err)
	}
	return m, nil
}

// MemberBytes are those of one member of a group, from 1; 0 is the whole body.
func MemberBytes(body []byte, member int) (json.RawMessage, error) {
	if member == 0 {
		return body, nil
	}
	var all []json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("split a group: %w", err)
	}
	if member > len(all) {
		return nil, fmt.Errorf("a group of %d has no member %d", len(all), member)
	}
	return all[member-1], nil
}

// EnvelopeOf is what runs a task again as its record stands, less the payload. Attempt and
// round are the record's; what begins a new one changes them.
func EnvelopeOf(rec *wire.Record) *wire.Envelope {
	return &wire.Envelope{
		ID: rec.ID, Task: wire.Compact(rec.Definition), Attempt: rec.Attempt, Retries: rec.Retries, Round: rec.Meta.Round,
		After: rec.Fence, SubmitSeq: rec.Meta.SubmitSeq, Member: rec.Meta.Member, SubmittedAt: rec.SubmittedAt,
		DueAt: rec.Meta.DueAt, ControlSeq: rec.Meta.ControlSeq, Hash: rec.Meta.Hash,
	}
}
