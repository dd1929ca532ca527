// Package ledger is what the handlers of a chaos run write down themselves, outside of
// NATS: a file of lines for each worker process, synced before an outcome is reported. It
// is the witness against which the books of Batuta are checked.
package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nuid"
)

// Kind of an entry.
type Kind string

// The kinds: a handler began, or ended with success, with a failure, with the last failure
// that its task may have, or because it was told to yield.
const (
	Began     Kind = "began"
	Succeeded Kind = "succeeded"
	Failed    Kind = "failed"
	Exhausted Kind = "exhausted"
	Yielded   Kind = "yielded"
)

// Entry is one line.
type Entry struct {
	Kind    Kind      `json:"kind"`
	ID      string    `json:"id"`
	Attempt int       `json:"attempt"`
	Fence   uint64    `json:"fence"`
	At      time.Time `json:"at"`
	PID     int       `json:"pid"`
	// Worker is the process's id in Batuta.
	Worker string `json:"worker"`
}

// suffix of a ledger's file.
const suffix = ".ledger"

// Writer appends to the ledger of this process. Its methods may be called by many
// goroutines: lines that gather while the disk is busy are synced together.
type Writer struct {
	f      *os.File
	pid    int
	worker string

	mu      sync.Mutex
	written uint64 // lines handed to the system

	syncMu sync.Mutex
	synced uint64 // lines known to be on disk
}

// Create begins the ledger of a worker process in a folder.
func Create(dir, worker string) (*Writer, error) {
	name := fmt.Sprintf("%s-%d-%s%s", worker, os.Getpid(), nuid.Next(), suffix)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin the ledger: %w", err)
	}
	return &Writer{f: f, pid: os.Getpid(), worker: worker}, nil
}

// Write appends a line; it survives the death of this process.
func (w *Writer) Write(kind Kind, id string, attempt int, fence uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := encode(Entry{Kind: kind, ID: id, Attempt: attempt, Fence: fence, At: time.Now(), PID: w.pid, Worker: w.worker})
	if _, err := w.f.Write(line); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	w.written++
	return nil
}

// Sync returns once everything written before is on disk.
func (w *Writer) Sync() error {
	w.mu.Lock()
	want := w.written
	w.mu.Unlock()
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.synced >= want {
		return nil // another one's sync came after our line
	}
	w.mu.Lock()
	upTo := w.written
	w.mu.Unlock()
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sync the ledger: %w", err)
	}
	w.synced = upTo
	return nil
}

// Close ends the ledger.
func (w *Writer) Close() error { return w.f.Close() }

// encode makes a line of fields that hold no spaces.
func encode(e Entry) []byte {
	b := make([]byte, 0, 128)
	b = append(b, e.Kind...)
	b = append(b, ' ')
	b = append(b, e.ID...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.Attempt), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, e.Fence, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.At.UnixMicro(), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.PID), 10)
	b = append(b, ' ')
	b = append(b, e.Worker...)
	return append(b, '\n')
}
