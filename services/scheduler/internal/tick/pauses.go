package tick

import (
	"context"

	"github.com/batuta-tasks/batuta/shared/topology"
)

// followPauses makes the lanes stand as the settings of their queues say. Whoever changes a
// setting does so at once; this is for those who died in between, and for lanes that were
// made at the same moment.
func (t *Tick) followPauses(ctx context.Context) error {
	settings, err := t.queueSettings(ctx)
	if err != nil {
		return err
	}
	lanes, err := t.lanes(ctx)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, l := range lanes {
		s := settings[l.Queue]
		if l.paused == s.Paused || done[l.Queue] {
			continue
		}
		done[l.Queue] = true
		follow := topology.ResumeLanes
		if s.Paused {
			follow = topology.PauseLanes
		}
		if err := follow(ctx, t.core.JS, l.Queue); err != nil {
			return err
		}
	}
	return nil
}
