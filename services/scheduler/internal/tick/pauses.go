package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// followPauses makes the lanes stand as the settings of their queues say. Whoever changes a
// setting does so at once; this is for those who died in between, and for lanes that were
// made at the same moment.
func (t *Tick) followPauses(ctx context.Context) error {
	paused, err := t.pausedQueues(ctx)
	if err != nil {
		return err
	}
	lanes, err := t.lanes(ctx)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, l := range lanes {
		want := paused[l.queue]
		if l.paused == want || done[l.queue] {
			continue
		}
		done[l.queue] = true
		follow := topology.ResumeLanes
		if want {
			follow = topology.PauseLanes
		}
		if err := follow(ctx, t.core.JS, l.queue); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tick) pausedQueues(ctx context.Context) (map[string]bool, error) {
	prefix := wire.KVSubject(wire.BucketSettings, wire.QueueSettingsKey(""))
	found, err := natsx.LastOf(ctx, t.core.JS, wire.StreamSettings, []string{prefix + "*"})
	if err != nil {
		return nil, fmt.Errorf("read the settings of queues: %w", err)
	}
	out := map[string]bool{}
	for _, m := range found {
		var s wire.QueueSettings
		if len(m.Data) > 0 && json.Unmarshal(m.Data, &s) == nil {
			out[strings.TrimPrefix(m.Subject, prefix)] = s.Paused
		}
	}
	return out, nil
}
