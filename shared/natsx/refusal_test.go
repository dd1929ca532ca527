package natsx_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/natstest"
	"github.com/batuta-tasks/batuta/shared/natsx"
)

// stream makes a stream of its own, and returns how to change it.
func stream(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig) func(change func(*jetstream.StreamConfig)) {
	t.Helper()
	_, err := js.CreateStream(t.Context(), cfg)
	require.NoError(t, err)
	return func(change func(*jetstream.StreamConfig)) {
		change(&cfg)
		_, err := js.UpdateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
}

// publishing stores one message in the background.
func publishing(p *natsx.Publisher, subject string) <-chan error {
	stored := make(chan error, 1)
	go func() {
		_, err := p.Publish(context.Background(), nats.NewMsg(subject))
		stored <- err
	}()
	return stored
}

func awaitRefusal(t *testing.T, p *natsx.Publisher, says string) {
	t.Helper()
	natstest.Eventually(t, func() error {
		if !p.Full() {
			return errors.New("no word of a refusal")
		}
		return nil
	})
	require.ErrorContains(t, p.Refusal(), says)
}

func TestAFullStreamIsWaitedFor(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	update := stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	p := natsx.NewPublisher(js)
	require.NoError(t, <-publishing(p, "s"))
	stored := publishing(p, "s")
	awaitRefusal(t, p, "the stream of s is full")
	update(func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 })
	require.NoError(t, <-stored)
	require.NoError(t, p.Refusal())
}

// A frozen stream answers nothing: here one that is told not to.
func TestAStreamThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JS(t)
	update := stream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, NoAck: true})
	p := natsx.NewPublisher(js)
	stored := publishing(p, "s")
	awaitRefusal(t, p, "the stream of s stores nothing although NATS is connected")
	update(func(c *jetstream.StreamConfig) { c.NoAck = false })
	require.NoError(t, <-stored)
	require.NoError(t, p.Refusal())
	st, err := js.Stream(t.Context(), "S")
	require.NoError(t, err)
	require.EqualValues(t, 1, st.CachedInfo().State.Msgs, "what was stored without an answer is found")
}
