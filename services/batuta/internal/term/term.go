// Package term writes for people: colours and redrawn lines on a terminal, plain text
// everywhere else.
package term

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// widthDefault and heightDefault are used where a terminal does not tell its size.
const (
	widthDefault  = 80
	heightDefault = 24
)

// Screen is a writer and what it can show.
type Screen struct {
	io.Writer
	// Terminal: somebody watches, so lines may be redrawn.
	Terminal bool
	// Color: ANSI colours are shown.
	Color bool
	// Unicode: block characters and ticks are shown.
	Unicode bool

	size func() (width, height int)
}

// New describes w for an environment as os.LookupEnv gives it. Colours are off where w is
// no terminal, where NO_COLOR is set to anything, and where TERM is dumb. A Screen is
// taken as it is.
func New(w io.Writer, lookup func(string) (string, bool)) *Screen {
	if s, ok := w.(*Screen); ok {
		return s
	}
	s := &Screen{Writer: w, size: func() (int, int) { return widthDefault, heightDefault }}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.size = func() (int, int) { return sizeOf(f) }
	s.describe(lookup)
	return s
}

// NewFake is a terminal of the given size, for tests.
func NewFake(w io.Writer, width, height int) *Screen {
	return &Screen{
		Writer: w, Terminal: true, Color: true, Unicode: true,
		size: func() (int, int) { return width, height },
	}
}

func (s *Screen) describe(lookup func(string) (string, bool)) {
	kind, _ := lookup("TERM")
	noColor, _ := lookup("NO_COLOR")
	s.Terminal = kind != "dumb"
	s.Color = s.Terminal && noColor == ""
	s.Unicode = utf8Locale(lookup)
}

// utf8Locale follows the order in which the C library looks at these variables.
func utf8Locale(lookup func(string) (string, bool)) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v, _ := lookup(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

func sizeOf(f *os.File) (width, height int) {
	w, h, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 || h <= 0 {
		return widthDefault, heightDefault
	}
	return w, h
}

// Width in columns; 80 where it is not known.
func (s *Screen) Width() int {
	w, _ := s.size()
	return w
}

// Height in lines; 24 where it is not known.
func (s *Screen) Height() int {
	_, h := s.size()
	return h
}

// IsTerminal tells whether r is one, so that a question can be asked.
func IsTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
