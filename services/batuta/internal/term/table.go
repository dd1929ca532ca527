package term

import (
	"strings"
)

// gap stands between two columns.
const gap = "  "

// Cell is one value of a table.
type Cell struct {
	Text  string
	Style Style
}

// Text is a plain cell.
func Text(s string) Cell { return Cell{Text: s} }

// Status is a cell with the word and colour of a state.
func Status(s string) Cell { return Cell{Text: s, Style: StatusStyle(s)} }

// Table is rows under headers, with aligned columns.
type Table struct {
	headers []string
	right   map[int]bool
	rows    [][]Cell
	widths  []int
	begun   bool
}

// NewTable begins a table. A header that ends in ">" is of a column of numbers, which is
// aligned on its right.
func NewTable(headers ...string) *Table {
	t := &Table{headers: make([]string, len(headers)), right: map[int]bool{}, widths: make([]int, len(headers))}
	for i, h := range headers {
		t.headers[i] = strings.TrimSuffix(h, ">")
		t.right[i] = t.headers[i] != h
		t.widths[i] = Width(t.headers[i])
	}
	return t
}

// Add appends a row with a cell for each header.
func (t *Table) Add(cells ...Cell) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i] = Cell{Text: Clean(c.Text), Style: c.Style}
		t.widths[i] = max(t.widths[i], Width(row[i].Text))
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows that wait to be written.
func (t *Table) Len() int { return len(t.rows) }

// Write prints the rows that were added since it was last called, the first time under the
// headers; so a long table can be printed in parts. On a terminal the last column is cut
// where the line ends.
func (t *Table) Write(s *Screen) error {
	var b strings.Builder
	if !t.begun {
		t.line(&b, s, t.headerCells())
	}
	for _, row := range t.rows {
		t.line(&b, s, row)
	}
	t.begun, t.rows = true, nil
	_, err := s.Write([]byte(b.String()))
	return err
}

func (t *Table) headerCells() []Cell {
	cells := make([]Cell, len(t.headers))
	for i, h := range t.headers {
		cells[i] = Cell{Text: h, Style: Bold}
	}
	return cells
}

func (t *Table) line(b *strings.Builder, s *Screen, cells []Cell) {
	used, last := 0, lastFilled(cells)
	for i, c := range cells[:last+1] {
		text := c.Text
		if i == len(cells)-1 && s.Terminal {
			text = Clip(text, max(s.Width()-used, 8))
		}
		padded := Pad(text, t.widths[i], t.right[i])
		if i == last { // no spaces at the end of a line
			padded = strings.TrimRight(padded, " ")
		}
		used += t.widths[i] + len(gap)
		b.WriteString(s.Paint(c.Style, padded))
		if i < last {
			b.WriteString(gap)
		}
	}
	b.WriteString("\n")
}

func lastFilled(cells []Cell) int {
	for i := len(cells) - 1; i > 0; i-- {
		if cells[i].Text != "" {
			return i
		}
	}
	return 0
}
