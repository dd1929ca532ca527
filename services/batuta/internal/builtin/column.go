package builtin

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxShown is how many bytes of a text are kept as min or max.
const maxShown = 256

// columnResult is one column of csv.stats. Min and Max are numbers where every value is
// one, else texts in the order of their bytes (cut at 256 bytes); Mean is null for texts.
// Where no value is there, all three are null.
type columnResult struct {
	Name     string `json:"name"`
	Count    int64  `json:"count"`
	Missing  int64  `json:"missing"`
	Min      any    `json:"min"`
	Max      any    `json:"max"`
	Mean     any    `json:"mean"`
	Distinct int64  `json:"distinct"`
}

type columns struct{ all []*column }

func newColumns(header []string) *columns {
	c := &columns{all: make([]*column, len(header))}
	budget := &distinctBudget{left: exactTotal, precision: precisionFor(len(header))}
	for i, name := range header {
		c.all[i] = &column{name: strings.Clone(name), numeric: true, distinct: newDistinct(budget)}
	}
	return c
}

func (c *columns) results() []columnResult {
	out := make([]columnResult, len(c.all))
	for i, one := range c.all {
		out[i] = one.result()
	}
	return out
}

// column gathers figures of one column.
type column struct {
	name           string
	count, missing int64
	distinct       *distinct
	min, max       string // of the texts

	numeric             bool // every value so far is a number
	least, most         float64
	leastText, mostText string
	sum, sumLost        float64 // Neumaier's sum: what rounding lost is kept beside it
}

// add takes one value; one of blanks only is missing.
func (c *column) add(value string) {
	trimmed := strings.TrimSpace(value)
	if trimmed == "" {
		c.missing++
		return
	}
	c.count++
	c.distinct.add(value)
	c.addText(value)
	if !c.numeric {
		return
	}
	x, ok := number(trimmed)
	if !ok {
		c.numeric = false
		return
	}
	c.addNumber(x, trimmed)
}

func (c *column) addText(value string) {
	if len(value) > maxShown {
		value = value[:maxShown]
		for r, n := utf8.DecodeLastRuneInString(value); r == utf8.RuneError && n == 1; r, n = utf8.DecodeLastRuneInString(value) {
			value = value[:len(value)-1]
		}
	}
	// A clone: the value is a part of its record, which would be kept as a whole.
	if c.count == 1 || value < c.min {
		c.min = strings.Clone(value)
	}
	if c.count == 1 || value > c.max {
		c.max = strings.Clone(value)
	}
}

func (c *column) addNumber(x float64, text string) {
	if c.count == 1 || x < c.least {
		c.least, c.leastText = x, strings.Clone(text)
	}
	if c.count == 1 || x > c.most {
		c.most, c.mostText = x, strings.Clone(text)
	}
	sum := c.sum + x
	if math.Abs(c.sum) >= math.Abs(x) {
		c.sumLost += (c.sum - sum) + x
	} else {
		c.sumLost += (x - sum) + c.sum
	}
	c.sum = sum
}

// number reads a decimal number. NaN, Inf and hexadecimal are texts here.
func number(s string) (float64, bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

func (c *column) result() columnResult {
	r := columnResult{Name: c.name, Count: c.count, Missing: c.missing, Distinct: c.distinct.count()}
	switch {
	case c.count == 0:
	case !c.numeric:
		r.Min, r.Max = c.min, c.max
	default:
		r.Min, r.Max = asNumber(c.leastText, c.least), asNumber(c.mostText, c.most)
		if mean := (c.sum + c.sumLost) / float64(c.count); !math.IsInf(mean, 0) && !math.IsNaN(mean) {
			r.Mean = mean
		}
	}
	return r
}

// asNumber keeps the digits of the text where JSON can have them.
func asNumber(text string, x float64) any {
	if len(text) <= maxShown && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return x
}
