package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// none stands where a value is unknown.
const none = "-"

// timeLayout shows times in the local zone of who reads.
const timeLayout = "2006-01-02 15:04:05.000"

func showTime(t wire.Time) string {
	if t == 0 {
		return none
	}
	return t.Time().Local().Format(timeLayout)
}

// showDuration is a duration with two units at most.
func showDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + showDuration(-d)
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', 1, 64) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func showMs(ms *int64) string {
	if ms == nil {
		return none
	}
	return showDuration(time.Duration(*ms) * time.Millisecond)
}

// since is how long ago t was; clocks that differ a little do not make it negative.
func since(t, now wire.Time) string {
	if t == 0 {
		return none
	}
	return showDuration(max(now.Sub(t), 0))
}

// ago is since in words.
func ago(t, now wire.Time) string {
	if t == 0 {
		return none
	}
	return since(t, now) + " ago"
}

// count shows a number with its thousands apart.
func count[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// plural is a count with its noun.
func plural[T ~int | ~int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// orNone is a text, or a mark that there is none.
func orNone[T ~string](s T) string {
	if s == "" {
		return none
	}
	return string(s)
}

func showFloat(f *float64, digits int) string {
	if f == nil {
		return none
	}
	return strconv.FormatFloat(*f, 'f', digits, 64)
}

func showInt(n *int) string {
	if n == nil {
		return none
	}
	return strconv.Itoa(*n)
}

// parseTime reads a time by RFC 3339, or a duration that is counted from now: forward, or
// back where past is set.
func parseTime(flag, text string, now time.Time, past bool) (wire.Time, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if past {
			d = -d
		}
		return wire.At(now.Add(d)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, usagef("--%s: %q is neither a time such as 2026-01-01T10:21:02Z nor a duration such as 10m", flag, text)
	}
	return wire.At(t), nil
}
