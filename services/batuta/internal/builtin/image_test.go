package builtin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"
)

// gradient is a smooth picture with some transparency.
func gradient(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / w), uint8(255 * y / h), uint8((x + y) % 256), uint8(255 - 100*x/w)})
		}
	}
	return m
}

func encoded(t *testing.T, format string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	switch format {
	case "png":
		require.NoError(t, png.Encode(&b, m))
	case "jpeg":
		require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}))
	case "gif":
		require.NoError(t, gif.Encode(&b, m, nil))
	}
	return b.Bytes()
}

type imageResult struct {
	Width, Height int
	Format        string
	Bytes         int64
	Output        *string
	Data          []byte
}

func (b *bench) resize(payload map[string]any) (r imageResult) {
	b.t.Helper()
	p, err := json.Marshal(payload)
	require.NoError(b.t, err)
	require.NoError(b.t, json.Unmarshal([]byte(b.ok("image.resize", string(p))), &r))
	return r
}

func TestResizeOfEveryFormat(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for source, target := range map[string]string{"png": "png", "jpeg": "jpeg", "gif": "png"} {
		r := b.resize(map[string]any{"data": encoded(t, source, gradient(120, 60)), "width": 40})
		require.Equal(t, []any{40, 20, target}, []any{r.Width, r.Height, r.Format}, source)
		require.Equal(t, int64(len(r.Data)), r.Bytes)
		got, format, err := image.Decode(bytes.NewReader(r.Data))
		require.NoError(t, err)
		require.Equal(t, target, format)
		require.Equal(t, image.Pt(40, 20), got.Bounds().Size())
	}
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==") // 1 × 1
	require.NoError(t, err)
	r := b.resize(map[string]any{"data": webp, "width": 3, "height": 2, "format": "jpeg"})
	require.Equal(t, []any{3, 2, "jpeg"}, []any{r.Width, r.Height, r.Format})
}

func TestResizeWritesFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("in.png", string(encoded(t, "png", gradient(50, 50))))
	for output, format := range map[string]string{"thumbs/a.jpg": "jpeg", "a.PNG": "png", "a.bin": "png"} {
		r := b.resize(map[string]any{"path": "in.png", "width": 10, "output": output})
		require.Equal(t, format, r.Format)
		require.Equal(t, output, *r.Output)
		require.Nil(t, r.Data)
		content, err := os.ReadFile(filepath.Join(b.dir, output))
		require.NoError(t, err)
		require.Len(t, content, int(r.Bytes))
		_, decoded, err := image.DecodeConfig(bytes.NewReader(content))
		require.NoError(t, err)
		require.Equal(t, format, decoded)
	}
}

// The row-wise scaler must give what x/image gives.
func TestResizeIsCatmullRom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	src := gradient(97, 61)
	for _, size := range []image.Point{{30, 20}, {97, 61}, {200, 130}, {1, 1}, {13, 120}} {
		r := b.resize(map[string]any{"data": encoded(t, "png", src), "width": size.X, "height": size.Y})
		got, err := png.Decode(bytes.NewReader(r.Data))
		require.NoError(t, err)
		want := image.NewRGBA(image.Rectangle{Max: size})
		draw.CatmullRom.Scale(want, want.Rect, src, src.Rect, draw.Src, nil)
		require.Less(t, furthest(want, got), 6.0, size)
	}
}

// furthest is the largest difference of a channel, in 255ths.
func furthest(a, b image.Image) (most float64) {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, a1 := a.At(x, y).RGBA()
			r2, g2, b2, a2 := b.At(x, y).RGBA()
			for _, d := range []float64{float64(r1) - float64(r2), float64(g1) - float64(g2), float64(b1) - float64(b2), float64(a1) - float64(a2)} {
				most = max(most, math.Abs(d)/257)
			}
		}
	}
	return most
}

func TestTransparencyTurnsWhiteInJPEG(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	transparent := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	r := b.resize(map[string]any{"data": encoded(t, "png", transparent), "width": 8, "format": "jpeg"})
	got, err := jpeg.Decode(bytes.NewReader(r.Data))
	require.NoError(t, err)
	white := image.NewGray(got.Bounds())
	draw.Draw(white, white.Rect, image.White, image.Point{}, draw.Src)
	require.Less(t, furthest(white, got), 3.0)
}

func TestPicturesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bomb := encoded(t, "png", image.NewGray(image.Rect(0, 0, 1, 1))) // is made to say that it is large
	binary.BigEndian.PutUint32(bomb[16:], 8000)
	binary.BigEndian.PutUint32(bomb[20:], 8000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	refused := func(payload map[string]any) string {
		p, err := json.Marshal(payload)
		require.NoError(t, err)
		return b.refused("image.resize", string(p))
	}
	require.Contains(t, refused(map[string]any{"data": bomb, "width": 1}), "8000 × 8000 pixels (png) to 1 × 1 need")
	small := encoded(t, "png", gradient(10, 10))
	require.Contains(t, refused(map[string]any{"data": small, "width": 60_000}), "MiB of memory")
	require.Contains(t, refused(map[string]any{"data": encoded(t, "png", gradient(1, 10)), "width": 60_000}), "at most 65535")
	require.Contains(t, refused(map[string]any{"data": small[:len(small)/2], "width": 5}), "read the picture")
	jpg := encoded(t, "jpeg", gradient(10, 10))
	require.Contains(t, refused(map[string]any{"data": jpg[:len(jpg)/2], "width": 5}), "read the picture")
}

func FuzzImageResize(f *testing.F) {
	for _, format := range []string{"png", "jpeg", "gif"} {
		var b bytes.Buffer
		switch m := gradient(9, 7); format {
		case "png":
			_ = png.Encode(&b, m)
		case "jpeg":
			_ = jpeg.Encode(&b, m, nil)
		case "gif":
			_ = gif.Encode(&b, m, nil)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t)
		p, err := json.Marshal(map[string]any{"data": data, "width": 3})
		require.NoError(t, err)
		_, _ = b.do(t.Context(), "image.resize", string(p)) // must neither panic nor grow
	})
}
