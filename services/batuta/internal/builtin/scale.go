package builtin

import (
	"context"
	"image"
	stddraw "image/draw"
	"math"

	"golang.org/x/image/draw"
)

// taps are the weights with which a run of source samples makes one of the result.
type taps struct {
	first   int
	weights []float32
}

// tapsFor computes the Catmull-Rom weights along one axis; where the picture shrinks the
// kernel is widened, so that every source sample counts.
func tapsFor(from, to int) []taps {
	kernel := draw.CatmullRom
	ratio := float64(from) / float64(to)
	widen := max(ratio, 1)
	all := make([]taps, to)
	for i := range all {
		center := (float64(i)+0.5)*ratio - 0.5
		first := max(int(math.Ceil(center-kernel.Support*widen)), 0)
		last := min(int(math.Floor(center+kernel.Support*widen)), from-1)
		weights, sum := make([]float32, 0, last-first+1), 0.0
		for j := first; j <= last; j++ {
			w := 0.0
			if x := math.Abs(float64(j)-center) / widen; x < kernel.Support {
				w = kernel.At(x)
			}
			weights = append(weights, float32(w))
			sum += w
		}
		for k := range weights {
			weights[k] /= float32(sum)
		}
		all[i] = taps{first, weights}
	}
	return all
}

// rowBytes is what scale holds beside the two pictures.
func rowBytes(c image.Config, p plan) int64 {
	reach := func(from, to int) int64 {
		return int64(2*draw.CatmullRom.Support*max(float64(from)/float64(to), 1)) + 2
	}
	weights := 4 * (int64(p.width)*reach(c.Width, p.width) + int64(p.height)*reach(c.Height, p.height))
	rows := int64(c.Width)*4 + int64(p.width)*16*(2*reach(p.height, c.Height)+2)
	return weights + rows
}

// scale resizes row by row. The scaler of x/image makes a picture of floats as high as the
// source and as wide as the result, 32 bytes a pixel: more than the memory we allow.
func scale(ctx context.Context, src image.Image, width, height int, progress func(share float64)) (*image.RGBA, error) {
	bounds := src.Bounds()
	across, down := tapsFor(bounds.Dx(), width), tapsFor(bounds.Dy(), height)
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	line := image.NewRGBA(image.Rect(0, 0, bounds.Dx(), 1))
	row := make([]float32, 4*width)
	var sums rowSums
	next := 0 // the first row of the result that is not complete
	for y := range bounds.Dy() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		progress(float64(y) / float64(bounds.Dy()))
		stddraw.Draw(line, line.Rect, src, image.Pt(bounds.Min.X, bounds.Min.Y+y), stddraw.Src)
		shrinkRow(row, line.Pix, across)
		for i := next; i < height && down[i].first <= y; i++ {
			if k := y - down[i].first; k < len(down[i].weights) {
				addRow(sums.at(i, len(row)), row, down[i].weights[k])
			}
		}
		for next < height && down[next].first+len(down[next].weights)-1 <= y {
			storeRow(dst.Pix[next*dst.Stride:], sums.at(next, len(row)))
			sums.free(next)
			next++
		}
	}
	return dst, nil
}

// rowSums holds the rows of the result that are being summed up.
type rowSums struct {
	open  map[int][]float32
	spare [][]float32
}

func (s *rowSums) at(i, size int) []float32 {
	if sum, ok := s.open[i]; ok {
		return sum
	}
	if s.open == nil {
		s.open = map[int][]float32{}
	}
	var sum []float32
	if n := len(s.spare); n > 0 {
		sum, s.spare = s.spare[n-1], s.spare[:n-1]
		clear(sum)
	} else {
		sum = make([]float32, size)
	}
	s.open[i] = sum
	return sum
}

func (s *rowSums) free(i int) {
	s.spare = append(s.spare, s.open[i])
	delete(s.open, i)
}

func shrinkRow(row []float32, pix []uint8, across []taps) {
	for x, t := range across {
		var r, g, b, a float32
		p := pix[4*t.first:]
		for k, w := range t.weights {
			r += w * float32(p[4*k])
			g += w * float32(p[4*k+1])
			b += w * float32(p[4*k+2])
			a += w * float32(p[4*k+3])
		}
		row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = r, g, b, a
	}
}

func addRow(sum, row []float32, w float32) {
	for i, v := range row {
		sum[i] += w * v
	}
}

// storeRow rounds and keeps colours within alpha, as premultiplied ones must be: the
// kernel's negative parts overshoot at edges.
func storeRow(pix []uint8, sum []float32) {
	for i := 0; i < len(sum); i += 4 {
		a := min(max(sum[i+3], 0), 255)
		for c := range 3 {
			pix[i+c] = uint8(min(max(sum[i+c], 0), a) + 0.5)
		}
		pix[i+3] = uint8(a + 0.5)
	}
}
