package model

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// follower reads one stream in order, from a place to its end and on, and again from the
// start whenever the stream was made anew: a server that restarts forgets what is in memory.
type follower struct {
	js     jetstream.JetStream
	stream string
	// from says where to begin.
	from func(ctx context.Context) (jetstream.OrderedConsumerConfig, error)
	// reset is called before every beginning, each for every message, caught when all has
	// been read that was there at the beginning. All three by one goroutine.
	reset  func()
	each   func(jetstream.Msg, *jetstream.MsgMetadata)
	caught func()
}

// watchInterval is how often a follower looks whether its stream is still the one it follows.
const watchInterval = time.Second

var errMadeAnew = errors.New("the stream was made anew")

func (f *follower) run(ctx context.Context, failed func(error)) {
	for ctx.Err() == nil {
		if err := f.once(ctx); err != nil && ctx.Err() == nil {
			failed(fmt.Errorf("follow %s: %w", f.stream, err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchInterval / 4):
		}
	}
}

func (f *follower) once(ctx context.Context) error {
	s, err := f.js.Stream(ctx, f.stream)
	if err != nil {
		return err
	}
	made := s.CachedInfo().Created
	cfg, err := f.from(ctx)
	if err != nil {
		return err
	}
	c, err := f.js.OrderedConsumer(ctx, f.stream, cfg)
	if err != nil {
		return err
	}
	in := make(chan jetstream.Msg, 1024)
	stop := make(chan struct{})
	cc, err := c.Consume(func(m jetstream.Msg) {
		select {
		case in <- m:
		case <-stop:
		}
	}, jetstream.PullMaxMessages(1024))
	if err != nil {
		return err
	}
	defer func() {
		close(stop)
		cc.Stop()
		<-cc.Closed()
	}()
	f.reset()
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	left := info.NumPending + info.Delivered.Consumer // whatever was there at the beginning
	if left == 0 {
		f.caught()
	}
	return f.consume(ctx, in, made, left)
}

func (f *follower) consume(ctx context.Context, in <-chan jetstream.Msg, made time.Time, left uint64) error {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	catching := left > 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-in:
			meta, err := m.Metadata()
			if err != nil {
				continue
			}
			f.each(m, meta)
			if catching && meta.NumPending == 0 {
				catching = false
				f.caught()
			}
		case <-t.C:
			one, cancel := context.WithTimeout(ctx, watchInterval)
			s, err := f.js.Stream(one, f.stream)
			cancel()
			if errors.Is(err, jetstream.ErrStreamNotFound) || err == nil && !s.CachedInfo().Created.Equal(made) {
				return errMadeAnew
			}
		}
	}
}
