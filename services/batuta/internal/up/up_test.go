package up_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
)

func TestATaskFromEachDoor(t *testing.T) { both(t, checksATaskFromEachDoor) }

func checksATaskFromEachDoor(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir())

	id := s.submit(t, `{"type": "hash", "payload": {"text": "hello", "algorithm": "sha256"}}`)
	task := s.until(t, id, "completed")
	require.Equal(t, map[string]any{"digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, task["result"])
	require.EqualValues(t, 1, task["attempt"])
	require.EqualValues(t, 0, task["retries"])
	var names []string
	for _, e := range task["history"].([]any) {
		names = append(names, e.(map[string]any)["event"].(string))
	}
	require.Equal(t, []string{"task.submitted", "task.started", "task.completed"}, names)

	nc, err := nats.Connect(s.natsURL)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ack, err := js.Publish(t.Context(), "batuta.submit.sleep", []byte(`{"payload": {"ms": 1}}`))
	require.NoError(t, err)
	s.until(t, fmt.Sprintf("task-%03d", ack.Sequence), "completed")
	ack, err = js.Publish(t.Context(), "batuta.submit", []byte(`[{"type": "sleep", "payload": {"ms": 1}}, {"type": "sleep", "id": "mine", "payload": {"ms": 1}}]`))
	require.NoError(t, err)
	s.until(t, fmt.Sprintf("task-%03d-1", ack.Sequence), "completed")
	s.until(t, "mine", "completed")
}

func TestRetriesDelaysAndCancels(t *testing.T) { both(t, checksRetriesDelaysAndCancels) }

func checksRetriesDelaysAndCancels(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir())
	flaky := s.submit(t, `{"type": "sleep", "payload": {"ms": 1, "failTimes": 2}, "backoff": {"policy": "fixed", "baseMs": 50, "jitter": 0}}`)
	broken := s.submit(t, `{"type": "sleep", "payload": {"ms": 1, "failTimes": 9}, "maxRetries": 1, "backoff": {"policy": "fixed", "baseMs": 300, "jitter": 0}}`)
	unknown := s.submit(t, `{"type": "no.such", "maxRetries": 0}`)
	delayed := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}, "delayMs": 1500}`)
	long := s.submit(t, `{"type": "sleep", "payload": {"ms": 600000}}`)
	later := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}, "delayMs": 600000}`)
	slow := s.submit(t, `{"type": "sleep", "payload": {"ms": 600000}, "timeoutMs": 300, "maxRetries": 0}`)
	late := s.submit(t, fmt.Sprintf(`{"type": "sleep", "delayMs": 600000, "deadline": %q}`, time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)))

	task := s.until(t, flaky, "completed")
	require.EqualValues(t, 3, task["attempt"])
	require.EqualValues(t, 2, task["retries"])
	task = s.until(t, broken, "failed")
	require.EqualValues(t, 2, task["attempt"])
	require.Equal(t, "handler", task["error"].(map[string]any)["code"])
	require.Equal(t, "unknownType", s.until(t, unknown, "failed")["error"].(map[string]any)["code"])
	require.Equal(t, "timeout", s.until(t, slow, "failed")["error"].(map[string]any)["code"])
	require.Equal(t, "deadline", s.until(t, late, "failed")["error"].(map[string]any)["code"])
	s.until(t, long, "inProgress")
	for _, id := range []string{long, later} {
		code, out := s.do(t, http.MethodPost, "/tasks/"+id+"/cancel", nil)
		require.Equal(t, http.StatusAccepted, code, "%v", out)
		s.until(t, id, "cancelled")
	}
	task = s.until(t, delayed, "completed")
	submitted, err := time.Parse(time.RFC3339Nano, task["submittedAt"].(string))
	require.NoError(t, err)
	began, err := time.Parse(time.RFC3339Nano, task["startedAt"].(string))
	require.NoError(t, err)
	require.GreaterOrEqual(t, began.Sub(submitted), 1500*time.Millisecond)

	code, _ := s.do(t, http.MethodPost, "/tasks/"+broken+"/retry", nil)
	require.Equal(t, http.StatusAccepted, code)
	natstest.Eventually(t, func() error {
		_, out := s.do(t, http.MethodGet, "/tasks/"+broken, nil)
		if out["status"] != "failed" || out["attempt"] != 4.0 {
			return fmt.Errorf("%v at attempt %v", out["status"], out["attempt"])
		}
		return nil
	})
	code, _ = s.do(t, http.MethodDelete, "/tasks/"+broken, nil)
	require.Equal(t, http.StatusNoContent, code)
	code, _ = s.do(t, http.MethodGet, "/tasks/"+broken, nil)
	require.Equal(t, http.StatusNotFound, code)
}

func TestDuplicatesRunOnce(t *testing.T) { both(t, checksDuplicatesRunOnce) }

func checksDuplicatesRunOnce(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir())
	body := `{"id": "order-7", "type": "hash", "payload": {"text": "a", "algorithm": "md5"}}`
	require.Equal(t, "order-7", s.submit(t, body))
	code, out := s.do(t, http.MethodPost, "/tasks", body)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, true, out["duplicate"])
	code, _ = s.do(t, http.MethodPost, "/tasks", strings.Replace(body, `"a"`, `"b"`, 1))
	require.Equal(t, http.StatusConflict, code)
	task := s.until(t, "order-7", "completed")
	require.EqualValues(t, 1, task["attempt"])
	_, list := s.do(t, http.MethodGet, "/tasks?q=order", nil)
	require.EqualValues(t, 1, list["total"])
}

func TestLargePayloadAndResult(t *testing.T) { both(t, checksLargePayloadAndResult) }

func checksLargePayloadAndResult(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir())
	text := strings.Repeat("0123456789abcdef", 200_000) // 3.2 MB
	id := s.submit(t, fmt.Sprintf(`{"type": "hash", "payload": {"text": %q, "algorithm": "sha1"}}`, text))
	task := s.until(t, id, "completed")
	require.Equal(t, text, task["payload"].(map[string]any)["text"])

	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "big.bin"), []byte(text), 0o600))
	id = s.submit(t, `{"type": "gzip", "payload": {"path": "`+filepath.Join(s.dir, "big.bin")+`"}}`)
	task = s.until(t, id, "completed")
	require.EqualValues(t, len(text), task["result"].(map[string]any)["bytesIn"])
}

// Everything is on disk: a system that is stopped and started again knows its tasks, and
// goes on with those that have not ended.
func TestKeepsEverythingOverARestart(t *testing.T) { both(t, checksKeepsEverythingOverARestart) }

func checksKeepsEverythingOverARestart(t *testing.T, start starter) {
	t.Helper()
	dir := t.TempDir()
	s := start(t, dir)
	done := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}}`)
	s.until(t, done, "completed")
	delayed := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}, "delayMs": 3000}`)
	s.stop(t)
	s = start(t, dir)
	s.until(t, done, "completed")
	s.until(t, delayed, "completed")
	_, stats := s.do(t, http.MethodGet, "/stats", nil)
	require.EqualValues(t, 2, stats["tasks"].(map[string]any)["completed"])
}

// A paused queue runs nothing until it is resumed.
func TestPauseAndResume(t *testing.T) { both(t, checksPauseAndResume) }

func checksPauseAndResume(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir())
	s.until(t, s.submit(t, `{"type": "sleep", "payload": {"ms": 1}}`), "completed")
	code, _ := s.do(t, http.MethodPost, "/queues/default/pause", nil)
	require.Equal(t, http.StatusOK, code)
	waits := s.submit(t, `{"type": "sleep", "payload": {"ms": 1}}`)
	urgent := s.submit(t, `{"type": "sleep", "queue": "other", "priority": "critical"}`)
	s.until(t, waits, "pending")
	natstest.Eventually(t, func() error { // long after it would have been started
		task := s.until(t, waits, "pending")
		submitted, err := time.Parse(time.RFC3339Nano, task["submittedAt"].(string))
		if err == nil && time.Since(submitted) < 3*time.Second {
			err = fmt.Errorf("submitted %s ago", time.Since(submitted))
		}
		return err
	})
	code, _ = s.do(t, http.MethodPost, "/queues/default/resume", nil)
	require.Equal(t, http.StatusOK, code)
	s.until(t, waits, "completed")
	s.until(t, urgent, "pending") // no pool serves its queue
	_, queues := s.do(t, http.MethodGet, "/queues/other", nil)
	require.Empty(t, queues["servedBy"])
}

func TestManyTasksByPriority(t *testing.T) { both(t, checksManyTasksByPriority) }

func checksManyTasksByPriority(t *testing.T, start starter) {
	t.Helper()
	s := start(t, t.TempDir(), "--pool-max=2", "--worker-concurrency=4")
	var group []map[string]any
	for i := range 400 {
		group = append(group, map[string]any{
			"type": "sleep", "payload": map[string]any{"ms": 1}, "priority": []string{"critical", "high", "medium", "low"}[i%4],
		})
	}
	code, out := s.do(t, http.MethodPost, "/tasks", group)
	require.Equal(t, http.StatusAccepted, code)
	require.EqualValues(t, 400, out["accepted"])
	natstest.Eventually(t, func() error {
		_, page := s.do(t, http.MethodGet, "/tasks?status=completed&limit=1", nil)
		if page["total"] != 400.0 {
			return fmt.Errorf("%v completed", page["total"])
		}
		return nil
	})
	_, page := s.do(t, http.MethodGet, "/tasks?limit=1000", nil)
	for _, one := range page["tasks"].([]any) {
		task := one.(map[string]any)
		require.EqualValues(t, 1, task["attempt"], "%v", task)
		require.Equal(t, "completed", task["status"])
	}
}
