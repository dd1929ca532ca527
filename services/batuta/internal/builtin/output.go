package builtin

import (
	"fmt"
	"strings"
)

// halfOutput is how much of a command's output is kept of its start, and of its end.
const halfOutput = 512 << 10

// clippedOutput keeps the first and the last 512 KiB of what is written, so that a command
// that prints without end neither fills the memory nor blocks.
type clippedOutput struct {
	head  []byte
	ring  []byte // the last bytes after head; a ring once it is full
	next  int    // where the ring goes on
	total int64
}

// Write implements io.Writer; it never fails.
func (c *clippedOutput) Write(p []byte) (int, error) {
	n := len(p)
	c.total += int64(n)
	room := min(halfOutput-len(c.head), len(p))
	c.head, p = append(c.head, p[:room]...), p[room:]
	if len(p) > halfOutput {
		p = p[len(p)-halfOutput:]
	}
	room = min(halfOutput-len(c.ring), len(p))
	c.ring, p = append(c.ring, p[:room]...), p[room:]
	for len(p) > 0 {
		m := copy(c.ring[c.next:], p)
		c.next, p = (c.next+m)%halfOutput, p[m:]
	}
	return n, nil
}

// String is all that was written, or its start and end with a line between them that says
// how much was left out.
func (c *clippedOutput) String() string {
	last := string(c.ring[c.next:]) + string(c.ring[:c.next])
	left := c.total - int64(len(c.head)) - int64(len(c.ring))
	if left == 0 {
		return strings.ToValidUTF8(string(c.head)+last, "�")
	}
	return strings.ToValidUTF8(fmt.Sprintf("%s\n[batuta: %d bytes left out]\n%s", c.head, left, last), "�")
}

func (c *clippedOutput) tail(n int) string {
	s := c.String()
	return strings.ToValidUTF8(s[max(0, len(s)-n):], "")
}
