package natsx

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stored is a message as a direct get gives it.
type Stored struct {
	Subject string
	Seq     uint64
	Header  nats.Header
	Data    []byte
}

// LastOf reads the last message of each subject in one isolated read (ADR-31, multi_last; up
// to 1,024 subjects without wildcards). It returns an error unless the reply was complete, so
// that a subject that is left out has no message. The stream must allow direct gets. The
// library's call cannot be used: to it a message that failed to load looks like none.
func LastOf(ctx context.Context, js jetstream.JetStream, stream string, subjects []string) ([]Stored, error) {
	req, err := json.Marshal(map[string]any{"multi_last": subjects})
	if err != nil {
		return nil, fmt.Errorf("read the last messages of %s: %w", stream, err)
	}
	nc := js.Conn()
	ctx, cancel := whileConnected(ctx, nc, 0)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("read the last messages of %s: %w", stream, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("read the last messages of %s: %w", stream, err)
	}
	if err := nc.PublishRequest(APISubject(js, "DIRECT.GET."+stream), inbox, req); err != nil {
		return nil, fmt.Errorf("read the last messages of %s: %w", stream, err)
	}
	out, err := collect(ctx, sub, len(subjects))
	if err != nil {
		return nil, fmt.Errorf("read the last messages of %s: %w", stream, orBroken(ctx, err))
	}
	return out, nil
}

func collect(ctx context.Context, sub *nats.Subscription, most int) ([]Stored, error) {
	out := make([]Stored, 0, most)
	pending := 0
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("answer without a sequence: %w", err)
			}
			if pending, err = strconv.Atoi(m.Header.Get("Nats-Num-Pending")); err != nil {
				return nil, fmt.Errorf("answer without what is pending: %w", err)
			}
			out = append(out, Stored{Subject: m.Header.Get(jetstream.SubjectHeader), Seq: seq, Header: m.Header, Data: m.Data})
		case "204":
			if pending > 0 {
				return nil, fmt.Errorf("incomplete answer: %d more", pending)
			}
			return out, nil
		case "404":
			if m.Header.Get("Description") == "No Results" {
				return out, nil
			}
			return nil, fmt.Errorf("answer %s %s", status, m.Header.Get("Description"))
		case "503":
			return nil, nats.ErrNoResponders
		default:
			return nil, fmt.Errorf("answer %s %s", status, m.Header.Get("Description"))
		}
	}
}

// APISubject is the full subject of a request to JetStream's API, such as
// `DIRECT.GET.<stream>`, with the domain or prefix that js was made with.
func APISubject(js jetstream.JetStream, request string) string {
	o := js.Options()
	switch {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "." + request
	case o.Domain != "":
		return "$JS." + o.Domain + ".API." + request
	}
	return "$JS.API." + request
}
