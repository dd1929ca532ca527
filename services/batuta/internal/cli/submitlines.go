package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// batchTasks and batchBytes bound one request.
	batchTasks = 1000
	batchBytes = 8 << 20
	// lineBuffer is read ahead: enough for a full batch of small tasks.
	lineBuffer = 1 << 20
	// lineMax is the longest line that can be a task.
	lineMax = wire.MaxPayloadHTTP
)

// taskLine is one line of stdin.
type taskLine struct {
	number int
	text   []byte
}

// lineSubmitter sends the tasks of a stream of lines in batches.
type lineSubmitter struct {
	*submitCommand
	client   *apiclient.Client
	defaults []field
	live     *term.Live

	batch              []taskLine
	bytes              int
	accepted, rejected int
	duplicates         int
	ids                []string
}

func (s *submitCommand) lines(ctx context.Context, c *apiclient.Client) error {
	if s.flags.set.Changed("payload") && s.flags.payload == "-" {
		return usagef("--payload -: stdin holds the tasks already")
	}
	if s.flags.set.Changed("id") {
		return usagef("--id: an id is for one task; put \"id\" into the lines")
	}
	defaults, err := s.lineDefaults()
	if err != nil {
		return err
	}
	l := &lineSubmitter{submitCommand: s, client: c, defaults: defaults}
	if s.err.Terminal && !s.out.Terminal { // ids on a terminal are progress enough
		l.live = term.NewLive(s.err)
	}
	err = l.run(ctx)
	l.progress(true)
	if err != nil {
		return err
	}
	return l.finish(ctx)
}

func (s *submitCommand) lineDefaults() ([]field, error) {
	fields, err := s.flags.fields()
	if err != nil || !s.flags.set.Changed("payload") {
		return fields, err
	}
	payload, err := s.flags.readPayload(s.in)
	return append(fields, field{"payload", payload}), err
}

// run reads and sends until the input ends. A batch is sent once it is full, or once all
// that has arrived is in it: so a slow producer sees each task accepted at once, while a
// fast one fills the batches during the request before.
func (l *lineSubmitter) run(ctx context.Context) error {
	in := bufio.NewReaderSize(l.in, lineBuffer)
	for number := 1; ctx.Err() == nil; number++ {
		text, err := readLine(in)
		if len(bytes.TrimSpace(text)) > 0 {
			if failed := l.add(ctx, taskLine{number, text}); failed != nil {
				return failed
			}
		}
		if errors.Is(err, io.EOF) {
			return l.send(ctx)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if !lineWaits(in) {
			if err := l.send(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// readLine reads a line of any length up to lineMax.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > lineMax+1:
			return nil, fmt.Errorf("is longer than %d bytes (64 MiB)", lineMax)
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// lineWaits tells whether a whole line has been read ahead.
func lineWaits(in *bufio.Reader) bool {
	ahead, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(ahead, '\n') >= 0
}

func (l *lineSubmitter) add(ctx context.Context, line taskLine) error {
	text, err := l.complete(bytes.TrimSpace(line.text))
	if err != nil {
		l.reject(line.number, err.Error())
		return nil
	}
	line.text = text
	if l.bytes+len(text) > batchBytes {
		if err := l.send(ctx); err != nil {
			return err
		}
	}
	l.batch = append(l.batch, line)
	l.bytes += len(text)
	if len(l.batch) == batchTasks {
		return l.send(ctx)
	}
	return nil
}

// complete checks that a line can stand in an array, and adds what the flags say to a
// task that does not say it. The line's own bytes stay as they are.
func (l *lineSubmitter) complete(text []byte) ([]byte, error) {
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	if len(l.defaults) == 0 || text[0] != '{' {
		return text, nil
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(text, &own); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	var missing fieldList
	for _, f := range l.defaults {
		if _, ok := own[f.name]; !ok {
			missing = append(missing, f)
		}
	}
	return merge(missing, text, len(own) > 0)
}

func merge(missing fieldList, object []byte, filled bool) ([]byte, error) {
	if len(missing) == 0 {
		return object, nil
	}
	added, err := missing.MarshalJSON()
	if err != nil {
		return nil, err
	}
	added = added[:len(added)-1]
	if filled {
		added = append(added, ',')
	}
	return append(added, object[1:]...), nil
}

// send submits the batch and says what became of each line.
func (l *lineSubmitter) send(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	batch := l.batch
	l.batch, l.bytes = nil, 0
	var answer wire.BulkAnswer
	err := l.patiently(ctx, func() (err error) {
		answer, err = l.client.SubmitAll(ctx, arrayOf(batch))
		return err
	})
	var status *apiclient.StatusError
	switch {
	case errors.As(err, &status) && len(status.Errors) > 0:
		l.rejectAll(batch, status.Errors)
		return nil
	case errors.As(err, &status) && status.Status < 500 && len(batch) == 1:
		l.reject(batch[0].number, l.short(err))
		return nil
	case err != nil:
		return l.sendFailed(batch, err)
	case len(answer.Results) != len(batch):
		return fmt.Errorf("the API answered for %d tasks where %d were sent", len(answer.Results), len(batch))
	}
	return l.tell(batch, answer)
}

func arrayOf(batch []taskLine) []byte {
	var b bytes.Buffer
	for i, line := range batch {
		b.WriteByte("[,"[min(i, 1)])
		b.Write(line.text)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// sendFailed stops the whole work: what comes later must not be accepted after a gap that
// nobody knows.
func (l *lineSubmitter) sendFailed(batch []taskLine, err error) error {
	fate := "were not accepted"
	var away *apiclient.UnreachableError
	var status *apiclient.StatusError
	if errors.As(err, &away) && away.Sent || errors.As(err, &status) && status.Code == wire.ProblemUnknownOutcome {
		fate = "may have been accepted or not"
	}
	l.progress(true)
	l.note("lines %d to %d %s, later ones were not sent; %s accepted before",
		batch[0].number, batch[len(batch)-1].number, fate, plural(l.accepted+l.duplicates, "task"))
	return err
}

func (l *lineSubmitter) tell(batch []taskLine, answer wire.BulkAnswer) error {
	for i, r := range answer.Results {
		switch {
		case len(r.Errors) > 0:
			l.rejectFaults(batch[i].number, r.Errors)
			continue
		case r.Duplicate:
			l.duplicates++
		default:
			l.accepted++
		}
		if err := l.print(r); err != nil {
			return err
		}
	}
	l.progress(false)
	return nil
}

func (l *lineSubmitter) print(r wire.SubmitResult) error {
	if l.wait {
		l.ids = append(l.ids, r.ID)
		return nil
	}
	if !l.json {
		return l.say("%s", r.ID)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("print a result: %w", err)
	}
	return l.printRaw(raw)
}

// arrayPath is the place of a task in the array that was sent.
var arrayPath = regexp.MustCompile(`^\[(\d+)\]\.?`)

// rejectAll tells the faults of a batch of which nothing was accepted.
func (l *lineSubmitter) rejectAll(batch []taskLine, faults wire.Faults) {
	byLine := make(map[int]wire.Faults)
	for _, f := range faults {
		at := 0
		if m := arrayPath.FindStringSubmatch(f.Field); m != nil {
			at, _ = strconv.Atoi(m[1])
		}
		at = min(at, len(batch)-1)
		byLine[at] = append(byLine[at], f)
	}
	for i, line := range batch {
		l.rejectFaults(line.number, byLine[i])
	}
}

func (l *lineSubmitter) rejectFaults(number int, faults wire.Faults) {
	if len(faults) == 0 {
		l.reject(number, "was not accepted")
		return
	}
	l.rejected++
	for _, f := range faults {
		f.Field = arrayPath.ReplaceAllString(f.Field, "")
		if f.Field == "" {
			f.Field = "task"
		}
		l.complain(number, faultText(f))
	}
}

func (l *lineSubmitter) reject(number int, why string) {
	l.rejected++
	l.complain(number, why)
}

func (l *lineSubmitter) complain(number int, why string) {
	if l.live != nil {
		_ = l.live.Clear()
	}
	l.note("%s %s", l.err.Paint(term.Red, fmt.Sprintf("line %d:", number)), term.Clean(why))
}

// progress is drawn while the ids go to a file or a pipe.
func (l *lineSubmitter) progress(last bool) {
	if l.live == nil {
		return
	}
	if last {
		_ = l.live.Clear()
		return
	}
	_ = l.live.Draw([]string{fmt.Sprintf("%s accepted, %s rejected", count(l.accepted+l.duplicates), count(l.rejected))})
}

func (l *lineSubmitter) finish(ctx context.Context) error {
	if l.rejected > 0 || l.duplicates > 0 || l.err.Terminal {
		l.note("%s accepted, %s duplicates, %s rejected", count(l.accepted), count(l.duplicates), count(l.rejected))
	}
	var err error
	if l.wait && len(l.ids) > 0 {
		err = l.await(ctx, l.client, l.ids)
	}
	if err == nil && l.rejected > 0 {
		err = errSaid
	}
	return err
}
