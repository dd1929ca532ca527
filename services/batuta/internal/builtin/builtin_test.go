package builtin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/batuta/internal/builtin"
	"github.com/batuta-tasks/batuta/shared/wire"
	"github.com/batuta-tasks/batuta/shared/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench runs tasks of the built-in types.
type bench struct {
	t       *testing.T
	dir     string
	mux     *worker.Mux
	attempt int

	mu   sync.Mutex
	said []string
}

func newBench(t *testing.T, allow ...string) *bench {
	t.Helper()
	dir := t.TempDir()
	types, err := builtin.New(builtin.Config{FilesDir: dir, ExecAllow: allow})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, types.Close()) })
	b := &bench{t: t, dir: dir, mux: worker.NewMux(), attempt: 1}
	types.Register(b.mux)
	return b
}

func (b *bench) Progress(_ *float64, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, message)
}

func (b *bench) Log(_, message string) { b.t.Log(message) }

func (b *bench) progress() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said
}

func (b *bench) do(ctx context.Context, taskType, payload string) (json.RawMessage, error) {
	b.t.Helper()
	h, ok := b.mux.Lookup(taskType)
	require.True(b.t, ok)
	task := worker.NewTask(&wire.LineToWorker{ID: "x", Type: taskType, Attempt: b.attempt, Payload: json.RawMessage(payload)}, b)
	return worker.Execute(ctx, h, task)
}

// ok runs a task that completes.
func (b *bench) ok(taskType, payload string) string {
	b.t.Helper()
	result, err := b.do(context.Background(), taskType, payload)
	require.NoError(b.t, err)
	return string(result)
}

// fails runs a task that fails.
func (b *bench) fails(taskType, payload string) worker.Failure {
	b.t.Helper()
	result, err := b.do(context.Background(), taskType, payload)
	require.Error(b.t, err, "%s %s: %s", taskType, payload, result)
	return worker.FailureOf(err)
}

// refused runs a task that fails for good.
func (b *bench) refused(taskType, payload string) string {
	b.t.Helper()
	f := b.fails(taskType, payload)
	require.False(b.t, f.Retryable, f.Message)
	return f.Message
}

// yields cancels a task that runs and expects its end soon.
func (b *bench) yields(taskType, payload string, running func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.do(ctx, taskType, payload)
		done <- err
	}()
	require.Eventually(b.t, running, 30*time.Second, time.Millisecond)
	cancel(&worker.CancelError{Reason: wire.CancelTimeout})
	select {
	case err := <-done:
		require.ErrorContains(b.t, err, "the attempt is over its timeout")
	case <-time.After(30 * time.Second):
		require.FailNow(b.t, "the task does not yield")
	}
}

func (b *bench) write(name, content string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600))
}

func TestPayloadsThatAreNotUnderstoodAreRefusedForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct{ taskType, payload, want string }{
		{"sleep", `null`, "must be an object with the fields of sleep: failTimes, ms"},
		{"sleep", ``, "must be an object"},
		{"sleep", `[1]`, "must be an object"},
		{"sleep", `{}`, "payload.ms: is missing"},
		{"sleep", `{"ms":null}`, "payload.ms: is missing"},
		{"sleep", `{"ms":1,"failtimes":1,"x":2}`, `payload.failtimes: is not a field; the fields are failTimes, ms; payload.x: is not a field`},
		{"sleep", `{"ms":1,"ms":2}`, "payload.ms: stands twice"},
		{"sleep", `{"ms":"1"}`, "payload.ms: must be an integer, not string"},
		{"sleep", `{"ms":1.5}`, "payload.ms: must be an integer, not number 1.5"},
		{"sleep", `{"ms":-1}`, "payload.ms: -1"},
		{"sleep", `{"ms":1,"failTimes":-1}`, "payload.failTimes: -1"},
		{"hash", `{"algorithm":"md5"}`, "text or path is missing"},
		{"hash", `{"text":"a","path":"b"}`, "text and path cannot stand together"},
		{"hash", `{"text":"a","algorithm":"crc"}`, `payload.algorithm: "crc"`},
		{"hash", `{"text":"a","rounds":0}`, "payload.rounds: 0"},
		{"http", `{"url":"ftp://x/"}`, "payload.url"},
		{"http", `{"url":"http:///x"}`, "payload.url"},
		{"http", `{"url":"http://127.0.0.1:1/","method":"BAD METHOD"}`, "method"},
		{"http", `{"url":"http://127.0.0.1:1/","headers":{"a b":"c"}}`, "payload.headers.a b"},
		{"http", `{"url":"http://127.0.0.1:1/","headers":{"a":"b\r\nc: d"}}`, "payload.headers.a"},
		{"exec", `{"command":"sh"}`, "BATUTA_EXEC_ALLOW"},
		{"exec", `{"command":""}`, "BATUTA_EXEC_ALLOW"},
		{"csv.stats", `{"text":"a","delimiter":";;"}`, "payload.delimiter"},
		{"csv.stats", `{"text":"a","delimiter":"\n"}`, "payload.delimiter"},
		{"csv.stats", `{"text":"a","delimiter":""}`, "payload.delimiter"},
		{"image.resize", `{"data":"AAAA"}`, "payload.width: 0"},
		{"image.resize", `{"data":"AAAA","width":1,"height":0}`, "payload.height: 0"},
		{"image.resize", `{"data":"AAAA","width":1,"format":"webp"}`, `payload.format: "webp"`},
		{"image.resize", `{"data":"AAAA","width":1}`, "no PNG, JPEG, GIF or WebP"},
		{"gzip", `{"data":"*"}`, "payload.data: must be base64"},
	} {
		require.Contains(t, b.refused(c.taskType, c.payload), c.want, c.payload)
	}
}

func TestSleepSleepsAndFailsAsOftenAsAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := time.Now()
	var r struct{ SleptMs int64 }
	require.NoError(t, json.Unmarshal([]byte(b.ok("sleep", `{"ms":600}`)), &r))
	require.GreaterOrEqual(t, r.SleptMs, int64(600))
	require.LessOrEqual(t, r.SleptMs, time.Since(start).Milliseconds())
	require.NotEmpty(t, b.progress())

	for b.attempt = 1; b.attempt <= 2; b.attempt++ {
		f := b.fails("sleep", `{"ms":0,"failTimes":2}`)
		require.True(t, f.Retryable)
	}
	b.ok("sleep", `{"ms":0,"failTimes":2}`)
}

func TestEveryTypeYieldsToACancel(t *testing.T) {
	t.Parallel()
	t.Run("sleep", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.yields("sleep", `{"ms":600000}`, func() bool { return len(b.progress()) > 0 })
	})
	t.Run("hash", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.yields("hash", `{"text":"a","rounds":9000000000000000000}`, func() bool { return len(b.progress()) > 0 })
	})
	for _, payload := range []string{
		`{"command":"sh","args":["-c","echo up > up; sleep 600"]}`,
		`{"command":"sh","args":["-c","trap '' TERM; echo up > up; sleep 600; sleep 600"]}`,
	} {
		t.Run("exec", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "sh")
			b.yields("exec", payload, func() bool {
				_, err := os.Stat(filepath.Join(b.dir, "up"))
				return err == nil
			})
		})
	}
	for _, taskType := range []string{"gzip", "csv.stats"} {
		t.Run(taskType, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.write("big", "a,b\n")
			require.NoError(t, os.Truncate(filepath.Join(b.dir, "big"), 1<<40)) // sparse
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := b.do(ctx, taskType, `{"path":"big"}`)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func TestHashOfTextsFilesAndRounds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("f", "hello")
	m, s1, s2, s5 := md5.Sum([]byte("hello")), sha1.Sum([]byte("hello")), sha256.Sum256([]byte("hello")), sha512.Sum512([]byte("hello"))
	for algorithm, sum := range map[string][]byte{"md5": m[:], "sha1": s1[:], "sha256": s2[:], "sha512": s5[:]} {
		want := `{"digest":"` + hex.EncodeToString(sum) + `"}`
		require.JSONEq(t, want, b.ok("hash", `{"text":"hello","algorithm":"`+algorithm+`","rounds":1}`))
		require.JSONEq(t, want, b.ok("hash", `{"path":"f","algorithm":"`+algorithm+`"}`))
	}
	again := sha256.Sum256(s2[:])
	third := sha256.Sum256(again[:])
	require.JSONEq(t, `{"digest":"`+hex.EncodeToString(third[:])+`"}`, b.ok("hash", `{"text":"hello","algorithm":"sha256","rounds":3}`))
	require.Contains(t, b.ok("hash", `{"text":"","algorithm":"md5","rounds":1}`), "d41d8cd98f00b204e9800998ecf8427e")
}

func TestPathsOutsideTheFolderAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(b.dir, "link")))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(b.dir, "dir")))
	require.NoError(t, os.Symlink("f", filepath.Join(b.dir, "inside")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "pipe"), 0o600))
	b.write("f", "x")
	rel, err := filepath.Rel(b.dir, outside)
	require.NoError(t, err)
	for _, path := range []string{outside, "/etc/passwd", rel, "link", "dir/secret", "a/../../x", b.dir + "x/f", b.dir + "/../x", "", ".", "pipe"} {
		p, _ := json.Marshal(path)
		require.Contains(t, b.refused("hash", `{"path":`+string(p)+`}`), "refused", path)
		if path != "link" && path != "pipe" { // these would be replaced, not followed
			out := b.fails("gzip", `{"data":"","output":`+string(p)+`}`)
			require.False(t, out.Retryable && path != ".", "%s: %s", path, out.Message)
		}
	}
	for _, path := range []string{"f", "inside", filepath.Join(b.dir, "f"), "./f"} {
		b.ok("hash", `{"path":"`+path+`"}`)
	}
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "x", string(content))
	require.True(t, b.fails("hash", `{"path":"not-yet"}`).Retryable)
}

func TestWithoutAFolderNoPathIsAllowed(t *testing.T) {
	t.Parallel()
	types, err := builtin.New(builtin.Config{})
	require.NoError(t, err)
	b := &bench{t: t, mux: worker.NewMux()}
	types.Register(b.mux)
	require.Contains(t, b.refused("hash", `{"path":"f"}`), "BATUTA_FILES_DIR is not set")
	require.Contains(t, b.refused("gzip", `{"data":"","output":"f"}`), "BATUTA_FILES_DIR is not set")
	require.NoError(t, types.Close())
}

func TestGzipOfFilesAndData(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("f", "hello hello hello")
	type result struct {
		BytesIn, BytesOut int64
		Output            *string
		Data              []byte
	}
	var r result
	require.NoError(t, json.Unmarshal([]byte(b.ok("gzip", `{"data":"aGVsbG8="}`)), &r))
	require.Equal(t, int64(5), r.BytesIn)
	require.Equal(t, int64(len(r.Data)), r.BytesOut)
	require.Nil(t, r.Output)
	require.Equal(t, "hello", unzip(t, r.Data))

	r = result{}
	require.NoError(t, json.Unmarshal([]byte(b.ok("gzip", `{"path":"f","output":"new/dir/f.gz"}`)), &r))
	require.Equal(t, "new/dir/f.gz", *r.Output)
	require.Nil(t, r.Data)
	zipped, err := os.ReadFile(filepath.Join(b.dir, "new/dir/f.gz"))
	require.NoError(t, err)
	require.Equal(t, int64(len(zipped)), r.BytesOut)
	require.Equal(t, "hello hello hello", unzip(t, zipped))
	entries, err := os.ReadDir(filepath.Join(b.dir, "new/dir"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}

func unzip(t *testing.T, b []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(plain)
}

func TestAFailedWriteLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("out", "old")
	b.write("big", "")
	require.NoError(t, os.Truncate(filepath.Join(b.dir, "big"), 1<<30))
	b.yields("gzip", `{"path":"big","output":"out"}`, func() bool { return len(b.progress()) > 0 })
	content, err := os.ReadFile(filepath.Join(b.dir, "out"))
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
	entries, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file is left")
}
