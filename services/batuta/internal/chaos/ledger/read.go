package ledger

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Reader follows the ledgers of a folder as they grow. It is used by one goroutine.
type Reader struct {
	dir   string
	files map[string]*follower
}

// follower is a ledger that is being read.
type follower struct {
	f    *os.File
	rest []byte // a line that is not complete yet
}

// NewReader reads a folder from the beginning.
func NewReader(dir string) *Reader { return &Reader{dir: dir, files: map[string]*follower{}} }

// Next gives what was written since the last call. A last line that its process could not
// finish is left out.
func (r *Reader) Next() ([]Entry, error) {
	names, err := filepath.Glob(filepath.Join(r.dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("list the ledgers: %w", err)
	}
	var out []Entry
	for _, name := range names {
		f := r.files[name]
		if f == nil {
			file, err := os.Open(name)
			if err != nil {
				return nil, fmt.Errorf("read a ledger: %w", err)
			}
			f = &follower{f: file}
			r.files[name] = f
		}
		if out, err = f.read(out); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", filepath.Base(name), err)
		}
	}
	return out, nil
}

// Close closes the files.
func (r *Reader) Close() {
	for _, f := range r.files {
		_ = f.f.Close() // only read
	}
	r.files = map[string]*follower{}
}

func (f *follower) read(out []Entry) ([]Entry, error) {
	more, err := io.ReadAll(f.f)
	if err != nil {
		return nil, err
	}
	f.rest = append(f.rest, more...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return out, nil
		}
		e, err := decode(string(line))
		if err != nil {
			return nil, err
		}
		out, f.rest = append(out, e), rest
	}
}

func decode(line string) (Entry, error) {
	parts := strings.Split(line, " ")
	if len(parts) != 7 {
		return Entry{}, fmt.Errorf("%q is not a line of a ledger", line)
	}
	attempt, err1 := strconv.Atoi(parts[2])
	fence, err2 := strconv.ParseUint(parts[3], 10, 64)
	at, err3 := strconv.ParseInt(parts[4], 10, 64)
	pid, err4 := strconv.Atoi(parts[5])
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return Entry{}, fmt.Errorf("%q is not a line of a ledger: %w", line, err)
		}
	}
	return Entry{
		Kind: Kind(parts[0]), ID: parts[1], Attempt: attempt, Fence: fence, At: time.UnixMicro(at), PID: pid, Worker: parts[6],
	}, nil
}
