// Package role is how the benchmark speaks with the producer and worker processes of each
// system: one JSON line each way at a time, over stdin and stdout.
package role

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Worker is what a worker process is told, as JSON in its last argument.
type Worker struct {
	System string `json:"system"`
	// Addr is the server's, as the system writes it.
	Addr string `json:"addr"`
	// Slots is how many tasks run at once, Expect after how many the end is told.
	Slots  int `json:"slots"`
	Expect int `json:"expect"`
	// TaskUs is how long a task takes.
	TaskUs int `json:"taskUs"`
	// Ledger is the folder to write to; AtOnce: each start before it goes on.
	Ledger string `json:"ledger"`
	AtOnce bool   `json:"atOnce"`
	// Echo tells each start.
	Echo bool `json:"echo"`
	// Tuned: polls as often as serves best, where the system polls.
	Tuned bool `json:"tuned"`
	// Priorities: tasks of high and low priority come, and none without.
	Priorities bool `json:"priorities"`
}

// Pool is what a process of many idle workers is told, as JSON in its last argument.
type Pool struct {
	Addr    string `json:"addr"`
	Workers int    `json:"workers"`
}

// Modes of a producer.
const (
	ModeOne  = "one"  // each producer waits for the acknowledgement of its last task
	ModeBulk = "bulk" // batches, one after the other
	ModeHTTP = "http" // one, through the API
	ModeStep = "step" // one task for each line `step`
)

// Producer is what a producer process is told, as JSON in its last argument.
type Producer struct {
	System string `json:"system"`
	Addr   string `json:"addr"`
	HTTP   string `json:"http"`
	Mode   string `json:"mode"`
	// First is the number of the first of Tasks.
	First     int `json:"first"`
	Tasks     int `json:"tasks"`
	Producers int `json:"producers"`
	Batch     int `json:"batch"`
	// Priority is high or low; empty is the system's own default.
	Priority string `json:"priority"`
}

// Line is one line of either side.
type Line struct {
	Op string `json:"op"`
	// At, From and To by package clock.
	At   int64 `json:"at,omitempty"`
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
	// CallsMs are p50 and p99 of the calls that submitted.
	CallsMs []float64 `json:"callsMs,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// Words of the processes, and to them.
const (
	OpReady = "ready"
	OpDone  = "done"
	OpStart = "start"
	OpSaved = "saved"
	OpError = "error"

	OpGo   = "go"
	OpStep = "step"
	OpSave = "save"
	OpStop = "stop"
)

// Pipe is the side of a process.
type Pipe struct {
	mu  sync.Mutex
	out io.Writer
	in  *bufio.Scanner
}

// NewPipe makes a pipe of stdin and stdout.
func NewPipe(in io.Reader, out io.Writer) *Pipe { return &Pipe{out: out, in: bufio.NewScanner(in)} }

// Say writes a line.
func (p *Pipe) Say(l Line) {
	b, err := json.Marshal(l)
	if err != nil {
		return // it holds numbers and strings
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.out.Write(append(b, '\n')) // a benchmark that is gone closes stdin, too
}

// Hear waits for the next line; io.EOF is that the benchmark is gone.
func (p *Pipe) Hear() (Line, error) {
	var l Line
	if !p.in.Scan() {
		return l, io.EOF
	}
	err := json.Unmarshal(p.in.Bytes(), &l)
	return l, err
}

// PayloadSize is the length of every payload in bytes.
const PayloadSize = 100

// Payload is a task's payload: its number, when it was submitted, and filling.
func Payload(n int, at int64) []byte {
	b := make([]byte, 0, PayloadSize)
	b = append(b, `{"n":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `,"t":"`...)
	b = strconv.AppendInt(b, at, 10)
	b = append(b, `","x":"`...)
	for len(b) < PayloadSize-2 {
		b = append(b, 'x')
	}
	return append(b, '"', '}')
}

// ParsePayload is the inverse of Payload. The keys come in any order: a database may sort them.
func ParsePayload(b []byte) (n uint32, at int64, err error) {
	var p struct {
		N uint32 `json:"n"`
		T string `json:"t"`
	}
	if !fast(string(b), &p.N, &p.T) {
		if err := json.Unmarshal(b, &p); err != nil {
			return 0, 0, fmt.Errorf("payload: %w", err)
		}
	}
	at, err = strconv.ParseInt(p.T, 10, 64)
	return p.N, at, err
}

// fast reads a payload as Payload wrote it, so that the handler costs next to nothing.
func fast(s string, n *uint32, t *string) bool {
	s, ok := strings.CutPrefix(s, `{"n":`)
	number, rest, ok2 := strings.Cut(s, `,"t":"`)
	at, _, ok3 := strings.Cut(rest, `"`)
	v, err := strconv.ParseUint(number, 10, 32)
	if !ok || !ok2 || !ok3 || err != nil {
		return false
	}
	*n, *t = uint32(v), at
	return true
}
