package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

func encodeHTTP(t *testing.T, v any) string {
	t.Helper()
	b, err := wire.EncodeHTTP(v)
	require.NoError(t, err)
	return string(b)
}

// keysOf lists the keys of a JSON object.
func keysOf(t *testing.T, s string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(s), &m))
	return m
}

func TestProgressThatIsNotKnownIsNull(t *testing.T) {
	t.Parallel()
	rec := &wire.Record{ID: "x", Progress: &wire.Progress{Message: "row 7"}}
	kept, err := json.Marshal(rec)
	require.NoError(t, err)
	require.Contains(t, string(kept), `"progress":{"message":"row 7"}`, "a bucket's value leaves nulls out")
	shown := wire.NewTaskResource(rec)
	body, err := json.Marshal(shown)
	require.NoError(t, err)
	require.Contains(t, string(body), `"progress":{"percent":null,"message":"row 7"}`)
	require.Equal(t, "row 7", shown.Progress.String())
	require.Equal(t, "40%", (&wire.ProgressView{Percent: new(40.0)}).String())
}

func TestShapesHaveEveryFieldEvenWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		wire.TaskResource{},
		wire.TaskPage{},
		wire.Facets{},
		wire.LogPage{},
		wire.SubmitAnswer{},
		wire.BulkAnswer{},
		wire.WorkerView{},
		wire.WorkersAnswer{},
		wire.PoolView{},
		wire.InstanceView{},
		wire.Stats{},
		wire.Series{},
		wire.EventView{},
		wire.EventsAnswer{},
		wire.Problem{},
		wire.Snapshot{},
	} {
		got := keysOf(t, encodeHTTP(t, v))
		typ := reflect.TypeOf(v)
		require.Len(t, got, typ.NumField(), typ.Name())
		for field := range typ.Fields() {
			name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
			require.Contains(t, got, name, typ.Name())
			require.Empty(t, rest, "%s.%s may be left out", typ.Name(), name)
		}
	}
}

func TestTaskResourceShowsNullWhereUnknown(t *testing.T) {
	t.Parallel()
	r := &wire.Record{ID: "a", Status: wire.StatusPending, Definition: wire.Definition{Type: "x", DelayMs: 0}, SubmittedAt: 1}
	got := keysOf(t, encodeHTTP(t, wire.NewTaskResource(r)))
	for _, name := range []string{
		"delayMs", "runAt", "deadline", "result", "error", "progress", "worker", "pool", "scheduledFor",
		"startedAt", "finishedAt", "waitTimeMs", "executionTimeMs",
	} {
		require.Equal(t, "null", string(got[name]), name)
	}
	require.Equal(t, "{}", string(got["tags"]))
	require.Equal(t, `"1970-01-01T00:00:00.001Z"`, string(got["submittedAt"]))
	require.Equal(t, "false", string(got["resultOmitted"]))
}

func TestTaskResourceKeepsTheDigitsOfAResult(t *testing.T) {
	t.Parallel()
	r := &wire.Record{ID: "a", Result: json.RawMessage(`{"n":12345678901234567890.10,"s":"<&>"}`)}
	got := encodeHTTP(t, wire.NewTaskResource(r))
	require.Contains(t, got, `"result":{"n":12345678901234567890.10,"s":"<&>"}`)
}

func TestEventOfAFailureAlwaysSaysHowItGoesOn(t *testing.T) {
	t.Parallel()
	v := wire.NewEventView(&wire.Event{Seq: "3.1", Timestamp: 5, Event: wire.EventFailed, TaskID: "a", Attempt: 2})
	got := keysOf(t, encodeHTTP(t, v))
	require.Equal(t, "2", string(got["attempt"]))
	require.Equal(t, "null", string(got["workerId"]))
	require.JSONEq(t, `{"final":null,"retries":null,"maxRetries":null,"nextAttemptAt":null,"error":null}`, string(got["data"]))

	v.Data = wire.EventData{
		Final: new(false), Retries: new(2), MaxRetries: new(3), NextAttemptAt: 1000, Fence: 7,
		Error: &wire.TaskError{Message: "no", Code: wire.CodeHandler, Attempt: 2, At: 5},
	}
	require.JSONEq(t, `{"fence":7,"final":false,"retries":2,"maxRetries":3,"nextAttemptAt":"1970-01-01T00:00:01.000Z",
		"error":{"message":"no","code":"handler","attempt":2,"at":"1970-01-01T00:00:00.005Z"}}`,
		string(keysOf(t, encodeHTTP(t, v))["data"]))
}

func TestEventViewShowsTheWholeDefinition(t *testing.T) {
	t.Parallel()
	def := wire.Compact{
		Type: "x", Queue: "default", Priority: wire.PriorityMedium, MaxRetries: 3, Backoff: wire.DefaultBackoff,
		TimeoutMs: 3_600_000, RetentionMs: 86_400_000, Tags: map[string]string{},
	}
	v := wire.NewEventView(&wire.Event{Event: wire.EventSubmitted, TaskID: "a", Data: wire.EventData{Task: &def}})
	data := keysOf(t, string(keysOf(t, encodeHTTP(t, v))["data"]))
	require.JSONEq(t, `{"type":"x","queue":"default","priority":"medium","maxRetries":3,"timeoutMs":3600000,"retentionMs":86400000,"tags":{},
		"backoff":{"policy":"exponential","baseMs":1000,"maxMs":60000,"jitter":0.2}}`, string(data["task"]))
	var back wire.EventView
	require.NoError(t, json.Unmarshal([]byte(encodeHTTP(t, v)), &back))
	require.Equal(t, v, back)
}

func TestSubmitResultIsOneOfThree(t *testing.T) {
	t.Parallel()
	all := []wire.SubmitResult{
		{ID: "a", Status: wire.StatusPending},
		{ID: "b", Status: wire.StatusCompleted, Duplicate: true},
		{Errors: wire.Faults{{Field: "[2].type", Rule: "is required"}}},
	}
	text := encodeHTTP(t, all)
	require.JSONEq(t, `[{"id":"a","status":"pending"},{"id":"b","status":"completed","duplicate":true},
		{"errors":[{"field":"[2].type","value":null,"rule":"is required"}]}]`, text)
	var back []wire.SubmitResult
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, all[:2], back[:2])
	require.Equal(t, "[2].type", back[2].Errors[0].Field)
}

func TestWorkerViewSaysHowOldItsHeartbeatIs(t *testing.T) {
	t.Parallel()
	v := wire.NewWorkerView(&wire.Worker{ID: "worker-1", LastHeartbeat: 1000}, 1250)
	require.Equal(t, int64(250), *v.LastHeartbeatAgoMs)
	require.NotNil(t, v.Tasks)
	require.Zero(t, *wire.NewWorkerView(&wire.Worker{LastHeartbeat: 1000}, 900).LastHeartbeatAgoMs, "clocks differ")
	require.Nil(t, wire.NewWorkerView(&wire.Worker{}, 900).LastHeartbeatAgoMs)
	ended := keysOf(t, encodeHTTP(t, wire.EndedWorker{WorkerView: v, EndedAt: 2000, Reason: "drain"}))
	require.Len(t, ended, reflect.TypeFor[wire.WorkerView]().NumField()+2)
}

func TestDeltaLeavesOutWhatDidNotChange(t *testing.T) {
	t.Parallel()
	require.JSONEq(t, `{"type":"delta","seq":7,"at":null}`, encodeHTTP(t, wire.Delta{Type: wire.LiveDelta, Seq: 7}))
	d := wire.Delta{Type: wire.LiveDelta, Seq: 8, Tasks: &wire.Change[wire.TaskResource]{Removed: []string{"a"}}}
	text := encodeHTTP(t, d)
	require.JSONEq(t, `{"type":"delta","seq":8,"at":null,"tasks":{"upserted":[],"removed":["a"]}}`, text)
	var back wire.Delta
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, []string{"a"}, back.Tasks.Removed)
}

func TestQueueViewShowsLimitsAsNull(t *testing.T) {
	t.Parallel()
	got := keysOf(t, encodeHTTP(t, wire.QueueView{Name: "default"}))
	require.Equal(t, "null", string(got["maxConcurrent"]))
	require.Equal(t, "null", string(got["ratePerSecond"]))
	require.JSONEq(t, `{"critical":0,"high":0,"medium":0,"low":0}`, string(got["depth"]))
}
