package natsx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// A leader that hangs, or is cut off from the other servers, answers as one for some
// seconds after these have elected another: with the past. Followers elect nobody for 4 s after they
// have heard from a leader (nats-server 2.15, raft.go: minElectionTimeoutDefault). So
// an answer holds where most followers were heard from within vouchedFor of it, and it took
// no longer than vouchedTook to come.
const (
	vouchedFor  = 2500 * time.Millisecond
	vouchedTook = time.Second
)

// Vouched tells whether a state that a server gave was the present when it was asked, which
// took so long.
func Vouched(c *jetstream.ClusterInfo, took time.Duration) bool {
	if c == nil || len(c.Replicas) == 0 {
		return true // the only copy
	}
	if took > vouchedTook {
		return false
	}
	if slices.ContainsFunc(c.Replicas, func(p *jetstream.PeerInfo) bool { return p.Name == c.Leader }) {
		return false // a follower, which has just been a leader
	}
	heard := 1 // itself
	for _, p := range c.Replicas {
		// 0 is: never heard from, unless it is current.
		if p.Active > 0 && p.Active < vouchedFor || p.Active == 0 && p.Current {
			heard++
		}
	}
	return 2*heard > len(c.Replicas)+1
}

// StreamInfo reads the state of a stream as it is now, whatever happens to its leader. It
// asks until somebody can vouch for the answer, or ctx ends; jetstream.ErrStreamNotFound is final.
func StreamInfo(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	return vouched(ctx, js, "the state of "+name, func(ctx context.Context) (*jetstream.StreamInfo, *jetstream.ClusterInfo, error) {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		return s.CachedInfo(), s.CachedInfo().Cluster, nil
	})
}

// ConsumerInfo is StreamInfo of a consumer; jetstream.ErrConsumerNotFound is final, too.
func ConsumerInfo(ctx context.Context, js jetstream.JetStream, stream, name string) (*jetstream.ConsumerInfo, error) {
	return vouched(ctx, js, "consumer "+name+" of "+stream, func(ctx context.Context) (*jetstream.ConsumerInfo, *jetstream.ClusterInfo, error) {
		c, err := js.Consumer(ctx, stream, name)
		if err != nil {
			return nil, nil, err
		}
		return c.CachedInfo(), c.CachedInfo().Cluster, nil
	})
}

// vouched asks until the answer is one of the present, or that there is no such thing.
func vouched[T any](ctx context.Context, js jetstream.JetStream, what string, ask func(context.Context) (T, *jetstream.ClusterInfo, error)) (none T, err error) {
	for try := 0; ; try++ {
		one, cancel := whileConnected(ctx, js.Conn(), tryTimeout)
		began := time.Now()
		got, cluster, err := ask(one)
		err = orBroken(one, err)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
			return none, fmt.Errorf("read %s: %w", what, err)
		case err == nil && Vouched(cluster, time.Since(began)):
			return got, nil
		case err == nil:
			err = errUnvouched
		}
		if stop := pause(ctx, try); stop != nil {
			return none, fmt.Errorf("read %s: %w (last try: %w)", what, stop, err)
		}
	}
}

var errUnvouched = errors.New("the server that answers has not heard from the others lately")

// ObjectInfo reads an object's description. jetstream.ErrObjectNotFound is certain: a read
// is answered by any replica, also one that lags, so what is not found is looked for behind a
// message stored after the question.
func ObjectInfo(ctx context.Context, js jetstream.JetStream, objects jetstream.ObjectStore, name string) (*jetstream.ObjectInfo, error) {
	for try := 0; ; try++ {
		info, err := objects.GetInfo(ctx, name)
		if err == nil {
			return info, nil
		}
		if !errors.Is(err, jetstream.ErrObjectNotFound) {
			return nil, fmt.Errorf("look for object %s: %w", name, err)
		}
		gone, err := objectGone(ctx, js, name)
		if err != nil {
			return nil, fmt.Errorf("look for object %s: %w", name, err)
		}
		if gone {
			return nil, jetstream.ErrObjectNotFound
		}
		if stop := pause(ctx, try); stop != nil {
			return nil, fmt.Errorf("look for object %s: %w", name, stop)
		}
	}
}

func objectGone(ctx context.Context, js jetstream.JetStream, name string) (bool, error) {
	m := nats.NewMsg(wire.SubjectObjectsBarrier)
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject) // only the last one is kept
	one, cancel := whileConnected(ctx, js.Conn(), tryTimeout)
	ack, err := js.PublishMsg(one, m)
	err = orBroken(one, err)
	cancel()
	if err != nil {
		return false, err
	}
	meta := wire.ObjectMetaSubject(name)
	for try := 0; ; try++ {
		one, cancel := whileConnected(ctx, js.Conn(), tryTimeout)
		found, err := LastOf(one, js, wire.StreamObjects, []string{meta, wire.SubjectObjectsBarrier})
		cancel()
		if err == nil {
			if gone, sure := judgeAbsence(found, meta, ack.Sequence); sure {
				return gone, nil
			}
			err = errors.New("every answer was of a replica that lags")
		}
		if stop := pause(ctx, try); stop != nil {
			return false, fmt.Errorf("%w (last try: %w)", stop, err)
		}
	}
}

// judgeAbsence looks at what one replica has, which is sure once it has the barrier.
func judgeAbsence(found []Stored, meta string, barrier uint64) (gone, sure bool) {
	gone = true
	for _, m := range found {
		if m.Subject != meta {
			sure = sure || m.Seq >= barrier
			continue
		}
		var o struct {
			Deleted bool `json:"deleted"`
		}
		gone = json.Unmarshal(m.Data, &o) == nil && o.Deleted
	}
	return gone, sure
}

// Message reads a message of a stream that only operators delete from, beside its oldest ones;
// jetstream.ErrMsgNotFound is certain.
func Message(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (*jetstream.RawStreamMsg, error) {
	for try := 0; ; try++ {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return nil, err
		}
		m, err := s.GetMsg(ctx, seq)
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return m, err
		}
		info, err := StreamInfo(ctx, js, stream)
		if err != nil {
			return nil, err
		}
		if st := info.State; seq < st.FirstSeq || seq > st.LastSeq {
			return nil, jetstream.ErrMsgNotFound
		} else if m, err = MessageOfLeader(ctx, js, stream, seq); !errors.Is(err, jetstream.ErrMsgNotFound) || st.NumDeleted > 0 {
			return m, err // or an operator has deleted it
		}
		if stop := pause(ctx, try); stop != nil {
			return nil, stop
		}
	}
}

// MessageOfLeader reads a message from the leader of its stream, which the library does only
// where no replica may answer. It tries once.
func MessageOfLeader(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (*jetstream.RawStreamMsg, error) {
	one, cancel := whileConnected(ctx, js.Conn(), tryTimeout)
	defer cancel()
	request := `{"seq":` + strconv.FormatUint(seq, 10) + "}"
	answer, err := js.Conn().RequestWithContext(one, APISubject(js, "STREAM.MSG.GET."+stream), []byte(request))
	if err != nil {
		return nil, fmt.Errorf("read message %d of %s: %w", seq, stream, orBroken(one, err))
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return nil, fmt.Errorf("read message %d of %s: %w", seq, stream, err)
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case got.Error != nil:
		return nil, fmt.Errorf("read message %d of %s: %w", seq, stream, got.Error)
	}
	return &jetstream.RawStreamMsg{Subject: got.Message.Subject, Sequence: got.Message.Seq, Data: got.Message.Data, Time: got.Message.Time}, nil
}
