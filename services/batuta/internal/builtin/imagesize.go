package builtin

import (
	"bufio"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"io"
)

// decodedBytes is how much memory a picture takes while it is decoded.
func decodedBytes(r io.Reader, format string, c image.Config) (int64, error) {
	pixels := int64(c.Width) * int64(c.Height)
	switch format {
	case "jpeg":
		return jpegBytes(bufio.NewReader(r))
	case "png":
		return pngBytes(r, c, pixels)
	case "webp":
		if c.ColorModel == color.NRGBAModel {
			return pixels * 8, nil // lossless: pixels twice
		}
		return pixels * 4, nil // Y, half of Cb and Cr, alpha and its decoding
	}
	return pixels * 2, nil // GIF: an index each, twice where it is interlaced
}

// pngBytes doubles what is interlaced, whose passes are pictures of their own.
func pngBytes(r io.Reader, c image.Config, pixels int64) (int64, error) {
	var head [29]byte // signature, length and name of the first chunk, IHDR
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	each := int64(4)
	switch c.ColorModel {
	case color.GrayModel:
		each = 1
	case color.Gray16Model:
		each = 2
	case color.RGBA64Model, color.NRGBA64Model:
		each = 8
	default:
		if _, indexed := c.ColorModel.(color.Palette); indexed {
			each = 1
		}
	}
	if interlaced := head[28] != 0; interlaced {
		each *= 2
	}
	return pixels * each, nil
}

var errNoFrame = errors.New("no frame header in the JPEG")

// jpegBytes finds the frame header: samples take a byte each, and where the frame is
// progressive another four for their coefficients.
func jpegBytes(r *bufio.Reader) (int64, error) {
	if _, err := r.Discard(2); err != nil {
		return 0, err
	}
	for {
		marker, body, err := jpegSegment(r)
		if err != nil {
			return 0, err
		}
		switch {
		case marker >= 0xc0 && marker <= 0xc2:
			return frameBytes(marker, body)
		case marker == 0xda || marker == 0xd9: // the picture itself, or its end
			return 0, errNoFrame
		}
	}
}

// jpegSegment reads up to the first 64 bytes of the next segment and skips the rest.
func jpegSegment(r *bufio.Reader) (marker byte, body []byte, err error) {
	for marker == 0 || marker == 0xff {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		if b != 0xff && marker != 0xff {
			continue // garbage between segments, which decoders pass over
		}
		marker = b
	}
	var length [2]byte
	if marker >= 0xd0 && marker <= 0xd9 {
		return marker, nil, nil // without a body
	}
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return 0, nil, err
	}
	n := max(int(binary.BigEndian.Uint16(length[:]))-2, 0)
	body = make([]byte, min(n, 64))
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, err
	}
	_, err = r.Discard(n - len(body))
	return marker, body, err
}

func frameBytes(marker byte, body []byte) (int64, error) {
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return 0, errNoFrame
	}
	height, width := int64(binary.BigEndian.Uint16(body[1:])), int64(binary.BigEndian.Uint16(body[3:]))
	var most, all int64
	for i := range int(body[5]) {
		factor := int64(body[7+3*i]>>4) * int64(body[7+3*i]&15)
		most, all = max(most, factor), all+factor
	}
	if most == 0 {
		return 0, errNoFrame
	}
	bytes := width * height * all / most
	if body[5] == 4 {
		bytes = max(bytes, width*height*4) * 2 // CMYK is converted as a whole
	}
	if marker == 0xc2 {
		bytes += width * height * all / most * 4
	}
	return bytes, nil
}
