package builtin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// files is the one folder that tasks may touch. Every access goes through os.Root, which
// follows no `..` and no symbolic link out of it, whoever changes what in the meantime.
type files struct {
	root *os.Root
	dirs []string // the folder's absolute path, as given and with its links resolved
}

func spellings(dir string) []string {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil && resolved != dir {
		return []string{dir, resolved}
	}
	return []string{dir}
}

// name turns a path of a payload into one below the folder: an absolute path must lie
// under it, any other is taken from it.
func (f *files) name(p string) (string, error) {
	switch {
	case f == nil:
		return "", refuse("path %q is refused: %w", p, errNoFolder)
	case p == "":
		return "", refuse("path %q is refused: it is empty", p)
	case filepath.IsLocal(p):
		return p, nil
	}
	for _, dir := range f.dirs {
		rel, err := filepath.Rel(dir, p)
		if err == nil && filepath.IsLocal(rel) {
			return rel, nil
		}
	}
	return "", refuse("path %q is refused: it does not lie under BATUTA_FILES_DIR", p)
}

// open opens a regular file for reading. Anything else (a pipe, say) could block for ever.
func (f *files) open(p string) (*os.File, int64, error) {
	name, err := f.name(p)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, 0, pathError(p, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, refuse("path %q is refused: it is not a regular file", p)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, pathError(p, err)
	}
	return file, info.Size(), nil
}

// pathError makes a path that leaves the folder a permanent error. A file that is not
// there may come: another task may be about to write it.
func pathError(p string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if strings.Contains(err.Error(), "escapes") { // os.Root's error has no name
		return refuse("path %q is refused: it does not lie under BATUTA_FILES_DIR", p)
	}
	return fmt.Errorf("path %q: %w", p, err)
}

// create writes a file that appears whole or not at all: write fills a temporary file
// beside it, which is then renamed. It returns the number of bytes written.
func (f *files) create(ctx context.Context, p string, write func(io.Writer) error) (int64, error) {
	name, err := f.name(p)
	if err != nil {
		return 0, err
	}
	name = filepath.ToSlash(filepath.Clean(name))
	if dir := path.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return 0, pathError(p, err)
		}
	}
	temp := path.Join(path.Dir(name), ".batuta-"+rand.Text()+".tmp")
	file, err := f.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, pathError(p, err)
	}
	n, err := fill(ctx, file, write)
	if err == nil {
		err = f.root.Rename(temp, name)
	}
	if err != nil {
		_ = f.root.Remove(temp)
		return 0, pathError(p, err)
	}
	return n, nil
}

// fill writes, syncs and closes.
func fill(ctx context.Context, file *os.File, write func(io.Writer) error) (int64, error) {
	w := &countingWriter{ctx: ctx, w: file}
	err := write(w)
	if err == nil {
		err = file.Sync()
	}
	dropCache(file, 0, w.n)
	return w.n, errors.Join(err, file.Close())
}

// countingWriter counts, and fails once ctx is done.
type countingWriter struct {
	ctx context.Context //nolint:containedctx // an io.Writer has no other way to learn it
	w   io.Writer
	n   int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// cacheStep is after how many bytes a file's pages are given back.
const cacheStep = 8 << 20

// meter reads a source of known size, tells the progress from one percentage to another,
// and fails once ctx is done. What was read of a large file leaves the page cache again:
// it would push out what others need, and counts as this container's memory.
type meter struct {
	ctx      context.Context //nolint:containedctx // an io.Reader has no other way to learn it
	task     *worker.Task
	r        io.ReadSeeker
	size     int64
	from, to float64
	n        int64
	dropped  int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.n-m.dropped >= cacheStep || err != nil && m.dropped > 0 {
		m.checkpoint()
	}
	return n, err
}

func (m *meter) checkpoint() {
	if f, ok := m.r.(*os.File); ok {
		dropCache(f, m.dropped, m.n-m.dropped)
	}
	m.dropped = m.n
	share := float64(m.n) / float64(max(m.size, m.n, 1))
	m.task.Progress(m.from+(m.to-m.from)*share, fmt.Sprintf("%d of %d MiB read", m.n>>20, m.size>>20))
}

// rewind goes back to the start.
func (m *meter) rewind() error {
	_, err := m.r.Seek(0, io.SeekStart)
	m.n, m.dropped = 0, 0
	return err
}

// source is a task's input: a file of the folder, or what the payload holds.
func (b *Types) source(ctx context.Context, t *worker.Task, p *string, data io.ReadSeeker, size int64) (*meter, func(), error) {
	m := &meter{ctx: ctx, task: t, r: data, size: size, to: 99}
	if p == nil {
		return m, func() {}, nil
	}
	file, size, err := b.files.open(*p)
	if err != nil {
		return nil, nil, err
	}
	m.r, m.size = file, size
	return m, func() { _ = file.Close() }, nil
}
