package wire

import (
	"fmt"
	"strconv"
	"time"
)

// Time is an instant in milliseconds since 1970 UTC; 0 means unknown. In JSON it is
// RFC 3339 UTC with milliseconds, or null.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000Z"

// At converts a time, dropping what is finer than a millisecond.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Now is the present.
func Now() Time { return At(time.Now()) }

// Time is the inverse of At.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// Add moves t by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Sub is the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Millisecond }

// String is t as in JSON, without quotes; empty where unknown.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(timeLayout)
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return appendTime(make([]byte, 0, len(timeLayout)+2), t), nil
}

// UnmarshalJSON implements json.Unmarshaler; it takes any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = 0
		return nil
	}
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("time %s: not a string", b)
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("time %q: not RFC 3339", s)
	}
	if y := at.UTC().Year(); y < 0 || y > 9999 {
		return fmt.Errorf("time %q: beyond the years that RFC 3339 can write in UTC", s)
	}
	*t = At(at)
	return nil
}

// Position is a place in the event stream: a message's sequence and the event's index in it.
type Position struct {
	Seq   uint64
	Index int
}

// String is the position as clients see it, for example "1042.3".
func (p Position) String() string { return string(p.append(make([]byte, 0, 24))) }

func (p Position) append(b []byte) []byte {
	b = strconv.AppendUint(b, p.Seq, 10)
	b = append(b, '.')
	return strconv.AppendInt(b, int64(p.Index), 10)
}

// ParsePosition is the inverse of Position.String; an index may be left out.
func ParsePosition(s string) (Position, error) {
	var p Position
	seq, index := s, "0"
	for i := range s {
		if s[i] == '.' {
			seq, index = s[:i], s[i+1:]
			break
		}
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return p, fmt.Errorf("position %q: not <sequence>.<index>", s)
	}
	i, err := strconv.ParseUint(index, 10, 31)
	if err != nil {
		return p, fmt.Errorf("position %q: not <sequence>.<index>", s)
	}
	return Position{Seq: n, Index: int(i)}, nil
}

// Before orders positions.
func (p Position) Before(q Position) bool {
	return p.Seq < q.Seq || p.Seq == q.Seq && p.Index < q.Index
}

// MarshalText and UnmarshalText make a Position a JSON string.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Position) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePosition(string(b))
	return err
}
