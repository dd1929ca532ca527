package wire

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrDecode is wrapped by every error of a decoder of Batuta's own messages.
var ErrDecode = errors.New("malformed message")

var errIncomplete = errors.New("a required field is missing or out of range")

func decodeError(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrDecode, what, err)
}

func itoa(n int) string { return strconv.Itoa(n) }
