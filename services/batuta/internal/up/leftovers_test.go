package up_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batuta-tasks/batuta/services/batuta/internal/up"
)

// A system that has stopped leaves no goroutine, no process and no open file behind. It
// is looked at in a process of its own, where nothing else runs.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), exe, "leftovers", t.TempDir()).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// leftovers runs a system with some work twice, and says what is left of the second: the
// first opens what the process keeps for good.
func leftovers(dir string) int {
	err := workOnce(dir)
	goroutines, files := goleak.IgnoreCurrent(), openFiles()
	if err == nil {
		err = workOnce(dir)
	}
	if err == nil { // the sweep of the HTTP library's idle workers ends within ten seconds
		err = goleak.Find(goroutines, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*Server).shutdownEventing"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
	}
	for name := range openFiles() {
		if !files[name] {
			err = errors.Join(err, fmt.Errorf("still open: %s", name))
		}
	}
	if children := childProcesses(); len(children) > 0 {
		err = errors.Join(err, fmt.Errorf("still running: %v", children))
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// workOnce starts a system, has it run a task to its end and leave one running, and stops it.
func workOnce(dir string) error {
	set, err := settingsOf(dir, "--drain=100ms")
	if err != nil {
		return err
	}
	sys := up.New(set, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := sys.Start(ctx); err != nil {
		return err
	}
	err = runTasks(ctx, "http://"+sys.Addr())
	http.DefaultClient.CloseIdleConnections()
	return errors.Join(err, sys.Stop(ctx))
}

func runTasks(ctx context.Context, url string) error {
	for task, want := range map[string]string{
		`{"type": "hash", "payload": {"text": "a", "algorithm": "md5"}}`: "completed",
		`{"type": "sleep", "payload": {"ms": 600000}}`:                   "inProgress",
	} {
		var made, now struct{ ID, Status string }
		if err := call(ctx, http.MethodPost, url+"/tasks", task, &made); err != nil {
			return err
		}
		t := time.NewTicker(10 * time.Millisecond)
		defer t.Stop()
		for ; now.Status != want; <-t.C {
			if err := call(ctx, http.MethodGet, url+"/tasks/"+made.ID, "", &now); err != nil {
				return err
			}
		}
	}
	return nil
}

func call(ctx context.Context, method, url, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// openFiles names what the process's file descriptors stand for, by descriptor and target.
// The library that reads CPU and memory leaves handles of processes to the collector.
func openFiles() map[string]bool {
	runtime.GC()
	runtime.GC() // what the first finds to clean up is cleaned up before the second ends
	open := map[string]bool{}
	entries, _ := os.ReadDir("/proc/self/fd") // none elsewhere than on Linux
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(target, "/proc/") {
			open[e.Name()+" "+target] = true
		}
	}
	return open
}

func childProcesses() (children []string) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, l := range lists {
		if b, err := os.ReadFile(l); err == nil && len(b) > 0 {
			children = append(children, string(b))
		}
	}
	return children
}
