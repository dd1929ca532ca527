// Package ledger is what handlers write down of each start, in whatever language and
// process they run, and what is concluded from it: that each task ran exactly once, and how
// long it had waited.
package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/clock"
)

// Entry is one start of a handler.
type Entry struct {
	// N is the task's number, from 0.
	N uint32
	// Submitted, Started and Ended by package clock; Ended is 0 where that was not seen.
	Submitted, Started, Ended int64
}

// Size of an encoded entry: N, Submitted, Started and Ended, little endian.
const Size = 4 + 3*8

func (e Entry) encode() []byte {
	b := make([]byte, 0, Size)
	b = binary.LittleEndian.AppendUint32(b, e.N)
	for _, v := range []int64{e.Submitted, e.Started, e.Ended} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// Book takes down starts in one worker process.
type Book struct {
	entries []Entry
	next    atomic.Int64
	expect  int64
	done    atomic.Int64
	onDone  func(at int64)

	// file takes each start as it happens, for processes that will be killed.
	mu   sync.Mutex
	file *os.File
}

// NewBook makes a book for the given number of starts; onDone is called when as many have
// ended.
func NewBook(expect int, onDone func(at int64)) *Book {
	return &Book{entries: make([]Entry, expect+expect/10+1000), expect: int64(expect), onDone: onDone}
}

// AtOnce makes the book write every start to a file in dir before the handler goes on.
func (b *Book) AtOnce(dir string) (err error) {
	b.file, err = os.OpenFile(startsOf(dir, os.Getpid()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return err
}

func startsOf(dir string, pid int) string {
	return filepath.Join(dir, fmt.Sprintf("starts-%d.ledger", pid))
}

// Run takes down one start around the handler's work.
func (b *Book) Run(n uint32, submitted int64, work func()) (started int64) {
	e := Entry{N: n, Submitted: submitted, Started: clock.Now()}
	if b.file != nil {
		b.mu.Lock()
		_, err := b.file.Write(e.encode())
		b.mu.Unlock()
		if err != nil {
			panic("bench: the ledger cannot be written: " + err.Error())
		}
	}
	if work != nil {
		work()
	}
	e.Ended = clock.Now()
	if at := b.next.Add(1) - 1; at < int64(len(b.entries)) {
		b.entries[at] = e
	}
	if b.done.Add(1) == b.expect && b.onDone != nil {
		b.onDone(e.Ended)
	}
	return e.Started
}

// Save writes what was taken down to a new file in dir, unless it was written at once.
func (b *Book) Save(dir string) error {
	if b.file != nil {
		return b.file.Close()
	}
	n := b.next.Load()
	if n > int64(len(b.entries)) {
		return fmt.Errorf("%d starts: more than a tenth of the tasks ran twice", n)
	}
	out := make([]byte, 0, n*Size)
	for _, e := range b.entries[:n] {
		out = append(out, e.encode()...)
	}
	f, err := os.CreateTemp(dir, "all-*.ledger")
	if err != nil {
		return err
	}
	_, err = f.Write(out)
	return errors.Join(err, f.Close())
}

// Ledger is what all workers wrote down.
type Ledger struct{ Entries []Entry }

// Read collects the files of a folder.
func Read(dir string) (*Ledger, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.ledger"))
	if err != nil {
		return nil, err
	}
	return read(files...)
}

// ReadOf reads what one process, living or dead, has written at once.
func ReadOf(dir string, pid int) (*Ledger, error) {
	l, err := read(startsOf(dir, pid))
	if errors.Is(err, os.ErrNotExist) {
		return &Ledger{}, nil
	}
	return l, err
}

func read(files ...string) (*Ledger, error) {
	l := &Ledger{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for ; len(b) >= Size; b = b[Size:] { // a killed process may have left half an entry
			at := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[4+8*i:])) }
			l.Entries = append(l.Entries, Entry{binary.LittleEndian.Uint32(b), at(0), at(1), at(2)})
		}
	}
	return l, nil
}

// OnceError is returned where tasks did not run exactly once.
type OnceError struct{ Missing, Repeated, Unknown int }

// Error counts them.
func (e *OnceError) Error() string {
	return fmt.Sprintf("not every task ran exactly once: %d did not run, %d ran again, %d starts of unknown tasks", e.Missing, e.Repeated, e.Unknown)
}

// Once checks that the tasks 0 to n-1 ran, each exactly once.
func (l *Ledger) Once(n int) error {
	e := l.count(n)
	if *e != (OnceError{}) {
		return e
	}
	return nil
}

// AtLeastOnce checks that the tasks 0 to n-1 ran, and returns how many starts were repeated.
func (l *Ledger) AtLeastOnce(n int) (repeated int, err error) {
	e := l.count(n)
	if e.Missing > 0 || e.Unknown > 0 {
		return e.Repeated, e
	}
	return e.Repeated, nil
}

func (l *Ledger) count(n int) *OnceError {
	starts := make([]int, n)
	var e OnceError
	for _, one := range l.Entries {
		if int(one.N) >= n {
			e.Unknown++
			continue
		}
		if starts[one.N]++; starts[one.N] > 1 {
			e.Repeated++
		}
	}
	for _, s := range starts {
		if s == 0 {
			e.Missing++
		}
	}
	return &e
}

// Waits are the milliseconds from submission to start of the tasks that keep takes.
func (l *Ledger) Waits(keep func(Entry) bool) []float64 {
	var out []float64
	for _, e := range l.Entries {
		if keep == nil || keep(e) {
			out = append(out, clock.Ms(e.Started-e.Submitted))
		}
	}
	return out
}

// Span is from the first start to the last end.
func (l *Ledger) Span() (first, last int64) {
	for i, e := range l.Entries {
		if i == 0 || e.Started < first {
			first = e.Started
		}
		last = max(last, e.Ended)
	}
	return first, last
}
