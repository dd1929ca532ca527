package program

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// giveBackEvery is how often a process looks at its memory.
	giveBackEvery = time.Second
	// quietBytes is the most that a process which is not at work allocates between two looks; the
	// audit of many records, which follows a burst, needs 40 MiB a second.
	quietBytes = 64 << 20
	// burstBytes, and half of what is mapped, is what a process must have allocated since it last
	// gave memory back: so the runtime itself collects about as often.
	burstBytes = 48 << 20
	// giveBackPause in looks is the least between two returns: each costs a collection, and
	// the faults of the pages that are needed again.
	giveBackPause = 5
)

// GiveBack returns memory to the system once a burst of work is over, until stop is called: by
// itself the runtime lets as much garbage as there is live memory lie for up to two
// minutes, and keeps its pages for longer. Under load it does nothing.
func GiveBack(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(giveBackEvery)
		defer tick.Stop()
		for g := (giver{looks: giveBackPause}); ; g.look() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// giver looks at the memory of its process from time to time.
type giver struct {
	last, given uint64 // allocated at the last look, and when memory was given back
	looks       int    // since then
}

// look gives memory back where a burst is over, and tells whether it did.
func (g *giver) look() bool {
	now := readMemory()
	quiet := now.allocated-g.last <= quietBytes
	g.last, g.looks = now.allocated, g.looks+1
	if !quiet || now.allocated-g.given <= max(burstBytes, now.mapped/2) || g.looks < giveBackPause {
		return false
	}
	debug.FreeOSMemory()
	g.given, g.looks = now.allocated, 0
	return true
}

// memory of this process in bytes: allocated since the start, and mapped without what was given back.
type memory struct{ allocated, mapped uint64 }

func readMemory() memory {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(s)
	m := memory{allocated: s[0].Value.Uint64()}
	for _, part := range s[1:] {
		m.mapped += part.Value.Uint64()
	}
	return m
}
