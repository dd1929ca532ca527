package builtin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/batuta-tasks/batuta/shared/worker"
)

// maxDataResult is the most that a result holds in place of an output file: it is held in
// memory, more than once as base64.
const maxDataResult = 8 << 20

type gzipInput struct {
	Path   *string `json:"path"`
	Data   *[]byte `json:"data"`
	Output *string `json:"output"`
}

type gzipResult struct {
	BytesIn  int64   `json:"bytesIn"`
	BytesOut int64   `json:"bytesOut"`
	Output   *string `json:"output,omitempty"`
	Data     []byte  `json:"data,omitempty"`
}

// gzip compresses a file or data.
func (b *Types) gzip(ctx context.Context, t *worker.Task) (any, error) {
	var in gzipInput
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	if err := oneOf("path", in.Path != nil, "data", in.Data != nil); err != nil {
		return nil, err
	}
	var data []byte
	if in.Data != nil {
		data = *in.Data
	}
	src, done, err := b.source(ctx, t, in.Path, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	defer done()
	var r gzipResult
	r.BytesOut, r.Data, err = b.deliver(ctx, in.Output, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if _, err := io.CopyBuffer(z, src, make([]byte, 256<<10)); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		return z.Close()
	})
	r.BytesIn, r.Output = src.n, in.Output
	return r, err
}

// deliver writes to the output file, where one is asked for, else into memory.
func (b *Types) deliver(ctx context.Context, output *string, write func(io.Writer) error) (int64, []byte, error) {
	if output != nil {
		n, err := b.files.create(ctx, *output, write)
		return n, nil, err
	}
	buf := &boundedBuffer{ctx: ctx}
	if err := write(buf); err != nil {
		return 0, nil, err
	}
	return int64(buf.b.Len()), buf.b.Bytes(), nil
}

var errDataTooLong = errors.New("the result is larger than 8 MiB; name an output file")

// boundedBuffer takes up to maxDataResult.
type boundedBuffer struct {
	ctx context.Context //nolint:containedctx // an io.Writer has no other way to learn it
	b   bytes.Buffer
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.b.Len()+len(p) > maxDataResult {
		return 0, worker.Permanent(errDataTooLong)
	}
	return b.b.Write(p)
}
