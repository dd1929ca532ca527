package workercmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/services/batuta/internal/workercmd"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	envProgram = "BATUTA_TEST_WORKER"
	// envPeak names the file that gets the process's peak memory when it drains.
	envPeak = "BATUTA_TEST_PEAK"
	mib     = 1 << 20
)

// TestMain makes this binary the worker process where it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv(envProgram) == "" {
		os.Exit(m.Run())
	}
	code := workercmd.Run(context.Background(), os.Stdin, os.Stdout, os.Stderr, os.Environ())
	if file := os.Getenv(envPeak); file != "" {
		status, _ := os.ReadFile("/proc/self/status")
		if os.WriteFile(file, status, 0o600) != nil {
			code = 3
		}
	}
	os.Exit(code)
}

type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *wire.LineReader
}

func start(t *testing.T, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.Command(exe)}
	p.cmd.Env = append(append(os.Environ(), envProgram+"=1", "BATUTA_HEARTBEAT_MS=100"), env...)
	p.cmd.Stderr = os.Stderr
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = wire.NewLineReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *process) send(l wire.LineToWorker) {
	p.t.Helper()
	b, err := l.Append(nil)
	require.NoError(p.t, err)
	_, err = p.in.Write(b)
	require.NoError(p.t, err)
}

// outcome runs a task and returns its last line and how often progress was told.
func (p *process) outcome(taskType string, payload any) (last wire.LineFromWorker, told int) {
	p.t.Helper()
	b, err := json.Marshal(payload)
	require.NoError(p.t, err)
	p.send(wire.LineToWorker{Op: wire.OpTask, ID: "x", Type: taskType, Attempt: 1, Fence: 1025, Payload: b, TimeoutMs: 60_000})
	for {
		l, err := p.lines.Next()
		require.NoError(p.t, err)
		switch l.Op {
		case wire.OpProgress:
			told++
		case wire.OpResult, wire.OpError:
			return l, told
		}
	}
}

func (p *process) drain() {
	p.t.Helper()
	p.send(wire.LineToWorker{Op: wire.OpDrain})
	_, err := io.Copy(io.Discard, readerOf(p.lines))
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Wait())
}

// readerOf reads lines to their end.
func readerOf(lines *wire.LineReader) io.Reader {
	return readFunc(func() error { _, err := lines.Next(); return err })
}

type readFunc func() error

func (f readFunc) Read([]byte) (int, error) { return 0, f() }

func TestTheWorkerAnnouncesItsTypesAndLeavesConcurrencyToThePool(t *testing.T) {
	t.Parallel()
	p := start(t)
	ready, err := p.lines.Next()
	require.NoError(t, err)
	require.Equal(t, wire.LineFromWorker{
		Op: wire.OpReady, Protocol: 1,
		Types: []string{"csv.stats", "exec", "gzip", "hash", "http", "image.resize", "sleep"},
	}, ready)
	beat, err := p.lines.Next()
	require.NoError(t, err)
	require.Equal(t, wire.OpHeartbeat, beat.Op)
	p.drain()
}

func TestClosingStdinEndsTheWorkerAndItsChildren(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "BATUTA_EXEC_ALLOW=true, sh", "BATUTA_FILES_DIR="+dir)
	pids := filepath.Join(dir, "pids")
	p.send(wire.LineToWorker{Op: wire.OpTask, ID: "x", Type: "exec", Attempt: 1, Payload: json.RawMessage(
		`{"command": "sh", "args": ["-c", "sleep 600 & echo $$ $! > pids.tmp; mv pids.tmp pids; wait"]}`)})
	var parent, child int
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(pids)
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(b), &parent, &child)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, p.in.Close())
	_, err := io.Copy(io.Discard, readerOf(p.lines))
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait())
	for _, pid := range []int{parent, child} {
		require.Eventually(t, func() bool { return gone(pid) }, 30*time.Second, 10*time.Millisecond)
	}
}

// gone takes a zombie, which a container without a reaper keeps, for gone.
func gone(pid int) bool {
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
		return bytes.Contains(b, []byte(") Z "))
	}
	p, err := os.FindProcess(pid)
	return err != nil || p.Signal(syscall.Signal(0)) != nil
}

// peakKiB is VmHWM: the most memory that the process ever had resident.
func peakKiB(t *testing.T, file string) int {
	t.Helper()
	status, err := os.ReadFile(file)
	require.NoError(t, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found)
	n, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return n
}

// requirePeakBelow64MiB leaves out the race detector, which has memory of its own, and
// systems without /proc.
func requirePeakBelow64MiB(t *testing.T, file string) {
	t.Helper()
	if raceEnabled || runtime.GOOS != "linux" {
		return
	}
	peak := peakKiB(t, file)
	t.Logf("peak: %d MiB", peak>>10)
	require.Less(t, peak, 64*1024)
}

// A sparse file costs no disk, but is read like any other.
func sparse(t *testing.T, dir string, size int64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "big"))
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
}

func TestAGibibyteStaysUnder64MiBOfMemory(t *testing.T) {
	t.Parallel()
	size := int64(1 << 30)
	if raceEnabled {
		size = 64 * mib // it is slow, and memory is not measured
	}
	dir := t.TempDir()
	peak := filepath.Join(dir, "peak")
	sparse(t, dir, size)
	p := start(t, "BATUTA_FILES_DIR="+dir, envPeak+"="+peak)

	l, told := p.outcome("hash", map[string]any{"path": "big", "algorithm": "sha256", "rounds": 1})
	require.JSONEq(t, `{"digest":"`+sha256Of(size)+`"}`, string(l.Result))
	require.Positive(t, told)
	l, told = p.outcome("gzip", map[string]any{"path": filepath.Join(dir, "big"), "output": "out/big.gz"})
	require.Positive(t, told)
	var zipped struct{ BytesIn, BytesOut int64 }
	require.NoError(t, json.Unmarshal(l.Result, &zipped), l.Message)
	require.Equal(t, size, zipped.BytesIn)
	info, err := os.Stat(filepath.Join(dir, "out", "big.gz"))
	require.NoError(t, err)
	require.Equal(t, info.Size(), zipped.BytesOut)
	p.drain()
	requirePeakBelow64MiB(t, peak)
}

func sha256Of(zeros int64) string {
	h := sha256.New()
	block := make([]byte, mib)
	for range zeros / mib {
		h.Write(block)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestALargeTableStaysUnder64MiBOfMemory(t *testing.T) {
	t.Parallel()
	rows := 3_000_000
	if raceEnabled {
		rows = 300_000
	}
	dir := t.TempDir()
	writeTable(t, filepath.Join(dir, "t.csv"), rows)
	peak := filepath.Join(dir, "peak")
	p := start(t, "BATUTA_FILES_DIR="+dir, envPeak+"="+peak)
	l, told := p.outcome("csv.stats", map[string]any{"path": "t.csv"})
	require.Positive(t, told)
	var r struct {
		Rows    int
		Columns []struct{ Distinct int }
	}
	require.NoError(t, json.Unmarshal(l.Result, &r), l.Message)
	require.Equal(t, rows, r.Rows)
	require.InEpsilon(t, rows, r.Columns[0].Distinct, 0.05)
	require.Equal(t, 50_000, r.Columns[1].Distinct)
	p.drain()
	requirePeakBelow64MiB(t, peak)
}

func writeTable(t *testing.T, path string, rows int) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	b := []byte("id,group,a,b,c,d\n")
	for i := range rows {
		b = fmt.Appendf(b, "id-%d,%d,%d,x%d,%d,y%d\n", i, i%50_000, i*7, i, i*3, i*5)
		if len(b) > mib || i == rows-1 {
			_, err = f.Write(b)
			require.NoError(t, err)
			b = b[:0]
		}
	}
	require.NoError(t, f.Close())
}

func TestPicturesStayUnder64MiBOfMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePictures(t, dir)
	peak := filepath.Join(dir, "peak")
	p := start(t, "BATUTA_FILES_DIR="+dir, envPeak+"="+peak)
	for _, name := range []string{"large.jpg", "large.png"} {
		l, told := p.outcome("image.resize", map[string]any{"path": name, "width": 800, "output": "small-" + name})
		require.Equal(t, wire.OpResult, l.Op, l.Message)
		require.Positive(t, told)
	}
	l, _ := p.outcome("image.resize", map[string]any{"path": "bomb.png", "width": 10})
	require.Equal(t, wire.OpError, l.Op)
	require.False(t, l.Retryable)
	require.Contains(t, l.Message, "20000 × 20000 pixels (png)")
	p.drain()
	requirePeakBelow64MiB(t, peak)
}

// writePictures makes two near the limit and one far beyond, which is small as a file.
func writePictures(t *testing.T, dir string) {
	t.Helper()
	write := func(name string, encode func(io.Writer) error) {
		f, err := os.Create(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, encode(f))
		require.NoError(t, f.Close())
	}
	shrink := 1
	if raceEnabled {
		shrink = 8 // it is slow, and memory is not measured
	}
	large := image.NewNRGBA(image.Rect(0, 0, 3200/shrink, 2600/shrink))
	for i := range large.Pix {
		large.Pix[i] = uint8(i>>4) | 1
	}
	write("large.png", func(w io.Writer) error { return png.Encode(w, large) })
	colour := image.NewYCbCr(image.Rect(0, 0, 6000/shrink, 4000/shrink), image.YCbCrSubsampleRatio420)
	for i := range colour.Y {
		colour.Y[i] = uint8(i >> 6)
	}
	write("large.jpg", func(w io.Writer) error { return jpeg.Encode(w, colour, nil) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bomb.png"), bomb(t, 20_000, 20_000), 0o600))
}

// bomb is a small file that says it is a large picture.
func bomb(t *testing.T, width, height uint32) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))))
	file := b.Bytes()
	binary.BigEndian.PutUint32(file[16:], width)
	binary.BigEndian.PutUint32(file[20:], height)
	binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	return file
}
