package term

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a text looks; the zero value is plain.
type Style string

// The styles, as parameters of the ANSI sequence that begins them.
const (
	Plain   Style = ""
	Bold    Style = "1"
	Dim     Style = "2"
	Red     Style = "31"
	Green   Style = "32"
	Yellow  Style = "33"
	Blue    Style = "34"
	Magenta Style = "35"
	Cyan    Style = "36"
)

const reset = "\x1b[0m"

// Paint is text in a style, where the screen shows colours.
func (s *Screen) Paint(style Style, text string) string {
	if !s.Color || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + reset
}

// statusStyles has every state of tasks, workers and the system. The word is always
// shown too: colour alone tells nothing to many people.
var statusStyles = map[string]Style{
	"scheduled": Magenta, "pending": Blue, "inProgress": Cyan, "retrying": Yellow,
	"completed": Green, "failed": Red, "cancelled": Dim,
	"starting": Magenta, "idle": Dim, "active": Green, "busy": Cyan, "draining": Yellow, "hung": Red,
	"Stable": Green, "High Load": Yellow, "Recovering": Red,
	"info": Plain, "debug": Dim, "warn": Yellow, "error": Red,
}

// StatusStyle is the style of a state's word; Plain for one that is not known.
func StatusStyle(status string) Style { return statusStyles[status] }

// Clean makes text of others safe to show on one line: what would move the cursor, change
// the terminal or break the line is shown as an escape instead.
func Clean(text string) string {
	if strings.IndexFunc(text, mustEscape) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if mustEscape(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mustEscape: control characters, and those that reorder or hide the text around them.
func mustEscape(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// Width is the number of columns of a text without escape sequences.
func Width(text string) int {
	n := 0
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is 2 for the scripts and pictures that terminals show in two columns, 0 for
// marks that stand on the letter before them.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
		r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// Clip shortens a text without escape sequences to width columns; the last one says that
// something is missing.
func Clip(text string, width int) string {
	if Width(text) <= width {
		return text
	}
	if width <= 0 {
		return ""
	}
	at := 0
	for i, r := range text {
		if at+runeWidth(r) > width-1 {
			return text[:i] + "…"
		}
		at += runeWidth(r)
	}
	return text
}

// Pad fills a text up to width columns, on its left where right is set.
func Pad(text string, width int, right bool) string {
	fill := strings.Repeat(" ", max(width-Width(text), 0))
	if right {
		return fill + text
	}
	return text + fill
}
