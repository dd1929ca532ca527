package readmodel

import (
	"math"
	"time"
)

// rateSeconds is over how many seconds the rates of a queue are taken.
const rateSeconds = 60

// rate counts the tasks of one queue that come to wait and that leave, by second.
type rate struct {
	second  int64
	in, out [rateSeconds]uint32
}

// forward empties the seconds that have passed since the last count.
func (r *rate) forward(second int64) {
	if second-r.second >= rateSeconds {
		r.in, r.out = [rateSeconds]uint32{}, [rateSeconds]uint32{}
	} else {
		for s := r.second + 1; s <= second; s++ {
			r.in[s%rateSeconds], r.out[s%rateSeconds] = 0, 0
		}
	}
	r.second = max(r.second, second)
}

// over is the number of tasks in and out in the last n whole seconds.
func (r *rate) over(n int64) (in, out uint64) {
	for s := r.second - n; s < r.second; s++ {
		if s >= 0 {
			in += uint64(r.in[s%rateSeconds])
			out += uint64(r.out[s%rateSeconds])
		}
	}
	return in, out
}

// count adds to the rates of a queue.
func (s *store) count(queue []byte, in, out bool) {
	number, known := s.queues.numbers[string(queue)]
	if !known {
		return // the first row of a queue has not been set yet
	}
	second := s.now().Unix()
	r := s.rates[number]
	if r == nil {
		r = &rate{second: second}
		s.rates[number] = r
	}
	r.forward(second)
	if in {
		r.in[second%rateSeconds]++
	}
	if out {
		r.out[second%rateSeconds]++
	}
}

// countNew counts a row that was not there. Some tasks wait for too short to be seen waiting.
func (s *store) countNew(r *row) {
	if s.counting && r.status != statusScheduled {
		s.count(r.queue, true, r.started)
	}
}

// countChange counts what becomes of a row.
func (s *store) countChange(slot uint32, r *row) {
	if !s.counting {
		return
	}
	c, i := s.at(slot)
	was, is := statusOf(c.state[i]), r.status
	waited := was == statusPending || was == statusScheduled || was == statusRetrying
	runs := is == statusInProgress || r.started && (is == statusRetrying || is == statusCompleted || is == statusFailed)
	out := was != is && runs && (waited || is == statusInProgress)
	in := was != statusPending && (is == statusPending || out)
	if in || out {
		s.count(r.queue, in, out)
	}
}

// perSecond rounds a rate to what is worth showing.
func perSecond(n uint64, seconds int64) float64 {
	return math.Round(float64(n)/float64(seconds)*100) / 100
}

// ratesOf are tasks a second in and out of a queue, over the last minute or for as long as
// there has been counting; it needs a lock.
func (s *store) ratesOf(queue uint32, since time.Time) (in, out *float64) {
	seconds := min(int64(s.now().Sub(since)/time.Second), rateSeconds-1)
	if seconds < 1 {
		return nil, nil
	}
	var nIn, nOut uint64
	if r := s.rates[queue]; r != nil {
		shown := *r
		shown.forward(s.now().Unix())
		nIn, nOut = shown.over(seconds)
	}
	i, o := perSecond(nIn, seconds), perSecond(nOut, seconds)
	return &i, &o
}
