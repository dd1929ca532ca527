package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// LineReader reads the lines of one worker and holds it to the protocol: the first line is
// `ready`, and it comes once.
type LineReader struct {
	r     *bufio.Reader
	long  []byte
	ready bool
}

// NewLineReader reads a worker's stdout.
func NewLineReader(r io.Reader) *LineReader {
	return &LineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// Next is the next line. The error is a *ProtocolError where the worker broke the
// protocol, io.EOF at the end, io.ErrUnexpectedEOF where the last line has no newline (its
// writer died meanwhile), or what the reader returned.
func (l *LineReader) Next() (LineFromWorker, error) {
	line, err := readLine(l.r, &l.long)
	if err != nil {
		return LineFromWorker{}, err
	}
	got, err := DecodeWorkerLine(line)
	if err != nil {
		return LineFromWorker{}, err
	}
	if (got.Op == OpReady) == l.ready {
		rule := "the first line must be ready"
		if l.ready {
			rule = "ready is said once"
		}
		return LineFromWorker{}, protocolError("op", appendText(nil, got.Op), rule)
	}
	l.ready = true
	got.Result = bytes.Clone(got.Result)
	return got, nil
}

// PoolLineReader reads the lines of a pool.
type PoolLineReader struct {
	r    *bufio.Reader
	long []byte
}

// NewPoolLineReader reads a worker's stdin.
func NewPoolLineReader(r io.Reader) *PoolLineReader {
	return &PoolLineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// Next is the next line whose op is known; errors are those of LineReader.Next.
func (l *PoolLineReader) Next() (LineToWorker, error) {
	for {
		line, err := readLine(l.r, &l.long)
		if err != nil {
			return LineToWorker{}, err
		}
		got, err := DecodePoolLine(line)
		if err != nil || got.Op != "" {
			got.Payload = bytes.Clone(got.Payload)
			return got, err
		}
	}
}

// readLine returns a line without its newline; it is valid until the next call.
func readLine(r *bufio.Reader, long *[]byte) ([]byte, error) {
	*long = (*long)[:0]
	for {
		part, err := r.ReadSlice('\n')
		if len(*long)+len(bytes.TrimSuffix(part, []byte("\n"))) > MaxLine {
			return nil, &ProtocolError{Fault: faultOf("", clipLine(*long, part), "a line may have up to 1 MiB; use payloadFile or resultFile"), Cause: ErrLineTooLong}
		}
		switch {
		case err == nil && len(*long) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			return append(*long, part[:len(part)-1]...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			*long = append(*long, part...)
		case errors.Is(err, io.EOF) && len(*long)+len(part) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func clipLine(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p[:min(len(p), 200)]...)
	}
	return b
}

// lineField is one member of a line's object.
type lineField struct {
	name string
	raw  []byte
}

// lineFields splits a line into its members.
func lineFields(line []byte) ([]lineField, error) {
	switch {
	case !utf8.Valid(line):
		return nil, protocolError("", line, "a line must be UTF-8")
	case !json.Valid(line):
		return nil, protocolError("", line, "a line must be one JSON object"+syntaxDetail(line))
	}
	line = bytes.TrimSpace(line)
	if line[0] != '{' {
		return nil, protocolError("", line, "a line must be one JSON object")
	}
	fields := make([]lineField, 0, 8)
	for i := skipBlank(line, 1); line[i] != '}'; {
		var f lineField
		f, i = nextField(line, i)
		if slices.ContainsFunc(fields, func(g lineField) bool { return g.name == f.name }) {
			return nil, protocolError(f.name, f.raw, "stands twice")
		}
		if fields = append(fields, f); len(fields) > 32 {
			return nil, protocolError(f.name, f.raw, "a line has at most 32 fields")
		}
	}
	return fields, nil
}

// nextField reads the member at line[i] of valid JSON and tells where the next one starts.
func nextField(line []byte, i int) (lineField, int) {
	end := skipString(line, i)
	f := lineField{name: string(line[i+1 : end-1])}
	if strings.IndexByte(f.name, '\\') >= 0 {
		_ = json.Unmarshal(line[i:end], &f.name) // valid, as all of the line is
	}
	start := skipBlank(line, skipBlank(line, end)+1)
	end = skipValue(line, start)
	f.raw = line[start:end]
	if end = skipBlank(line, end); line[end] == ',' {
		end = skipBlank(line, end+1)
	}
	return f, end
}

func skipBlank(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			if i = skipString(b, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
}

// lineOp takes the op out of a line's fields.
func lineOp(fields []lineField) (op string, rest []lineField, err error) {
	for i, f := range fields {
		if f.name != "op" {
			continue
		}
		if json.Unmarshal(f.raw, &op) != nil || op == "" {
			return "", nil, protocolError("op", f.raw, "must be a string")
		}
		return op, append(fields[:i], fields[i+1:]...), nil
	}
	return "", nil, protocolError("op", nil, "is missing")
}

// DecodeWorkerLine reads a line that a worker wrote, without its newline. It is strict:
// unknown keys are refused too. The error is a *ProtocolError. Result shares its memory
// with line. Percent is brought into 0 to 100, since it is only shown.
func DecodeWorkerLine(line []byte) (LineFromWorker, error) {
	fields, err := lineFields(line)
	if err != nil {
		return LineFromWorker{}, err
	}
	l := LineFromWorker{Retryable: true, Level: LevelInfo}
	if l.Op, fields, err = lineOp(fields); err != nil {
		return LineFromWorker{}, err
	}
	required, known := workerFields[l.Op]
	if !known {
		return LineFromWorker{}, protocolError("op", appendText(nil, l.Op), "must be one of ready, progress, log, result, error, heartbeat")
	}
	for _, f := range fields {
		if !slices.Contains(required.all, f.name) {
			return LineFromWorker{}, protocolError(f.name, f.raw, "is not a field of "+l.Op)
		}
		if err := l.set(f); err != nil {
			return LineFromWorker{}, err
		}
	}
	return l.checked(fields, required.must)
}

type opFields struct{ all, must []string }

var workerFields = map[string]opFields{
	OpReady:     {[]string{"protocol", "types", "concurrency"}, []string{"protocol"}},
	OpProgress:  {[]string{"id", "percent", "message"}, []string{"id"}},
	OpLog:       {[]string{"id", "level", "message"}, []string{"id", "message"}},
	OpResult:    {[]string{"id", "result", "resultFile"}, []string{"id"}},
	OpError:     {[]string{"id", "message", "retryable", "retryAfterMs"}, []string{"id", "message"}},
	OpHeartbeat: {},
}

func (l LineFromWorker) checked(fields []lineField, must []string) (LineFromWorker, error) {
	for _, name := range must {
		if !slices.ContainsFunc(fields, func(f lineField) bool { return f.name == name }) {
			return LineFromWorker{}, protocolError(name, nil, "is missing in "+l.Op)
		}
	}
	if l.ResultFile != "" && l.Result != nil {
		return LineFromWorker{}, protocolError("resultFile", appendText(nil, l.ResultFile), "cannot stand beside result")
	}
	if l.Op != OpLog {
		l.Level = ""
	}
	if l.Op != OpError {
		l.Retryable = false
	}
	return l, nil
}

// set reads one field. Null stands for an absent value where one may be absent.
func (l *LineFromWorker) set(f lineField) error {
	null := string(f.raw) == "null"
	switch f.name {
	case "id":
		return f.text(&l.ID, ValidID, "must be a task's id")
	case "message":
		if null && l.Op == OpProgress {
			return nil
		}
		return f.text(&l.Message, nil, "must be a string")
	case "protocol":
		return f.integer(&l.Protocol, LineProtocol, LineProtocol, "must be 1")
	case "result":
		l.Result = f.raw
		if null {
			l.Result = nil
		}
		return nil
	}
	if null {
		return nil
	}
	switch f.name {
	case "level":
		return f.text(&l.Level, validLevel, "must be one of debug, info, warn, error")
	case "types":
		return f.types(&l.Types)
	case "concurrency":
		return f.integer(&l.Concurrency, 1, maxLineConcurrency, "must be an integer from 1 to 1000")
	case "percent":
		return f.percent(&l.Percent)
	case "resultFile":
		return f.text(&l.ResultFile, func(s string) bool { return s != "" }, "must be a path")
	case "retryable":
		return f.boolean(&l.Retryable)
	default: // retryAfterMs
		l.RetryAfterMs = new(int64)
		return f.integer64(l.RetryAfterMs, 0, maxRetryAfterMs, "must be an integer from 0 to 31536000000 (1 year) or null")
	}
}

func validLevel(s string) bool {
	return s == LevelDebug || s == LevelInfo || s == LevelWarn || s == LevelError
}

// text refuses null, which Unmarshal would read as nothing.
func (f lineField) text(into *string, ok func(string) bool, rule string) error {
	if f.raw[0] != '"' || json.Unmarshal(f.raw, into) != nil || ok != nil && !ok(*into) {
		return protocolError(f.name, f.raw, rule)
	}
	return nil
}

func (f lineField) integer(into *int, least, most int64, rule string) error {
	var n int64
	err := f.integer64(&n, least, most, rule)
	*into = int(n)
	return err
}

func (f lineField) integer64(into *int64, least, most int64, rule string) error {
	n, err := strconv.ParseInt(string(f.raw), 10, 64)
	if err != nil || n < least || n > most {
		return protocolError(f.name, f.raw, rule)
	}
	*into = n
	return nil
}

func (f lineField) boolean(into *bool) error {
	if json.Unmarshal(f.raw, into) != nil {
		return protocolError(f.name, f.raw, "must be true or false")
	}
	return nil
}

func (f lineField) percent(into **float64) error {
	p, err := strconv.ParseFloat(string(f.raw), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return protocolError(f.name, f.raw, "must be a number from 0 to 100")
	}
	p = min(max(p, 0), 100)
	*into = &p
	return nil
}

func (f lineField) types(into *[]string) error {
	const rule = "must be an array of task types; without it the worker takes every type"
	if f.raw[0] != '[' || json.Unmarshal(f.raw, into) != nil || len(*into) == 0 {
		return protocolError(f.name, f.raw, rule)
	}
	for i, t := range *into {
		if !ValidType(t) {
			return protocolError(fmt.Sprintf("types[%d]", i), appendText(nil, t), typeRule)
		}
	}
	return nil
}

// DecodePoolLine reads a line that a pool wrote, without its newline. Ops and keys that it
// does not know are passed over, so that a worker built today can serve a later pool: an
// unknown op gives an empty line. The error is a *ProtocolError. Payload shares its memory
// with line.
func DecodePoolLine(line []byte) (LineToWorker, error) {
	fields, err := lineFields(line)
	if err != nil {
		return LineToWorker{}, err
	}
	var l LineToWorker
	if l.Op, fields, err = lineOp(fields); err != nil {
		return LineToWorker{}, err
	}
	if l.Op != OpTask && l.Op != OpCancel && l.Op != OpDrain {
		return LineToWorker{}, nil
	}
	for _, f := range fields {
		if err := l.set(f); err != nil {
			return LineToWorker{}, err
		}
	}
	if l.ID == "" && l.Op != OpDrain {
		return LineToWorker{}, protocolError("id", nil, "is missing in "+l.Op)
	}
	if l.Type == "" && l.Op == OpTask {
		return LineToWorker{}, protocolError("type", nil, "is missing in "+l.Op)
	}
	return l, nil
}

func (l *LineToWorker) set(f lineField) error {
	switch f.name {
	case "id":
		return f.text(&l.ID, ValidID, "must be a task's id")
	case "type":
		return f.text(&l.Type, ValidType, "must be a task's type")
	case "reason":
		return f.text(&l.Reason, nil, "must be a string")
	case "payloadFile":
		return f.text(&l.PayloadFile, nil, "must be a path")
	case "attempt":
		return f.integer(&l.Attempt, 0, math.MaxInt32, "must be an integer")
	case "timeoutMs":
		return f.integer64(&l.TimeoutMs, 0, math.MaxInt64, "must be an integer of milliseconds")
	case "fence":
		n, err := strconv.ParseUint(string(f.raw), 10, 64)
		if l.Fence = n; err != nil {
			return protocolError(f.name, f.raw, "must be an integer")
		}
	case "payload":
		if l.Payload = f.raw; string(f.raw) == "null" {
			l.Payload = nil
		}
	case "tags":
		if json.Unmarshal(f.raw, &l.Tags) != nil {
			return protocolError(f.name, f.raw, "must be an object of strings")
		}
	}
	return nil
}
