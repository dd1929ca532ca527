package wire

import (
	"bytes"
	"encoding/json"
)

// A parcel is a lane message with several tasks: an array of envelopes, all of one lane, each a
// first attempt. It is held, extended and acknowledged as one message; whoever gets it again
// leaves out the members that have ended.
const (
	// MaxParcel is the most tasks of one.
	MaxParcel = 64
	// MaxParcelBytes bounds its body, but for one that a single task fills.
	MaxParcelBytes = 128 << 10
)

// EncodeParcel is the body of a lane message that holds the envelopes with these bodies: a
// single one as it is.
func EncodeParcel(bodies ...[]byte) []byte {
	if len(bodies) == 1 {
		return bodies[0]
	}
	size := 2
	for _, b := range bodies {
		size += len(b) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, b := range bodies {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, b...)
	}
	return append(out, ']')
}

// DecodeLaneMessage reads a lane message: one task, or those of a parcel.
func DecodeLaneMessage(b []byte) ([]*Envelope, error) {
	if !isArray(b) {
		e, err := DecodeEnvelope(b)
		if err != nil {
			return nil, err
		}
		return []*Envelope{e}, nil
	}
	all := readEnvelopes(b)
	if all == nil {
		if err := json.Unmarshal(b, &all); err != nil {
			return nil, decodeError("parcel", err)
		}
	}
	if len(all) == 0 {
		return nil, decodeError("parcel", errIncomplete)
	}
	for _, e := range all {
		if e == nil || !e.complete() {
			return nil, decodeError("parcel", errIncomplete)
		}
	}
	return all, nil
}

func isArray(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && b[0] == '['
}
