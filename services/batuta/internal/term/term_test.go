package term_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
)

func noEnv(string) (string, bool) { return "", false }

func TestOnlyATerminalGetsColours(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := term.New(&b, noEnv)
	require.False(t, s.Terminal)
	require.Equal(t, "x", s.Paint(term.Red, "x"))
	require.Equal(t, 80, s.Width())

	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	require.False(t, term.New(file, noEnv).Terminal)
	require.False(t, term.IsTerminal(file))

	fake := term.NewFake(&b, 40, 10)
	require.Same(t, fake, term.New(fake, noEnv))
	require.Equal(t, "\x1b[31mx\x1b[0m", fake.Paint(term.Red, "x"))
	require.Equal(t, "x", fake.Paint(term.Plain, "x"))
}

func TestCleanShowsWhatWouldChangeTheTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ünïcode 漢字":   "plain ünïcode 漢字",
		"a\x1b[2Jb":          `a\x1b[2Jb`,
		"a\nb\tc\r":          `a\nb\tc\r`,
		"\u202egnp.exe":      `\u202egnp.exe`,
		"bad \xff byte":      "bad \ufffd byte",
		"\u009b31m c1 codes": `\u009b31m c1 codes`,
	} {
		require.Equal(t, want, term.Clean(in))
	}
}

func TestWidthsCountColumns(t *testing.T) {
	t.Parallel()
	require.Equal(t, 4, term.Width("漢字"))
	require.Equal(t, 1, term.Width("e\u0301"))
	require.Equal(t, "漢…", term.Clip("漢字漢字", 4))
	require.Equal(t, "ab…", term.Clip("abcd", 3))
	require.Equal(t, "abc", term.Clip("abc", 3))
	require.Empty(t, term.Clip("abc", 0))
	require.Equal(t, "漢 ", term.Pad("漢", 3, false))
	require.Equal(t, " ab", term.Pad("ab", 3, true))
}

func TestTableAlignsItsColumns(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := term.New(&b, noEnv)
	table := term.NewTable("NAME", "N>", "NOTE")
	table.Add(term.Text("a-long-name"), term.Text("7"), term.Text("line\nbreak"))
	table.Add(term.Text("b"), term.Text("1234"), term.Text(""))
	require.NoError(t, table.Write(s))
	table.Add(term.Text("c"), term.Text("5"), term.Text("later"))
	require.NoError(t, table.Write(s))
	require.Equal(t, "NAME            N  NOTE\na-long-name     7  line\\nbreak\nb            1234\nc               5  later\n", b.String())
}

func TestTableCutsItsLastColumnOnATerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	table := term.NewTable("NAME", "NOTE")
	table.Add(term.Text("a"), term.Text(strings.Repeat("x", 50)))
	require.NoError(t, table.Write(term.NewFake(&b, 20, 10)))
	require.Equal(t, "a     "+strings.Repeat("x", 13)+"…\n", strings.SplitN(b.String(), "\n", 2)[1])
}

func TestLiveDrawsInItsPlace(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	live := term.NewLive(term.NewFake(&b, 20, 4))
	require.NoError(t, live.Draw([]string{"one", "two", "three", "does not fit"}))
	require.NotContains(t, b.String(), "fit")
	b.Reset()
	require.NoError(t, live.Draw([]string{"four"}))
	require.Equal(t, "\x1b[3A\r\x1b[J\r\x1b[2Kfour\n", b.String())
	b.Reset()
	require.NoError(t, live.Clear())
	require.Equal(t, "\x1b[1A\r\x1b[J", b.String())
	b.Reset()
	require.NoError(t, live.Clear())
	require.Empty(t, b.String())
}

func TestBar(t *testing.T) {
	t.Parallel()
	s := &term.Screen{Writer: &bytes.Buffer{}}
	require.Equal(t, "####------  40%", s.Bar(40, 15, term.Cyan))
	require.Equal(t, "########## 100%", s.Bar(150, 15, term.Cyan))
	require.Equal(t, "----------   0%", s.Bar(-1, 15, term.Cyan))
	require.Equal(t, "#########-  99%", s.Bar(99.99, 15, term.Cyan), "only what is complete reads 100%%")
}
