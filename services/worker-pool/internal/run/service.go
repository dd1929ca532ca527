package run

import (
	"sync"
	"time"
)

// service measures how long tasks take, by type, so that the scheduler knows the short ones.
type service struct {
	mu    sync.Mutex
	types map[string]*taken
}

// taken is a moving mean.
type taken struct {
	mean  time.Duration
	count int
	last  time.Time
}

const (
	// serviceWeight is how many tasks the moving mean reaches back.
	serviceWeight = 64
	// serviceTypes bounds the types that are told of, serviceFor how long ago one last ran, and
	// serviceMost how long it takes: longer ones are nobody's concern.
	serviceTypes = 64
	serviceFor   = 10 * time.Minute
	serviceMost  = 100 * time.Millisecond
)

func (s *service) add(taskType string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.types[taskType]
	if t == nil {
		if s.types == nil {
			s.types = map[string]*taken{}
		}
		s.makeRoom()
		t = &taken{}
		s.types[taskType] = t
	}
	t.count = min(t.count+1, serviceWeight)
	t.mean += (took - t.mean) / time.Duration(t.count)
	t.last = time.Now()
}

// makeRoom forgets the type that ran longest ago where there are too many. It needs the lock.
func (s *service) makeRoom() {
	if len(s.types) < serviceTypes {
		return
	}
	oldest := ""
	for name, t := range s.types {
		if oldest == "" || t.last.Before(s.types[oldest].last) {
			oldest = name
		}
	}
	delete(s.types, oldest)
}

// means are how long tasks take, in microseconds; running is for how long one of a type has run
// by now, which counts as if it ended at this moment.
func (s *service) means(running map[string]time.Duration) map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	for name, t := range s.types {
		if time.Since(t.last) > serviceFor {
			delete(s.types, name)
			continue
		}
		mean := t.mean
		if longest := running[name]; longest > mean {
			mean += (longest - mean) / time.Duration(min(t.count+1, serviceWeight))
		}
		if mean < serviceMost {
			out[name] = max(mean.Microseconds(), 1)
		}
	}
	return out
}

// Service is how long tasks of each type take here at present, in microseconds.
func (r *Runner) Service() map[string]int64 {
	longest := map[string]time.Duration{}
	r.mu.Lock()
	for _, a := range r.held {
		if a.phase == running {
			longest[a.env.Task.Type] = max(longest[a.env.Task.Type], time.Since(a.sentAt))
		}
	}
	r.mu.Unlock()
	return r.service.means(longest)
}
