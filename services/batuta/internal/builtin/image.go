package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that are read
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"path"
	"strings"

	_ "golang.org/x/image/webp" // registers the decoder

	"github.com/batuta-tasks/batuta/shared/worker"
)

const (
	// maxImageBytes bounds the decoded pixels, of source and result together, that one
	// process holds: with the rest of it they stay below 64 MiB.
	maxImageBytes = 40 << 20
	// maxSide is the largest width and height that JPEG can have.
	maxSide     = 65_535
	jpegQuality = 85
)

type imageInput struct {
	Path   *string `json:"path"`
	Data   *[]byte `json:"data"`
	Width  int     `json:"width"`
	Height *int    `json:"height"`
	Format *string `json:"format"`
	Output *string `json:"output"`
}

type imageResult struct {
	Width  int     `json:"width"`
	Height int     `json:"height"`
	Format string  `json:"format"`
	Bytes  int64   `json:"bytes"`
	Output *string `json:"output,omitempty"`
	Data   []byte  `json:"data,omitempty"`
}

// imageResize scales a picture by the Catmull-Rom filter. Without a height it keeps its
// shape. It is written as PNG or JPEG.
func (b *Types) imageResize(ctx context.Context, t *worker.Task) (any, error) {
	var in imageInput
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
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
	src.to = 50
	plan, err := in.plan(src)
	if err != nil {
		return nil, err
	}
	if err := b.images.Acquire(ctx, plan.bytes); err != nil {
		return nil, err
	}
	defer b.images.Release(plan.bytes)
	return b.resize(ctx, src, plan, in.Output)
}

func (in *imageInput) check() error {
	if err := oneOf("path", in.Path != nil, "data", in.Data != nil); err != nil {
		return err
	}
	if in.Width < 1 || in.Width > maxSide {
		return refuse("payload.width: %d: must be 1 to %d", in.Width, maxSide)
	}
	if in.Height != nil && (*in.Height < 1 || *in.Height > maxSide) {
		return refuse("payload.height: %d: must be 1 to %d", *in.Height, maxSide)
	}
	if in.Format != nil && *in.Format != "png" && *in.Format != "jpeg" {
		return refuse("payload.format: %q: must be png or jpeg", *in.Format)
	}
	return nil
}

// plan is what will be made.
type plan struct {
	width, height int
	format        string
	bytes         int64 // of decoded pixels
}

// plan reads the picture's header and refuses what would not fit the memory.
func (in *imageInput) plan(src *meter) (plan, error) {
	config, format, err := image.DecodeConfig(src)
	if err != nil {
		return plan{}, imageError(src.ctx, err)
	}
	if config.Width < 1 || config.Height < 1 {
		return plan{}, refuse("the picture has no pixels: %d × %d", config.Width, config.Height)
	}
	if err := src.rewind(); err != nil {
		return plan{}, err
	}
	need, err := decodedBytes(src, format, config)
	if err != nil {
		return plan{}, imageError(src.ctx, err)
	}
	p := plan{width: in.Width, format: in.outputFormat(format)}
	if in.Height != nil {
		p.height = *in.Height
	} else {
		p.height = max(1, int(math.Round(float64(config.Height)*float64(in.Width)/float64(config.Width))))
	}
	if p.height > maxSide {
		return plan{}, refuse("the result would be %d × %d: at most %d", p.width, p.height, maxSide)
	}
	p.bytes = need + int64(p.width)*int64(p.height)*4 + rowBytes(config, p)
	if p.bytes > maxImageBytes {
		return plan{}, refuse("%d × %d pixels (%s) to %d × %d need %d MiB of memory; at most %d MiB",
			config.Width, config.Height, format, p.width, p.height, p.bytes>>20, maxImageBytes>>20)
	}
	return p, src.rewind()
}

// outputFormat is the one asked for, else that of the output's name, else the source's.
func (in *imageInput) outputFormat(source string) string {
	if in.Format != nil {
		return *in.Format
	}
	if in.Output != nil {
		switch strings.ToLower(path.Ext(*in.Output)) {
		case ".png":
			return "png"
		case ".jpg", ".jpeg":
			return "jpeg"
		}
	}
	if source == "jpeg" {
		return "jpeg"
	}
	return "png"
}

func (b *Types) resize(ctx context.Context, src *meter, p plan, output *string) (any, error) {
	picture, _, err := image.Decode(src)
	if err != nil {
		return nil, imageError(ctx, err)
	}
	scaled, err := scale(ctx, picture, p.width, p.height, func(share float64) {
		src.task.Progress(50+40*share, "scaling")
	})
	if err != nil {
		return nil, err
	}
	src.task.Progress(90, "writing "+p.format)
	r := imageResult{Width: p.width, Height: p.height, Format: p.format, Output: output}
	r.Bytes, r.Data, err = b.deliver(ctx, output, func(w io.Writer) error { return encode(w, scaled, p.format) })
	return r, err
}

func encode(w io.Writer, picture *image.RGBA, format string) error {
	if format == "png" {
		return png.Encode(w, picture)
	}
	onWhite(picture)
	return jpeg.Encode(w, picture, &jpeg.Options{Quality: jpegQuality})
}

// onWhite lays the picture on white: JPEG has no transparency and would show black.
func onWhite(picture *image.RGBA) {
	for i := 0; i < len(picture.Pix); i += 4 {
		pixel := picture.Pix[i : i+4 : i+4]
		rest := 255 - pixel[3] // colours are premultiplied
		pixel[0], pixel[1], pixel[2], pixel[3] = pixel[0]+rest, pixel[1]+rest, pixel[2]+rest, 255
	}
}

// imageError tells bad pictures, for good, from files that could not be read.
func imageError(ctx context.Context, err error) error {
	var file interface{ Timeout() bool } // *fs.PathError has it
	if ctx.Err() != nil || errors.As(err, &file) {
		return fmt.Errorf("read the picture: %w", err)
	}
	if errors.Is(err, image.ErrFormat) {
		return refuse("the input is no PNG, JPEG, GIF or WebP picture")
	}
	return refuse("read the picture: %w", err)
}
