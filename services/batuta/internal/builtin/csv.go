package builtin

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/batuta-tasks/batuta/shared/worker"
)

const (
	// maxRecord bounds one record: a quote that is never closed would make the rest of
	// the file one field.
	maxRecord  = 4 << 20
	maxColumns = 10_000
)

type csvInput struct {
	Path      *string `json:"path"`
	Text      *string `json:"text"`
	Delimiter string  `json:"delimiter"`
}

type csvResult struct {
	Rows    int64          `json:"rows"`
	Columns []columnResult `json:"columns"`
}

// csvStats describes the columns of a CSV file whose first row is its header.
func (b *Types) csvStats(ctx context.Context, t *worker.Task) (any, error) {
	in := csvInput{Delimiter: ","}
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	if err := oneOf("path", in.Path != nil, "text", in.Text != nil); err != nil {
		return nil, err
	}
	delimiter, size := utf8.DecodeRuneInString(in.Delimiter)
	if size != len(in.Delimiter) || delimiter == utf8.RuneError || strings.ContainsRune("\"\r\n", delimiter) {
		return nil, refuse("payload.delimiter: %q: must be one character, and neither a quote nor a line break", in.Delimiter)
	}
	text := ""
	if in.Text != nil {
		text = *in.Text
	}
	src, done, err := b.source(ctx, t, in.Path, strings.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	defer done()
	return readTable(newRecordReader(src, delimiter))
}

// recordReader reads records of bounded size.
type recordReader struct {
	csv   *csv.Reader
	limit *recordLimit
	read  int64 // records so far
}

func newRecordReader(r io.Reader, delimiter rune) *recordReader {
	limit := &recordLimit{r: r}
	buffered := bufio.NewReaderSize(limit, 64<<10)
	if bom, err := buffered.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(3) // peeked, so it is there
	}
	c := csv.NewReader(buffered)
	c.Comma, c.ReuseRecord = delimiter, true
	return &recordReader{csv: c, limit: limit}
}

var errLongRecord = errors.New("it is larger than 4 MiB (is a quote not closed?)")

// recordLimit fails where too much is read for one record.
type recordLimit struct {
	r io.Reader
	n int
}

func (l *recordLimit) Read(p []byte) (int, error) {
	if l.n > maxRecord {
		return 0, errLongRecord
	}
	n, err := l.r.Read(p)
	l.n += n
	return n, err
}

// next is the next record, valid until the following call; io.EOF at the end. What is
// wrong with the text itself is a permanent error.
func (r *recordReader) next() ([]string, error) {
	r.limit.n = 0
	record, err := r.csv.Read()
	var broken *csv.ParseError
	switch {
	case err == nil && len(record) > maxColumns:
		return nil, refuse("csv: %d columns: at most %d", len(record), maxColumns)
	case errors.Is(err, errLongRecord):
		return nil, refuse("csv: record %d: %w", r.read+1, errLongRecord)
	case errors.As(err, &broken):
		return nil, refuse("csv: %w", err)
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("csv: %w", err)
	}
	r.read++
	return record, err
}

func readTable(r *recordReader) (any, error) {
	header, err := r.next()
	if errors.Is(err, io.EOF) {
		return csvResult{Columns: []columnResult{}}, nil
	}
	if err != nil {
		return nil, err
	}
	columns := newColumns(header)
	result := csvResult{}
	for {
		record, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		result.Rows++
		for i, value := range record {
			columns.all[i].add(value)
		}
	}
	result.Columns = columns.results()
	return result, nil
}
