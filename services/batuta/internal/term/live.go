package term

import (
	"fmt"
	"math"
	"strings"
)

// Live is a block of lines that is drawn again and again in its place. It must be used on
// a terminal only.
type Live struct {
	screen *Screen
	drawn  int
}

// NewLive begins an empty block.
func NewLive(s *Screen) *Live { return &Live{screen: s} }

// Draw shows lines in the place of the ones drawn before. What does not fit the screen is
// left out from the bottom. Each line must fit the width.
func (l *Live) Draw(lines []string) error {
	if most := max(l.screen.Height()-1, 1); len(lines) > most {
		lines = lines[:most]
	}
	var b strings.Builder
	l.rewind(&b)
	for _, line := range lines {
		b.WriteString("\r\x1b[2K" + line + "\n")
	}
	l.drawn = len(lines)
	_, err := l.screen.Write([]byte(b.String()))
	return err
}

// Clear takes the block away, so that lasting lines can be written in its place.
func (l *Live) Clear() error {
	var b strings.Builder
	l.rewind(&b)
	l.drawn = 0
	_, err := l.screen.Write([]byte(b.String()))
	return err
}

// rewind goes to the block's first line and wipes all below.
func (l *Live) rewind(b *strings.Builder) {
	if l.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", l.drawn)
	}
}

// Bar is a progress bar of width columns with its percentage; percent is cut to 0..100.
func (s *Screen) Bar(percent float64, width int, style Style) string {
	if math.IsNaN(percent) {
		percent = 0
	}
	percent = min(max(percent, 0), 100)
	full, empty := "#", "-"
	if s.Unicode {
		full, empty = "█", "░"
	}
	cells := max(width-5, 4)
	n := int(percent / 100 * float64(cells))
	return s.Paint(style, strings.Repeat(full, n)) + s.Paint(Dim, strings.Repeat(empty, cells-n)) +
		fmt.Sprintf(" %3.0f%%", math.Floor(percent))
}
