//go:build !unix

package worker

import (
	"fmt"
	"io"
	"os"
)

// captureStdio takes stdin and stdout for the protocol: what prints goes to stderr, what
// reads finds nothing.
func captureStdio() (io.Reader, io.Writer, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, fmt.Errorf("open: %w", err)
	}
	in, out := os.Stdin, os.Stdout
	os.Stdin, os.Stdout = null, os.Stderr
	return in, out, nil
}
