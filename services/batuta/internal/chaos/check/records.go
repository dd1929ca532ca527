package check

import (
	"bytes"
	"encoding/json"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// sameRecord compares as stored.
func sameRecord(a, b *wire.Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal([]byte(encode(a)), []byte(encode(b)))
}

func encode(r *wire.Record) string {
	if r == nil {
		return "no record"
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
