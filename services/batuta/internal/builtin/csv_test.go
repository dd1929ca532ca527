package builtin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func (b *bench) stats(text string) string {
	b.t.Helper()
	quoted, err := json.Marshal(text)
	require.NoError(b.t, err)
	return b.ok("csv.stats", `{"text":`+string(quoted)+`}`)
}

func TestStatsOfATable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.stats("\ufeffname,age,note,big\nAna,30,,9007199254740993\n\"Lu, Bo\",41.50, ,9007199254740995\nAna,-7,,1\n")
	require.JSONEq(t, `{"rows":3,"columns":[
		{"name":"name","count":3,"missing":0,"min":"Ana","max":"Lu, Bo","mean":null,"distinct":2},
		{"name":"age","count":3,"missing":0,"min":-7,"max":41.50,"mean":21.5,"distinct":3},
		{"name":"note","count":0,"missing":3,"min":null,"max":null,"mean":null,"distinct":0},
		{"name":"big","count":3,"missing":0,"min":1,"max":9007199254740995,"mean":6004799503160662.7,"distinct":3}]}`, got)
	require.Contains(t, got, `"max":9007199254740995`)
	require.Contains(t, got, `"max":41.50`)
}

func TestStatsOfOddTables(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.JSONEq(t, `{"rows":0,"columns":[]}`, b.stats(""))
	require.JSONEq(t, `{"rows":0,"columns":[{"name":"a","count":0,"missing":0,"min":null,"max":null,"mean":null,"distinct":0}]}`, b.stats("a\n"))
	require.JSONEq(t, `{"rows":2,"columns":[{"name":"a","count":2,"missing":0,"min":"007","max":"NaN","mean":null,"distinct":2}]}`, b.stats("a\r\n007\r\nNaN\r\n"))
	require.JSONEq(t, `{"rows":2,"columns":[{"name":"a","count":2,"missing":0,"min":0.5,"max":7,"mean":3.75,"distinct":2}]}`, b.stats("a\n007\n.5\n"))
	require.JSONEq(t, `{"rows":3,"columns":[{"name":"a","count":3,"missing":0,"min":1e308,"max":1e308,"mean":null,"distinct":1}]}`, b.stats("a\n1e308\n1e308\n1e308\n"))
	require.Contains(t, b.ok("csv.stats", `{"text":"a\tb\n1\t2\n","delimiter":"\t"}`), `"name":"b","count":1`)
	long := strings.Repeat("é", 300)
	require.Contains(t, b.stats("a\n"+long+"\n"), `"min":"`+strings.Repeat("é", 128)+`"`)
}

func TestTablesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	refused := func(text string) string {
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		return b.refused("csv.stats", `{"text":`+string(quoted)+`}`)
	}
	require.Contains(t, refused("a,b\n1\n"), "record on line 2: wrong number of fields")
	require.Contains(t, refused("a\n\"x\"y\n"), `parse error on line 2`)
	require.Contains(t, refused("a\nb\n\""+strings.Repeat("x", 5<<20)), "record 3: it is larger than 4 MiB")
	require.Contains(t, refused(strings.Repeat(",", 10_000)), "10001 columns")
}

func TestDistinctIsExactForManyAndNearForHugeNumbers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var text strings.Builder
	text.WriteString("exact,huge\n")
	const rows = 250_000
	for i := range rows {
		fmt.Fprintf(&text, "%d,u%d\n", i%100_000, i)
	}
	b.write("t.csv", text.String())
	var r struct{ Columns []struct{ Distinct int } }
	require.NoError(t, json.Unmarshal([]byte(b.ok("csv.stats", `{"path":"t.csv"}`)), &r))
	require.Equal(t, 100_000, r.Columns[0].Distinct)
	require.NotEqual(t, 0, r.Columns[1].Distinct)
	require.InEpsilon(t, rows, r.Columns[1].Distinct, 0.05) // six standard errors
}

func TestDistinctOfManyColumnsStaysBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const columns, rows = 5_000, 100
	var text strings.Builder
	for c := range columns {
		fmt.Fprintf(&text, ",c%d", c)
	}
	for r := range rows {
		text.WriteString("\n")
		for c := range columns {
			fmt.Fprintf(&text, ",%d", r*columns+c)
		}
	}
	b.write("wide.csv", text.String()[1:strings.IndexByte(text.String(), '\n')]+strings.ReplaceAll(text.String()[strings.IndexByte(text.String(), '\n'):], "\n,", "\n"))
	var r struct{ Columns []struct{ Distinct int } }
	require.NoError(t, json.Unmarshal([]byte(b.ok("csv.stats", `{"path":"wide.csv"}`)), &r))
	total := 0
	for _, c := range r.Columns {
		total += c.Distinct
	}
	require.InEpsilon(t, rows*columns, total, 0.05)
}
