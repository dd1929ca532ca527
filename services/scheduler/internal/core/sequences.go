package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// NoteSequences keeps how far the streams have got, for the case that one is made anew.
func (c *Core) NoteSequences(ctx context.Context) error {
	known, revision, err := c.sequences(ctx)
	if err != nil {
		return err
	}
	grown := false
	for _, name := range topology.Numbered {
		s, err := c.JS.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		if last := s.CachedInfo().State.LastSeq; last > known[name] {
			known[name], grown = last, true
		}
	}
	if !grown {
		return nil
	}
	body, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("encode the sequences: %w", err)
	}
	kv, err := c.JS.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	if _, err = kv.Update(ctx, wire.KeySequences, body, revision); err != nil && !natsx.IsConflict(err) {
		return fmt.Errorf("note the sequences: %w", err)
	}
	return nil
}

// LiftStreams makes a stream that was made anew go on above what was known of the old one.
func (c *Core) LiftStreams(ctx context.Context) error {
	known, _, err := c.sequences(ctx)
	if err != nil {
		return err
	}
	for _, name := range topology.Numbered {
		s, err := c.JS.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		st := s.CachedInfo().State
		switch {
		case st.LastSeq >= known[name]:
		case st.Msgs > 0:
			c.Log.Error("a stream went back behind what it had reached, and is in use: numbers may come twice",
				"stream", name, "seq", st.LastSeq, "known", known[name])
		default:
			c.Log.Error("a stream went back behind what it had reached: it goes on above that", "stream", name, "seq", st.LastSeq, "known", known[name])
			if err := s.Purge(ctx, jetstream.WithPurgeSequence(known[name]+topology.LiftMargin)); err != nil {
				return fmt.Errorf("lift stream %s: %w", name, err)
			}
		}
	}
	return nil
}

func (c *Core) sequences(ctx context.Context) (known map[string]uint64, revision uint64, err error) {
	known = map[string]uint64{}
	kv, err := c.JS.KeyValue(ctx, wire.BucketSettings)
	if err != nil {
		return nil, 0, fmt.Errorf("open bucket %s: %w", wire.BucketSettings, err)
	}
	e, err := kv.Get(ctx, wire.KeySequences)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return known, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the sequences: %w", err)
	}
	if err := json.Unmarshal(e.Value(), &known); err != nil {
		return nil, 0, fmt.Errorf("key %s: %w", wire.KeySequences, err)
	}
	return known, e.Revision(), nil
}
