// Package builtin holds the task types that `batuta worker` brings along: sleep, hash,
// http, exec, csv.stats, image.resize and gzip.
//
// Each streams what it reads and writes, so that its memory does not grow with the file,
// ends promptly when its context is done, and refuses a payload that it does not
// understand for good: a retry would find the same. Files are reached through one folder
// only (see [Config]).
package builtin

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/semaphore"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// Config says what the built-in types may touch.
type Config struct {
	// FilesDir is the one folder they may read and write; "" refuses every path.
	FilesDir string
	// ExecAllow lists the commands that exec may run, as they stand in the payload.
	ExecAllow []string
	// HTTPClient sends the requests of http; nil: one that obeys the environment's proxies.
	HTTPClient *http.Client
}

// Types are the built-in task types.
type Types struct {
	files  *files
	allow  map[string]bool
	client *http.Client
	groups groups
	// images bounds the pixels that all tasks of this process hold at once.
	images *semaphore.Weighted
}

// New opens the folder. Close the types after their last use.
func New(c Config) (*Types, error) {
	b := &Types{allow: map[string]bool{}, client: c.HTTPClient, images: semaphore.NewWeighted(maxImageBytes)}
	for _, command := range c.ExecAllow {
		b.allow[command] = true
	}
	if b.client == nil {
		b.client = newHTTPClient()
	}
	if c.FilesDir == "" {
		return b, nil
	}
	dir, err := filepath.Abs(c.FilesDir)
	if err != nil {
		return nil, fmt.Errorf("files folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("files folder: %w", err)
	}
	b.files = &files{root: root, dirs: spellings(dir)}
	return b, nil
}

// Register adds the seven types to a mux.
func (b *Types) Register(m *worker.Mux) {
	m.Handle("sleep", b.sleep)
	m.Handle("hash", b.hash)
	m.Handle("http", b.http)
	m.Handle("exec", b.exec)
	m.Handle("csv.stats", b.csvStats)
	m.Handle("image.resize", b.imageResize)
	m.Handle("gzip", b.gzip)
}

// KillChildren kills every process that exec started and that still runs, with all its
// descendants of the same process group.
func (b *Types) KillChildren() { b.groups.killAll() }

// Close kills what exec left and closes the folder.
func (b *Types) Close() error {
	b.KillChildren()
	b.client.CloseIdleConnections()
	if b.files == nil {
		return nil
	}
	return b.files.root.Close()
}

// refuse is an error that a retry cannot mend.
func refuse(format string, args ...any) error { return worker.Permanent(fmt.Errorf(format, args...)) }

// oneOf checks that exactly one of two ways to give the input is used.
func oneOf(nameA string, a bool, nameB string, b bool) error {
	if a != b {
		return nil
	}
	if a {
		return refuse("payload: %s and %s cannot stand together", nameA, nameB)
	}
	return refuse("payload: %s or %s is missing", nameA, nameB)
}

var errNoFolder = errors.New("no folder is open to tasks (BATUTA_FILES_DIR is not set)")
