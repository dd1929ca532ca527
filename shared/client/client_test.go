package client_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/shared/wire"
)

func newClient(t *testing.T) (jetstream.JetStream, *client.Client) {
	t.Helper()
	nc := natstest.Start(t).Conn(t, nats.ReconnectBufSize(-1))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, topology.Ensure(t.Context(), js, topology.Options{Budget: 1 << 30, Replicas: 1}))
	c, err := client.New(nc)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return js, c
}

// submissions reads what was stored, as a scheduler with the standard defaults would.
func submissions(t *testing.T, js jetstream.JetStream) map[string]wire.Submission {
	t.Helper()
	st, err := js.Stream(t.Context(), wire.StreamSubmit)
	require.NoError(t, err)
	out := map[string]wire.Submission{}
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		object := m.Header.Get(wire.HeaderPayloadObject)
		dec := wire.Decoder{
			Defaults: wire.StandardDefaults, Now: time.Now(), SubjectType: wire.SubmitType(m.Subject), NoPayload: object != "",
		}
		members, group, err := dec.Decode(m.Data)
		require.NoError(t, err)
		for i, one := range members {
			require.Empty(t, one.Faults)
			one.Submission.PayloadObject = object
			id, number := one.Submission.ID, 0
			if group {
				number = i + 1
			}
			if id == "" {
				id = wire.MakeID(seq, number)
			}
			out[id] = one.Submission
		}
	}
	return out
}

func TestEveryFieldArrives(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	task := client.Task{
		ID: "mine", Type: "image.resize", Queue: "images", Priority: wire.PriorityHigh, Payload: map[string]any{"html": "<b>&"},
		MaxRetries: new(0), Backoff: &wire.Backoff{Policy: "fixed", BaseMs: 10, MaxMs: 20}, Timeout: time.Minute, RunAt: at,
		Deadline: at.Add(time.Hour), Retention: 2 * time.Hour, Tags: map[string]string{"a": `"b"`},
	}
	got, err := c.Submit(t.Context(), task)
	require.NoError(t, err)
	require.Equal(t, "mine", got.ID)
	plain, err := c.Submit(t.Context(), client.Task{Type: "demo", Delay: 3 * time.Second})
	require.NoError(t, err)
	require.Equal(t, "task-002", plain.ID)

	all := submissions(t, js)
	sub := all["mine"]
	require.Equal(t, wire.Definition{
		Type: "image.resize", Queue: "images", Priority: wire.PriorityHigh, Backoff: *task.Backoff, TimeoutMs: 60_000, RunAt: wire.At(at),
		Deadline: wire.At(at.Add(time.Hour)), RetentionMs: 7_200_000, Tags: task.Tags,
	}, sub.Definition)
	require.Equal(t, `{"html":"<b>&"}`, string(sub.Payload))
	require.Equal(t, int64(3000), all["task-002"].DelayMs)
	require.Equal(t, 3, all["task-002"].MaxRetries)
}

func TestPayloadsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	exact := json.RawMessage(`{ "n": 1.50 }`)
	at, err := c.Submit(t.Context(), client.Task{Type: "demo", Payload: exact})
	require.NoError(t, err)
	require.Equal(t, string(exact), string(submissions(t, js)[at.ID].Payload))

	large := strings.Repeat("x", wire.MaxPayload+1)
	at, err = c.Submit(t.Context(), client.Task{Type: "demo", Payload: large})
	require.NoError(t, err)
	sub := submissions(t, js)[at.ID]
	objects, err := js.ObjectStore(t.Context(), wire.BucketObjects)
	require.NoError(t, err)
	body, err := objects.GetString(t.Context(), sub.PayloadObject)
	require.NoError(t, err)
	require.Equal(t, `"`+large+`"`, body)
}

func TestManyTasksTakeFewMessages(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	tasks := make([]client.Task, 2*wire.MaxGroup+1)
	for i := range tasks {
		tasks[i] = client.Task{Type: "demo", Payload: i}
	}
	got, err := c.SubmitMany(t.Context(), tasks)
	require.NoError(t, err)
	all := submissions(t, js)
	for i, at := range got {
		require.Equal(t, fmt.Sprint(i), string(all[at.ID].Payload))
	}
	require.Len(t, all, len(tasks))
	require.Equal(t, uint64(3), stored(t, js))
}

func TestProducersSideBySideShareMessages(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	var wait sync.WaitGroup
	for p := range 64 {
		wait.Go(func() {
			for i := range 50 {
				if _, err := c.Submit(t.Context(), client.Task{ID: fmt.Sprintf("p%d-%d", p, i), Type: "demo"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	require.Len(t, submissions(t, js), 64*50)
	require.Less(t, stored(t, js), uint64(64*50), "nothing was gathered")
}

func TestInvalidTasksAreToldBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	for field, task := range map[string]client.Task{
		"type":        {},
		"id":          {Type: "demo", ID: "task-001"},
		"queue":       {Type: "demo", Queue: "a b"},
		"priority":    {Type: "demo", Priority: "urgent"},
		"payload":     {Type: "demo", Payload: json.RawMessage(`{"a"`)},
		"maxRetries":  {Type: "demo", MaxRetries: new(101)},
		"timeoutMs":   {Type: "demo", Timeout: -time.Second},
		"retentionMs": {Type: "demo", Retention: time.Second},
		"runAt":       {Type: "demo", Delay: time.Second, RunAt: time.Now()},
		"tags":        {Type: "demo", Tags: map[string]string{"": "x"}},
	} {
		_, err := c.Submit(t.Context(), task)
		var invalid *client.InvalidError
		require.ErrorAs(t, err, &invalid, field)
		require.Contains(t, invalid.Error(), field)
	}
	_, err := c.Submit(t.Context(), client.Task{Type: "demo", Payload: func() {}})
	require.ErrorAs(t, err, new(*client.InvalidError))
	require.Zero(t, stored(t, js))

	got, err := c.SubmitMany(t.Context(), []client.Task{{Type: "demo"}, {Type: "!"}, {Type: "demo"}})
	failed, ok := err.(client.ManyError) //nolint:errorlint // the type itself is promised
	require.True(t, ok)
	require.Len(t, failed, 1)
	require.ErrorAs(t, failed[1], new(*client.InvalidError))
	require.ErrorAs(t, err, new(*client.InvalidError))
	require.NotEmpty(t, got[0].ID)
	require.NotEmpty(t, got[2].ID)
	require.Equal(t, uint64(1), stored(t, js))
}

func TestAClosedClientTakesNothing(t *testing.T) {
	t.Parallel()
	js, c := newClient(t)
	c.Close()
	_, err := c.Submit(t.Context(), client.Task{Type: "demo"})
	require.ErrorIs(t, err, client.ErrStopped)
	_, err = c.SubmitMany(t.Context(), []client.Task{{Type: "demo"}})
	require.ErrorIs(t, err, client.ErrStopped)
	require.Zero(t, stored(t, js))
}
