package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// submitFlags are the fields of a task.
type submitFlags struct {
	set *pflag.FlagSet

	id, queue, priority, payload string
	maxRetries                   int
	backoff                      string
	backoffBase, backoffMax      time.Duration
	jitter                       float64
	timeout, delay, retention    time.Duration
	runAt, deadline              string
	tags                         []string
}

// backoffPolicies in the order of their eagerness.
var backoffPolicies = []string{wire.BackoffFixed, wire.BackoffLinear, wire.BackoffExponential}

func (f *submitFlags) register(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.set = fs
	fs.StringVar(&f.payload, "payload", "", "what the task is given: `JSON`, @FILE, or - for stdin (default null)")
	fs.StringVar(&f.id, "id", "", "`id` of your own: submitting it again runs nothing twice")
	fs.StringVar(&f.queue, "queue", "", "`queue` to wait in (default \"default\")")
	fs.StringVar(&f.priority, "priority", "", strings.Join(words(wire.Priorities), ", ")+" (default medium)")
	fs.IntVar(&f.maxRetries, "max-retries", 0, "retries after the first attempt, 0 to 100 (default 3)")
	fs.StringVar(&f.backoff, "backoff", "", "how the wait between attempts grows: "+strings.Join(backoffPolicies, ", ")+" (default exponential)")
	fs.DurationVar(&f.backoffBase, "backoff-base", 0, "wait after the first failure (default 1s)")
	fs.DurationVar(&f.backoffMax, "backoff-max", 0, "longest wait (default 1m0s)")
	fs.Float64Var(&f.jitter, "jitter", 0, "share of each wait that is left to chance, 0 to 1 (default 0.2)")
	fs.DurationVar(&f.timeout, "timeout", 0, "for one attempt (default 1h0m0s)")
	fs.DurationVar(&f.delay, "delay", 0, "start no sooner than this from now")
	fs.StringVar(&f.runAt, "run-at", "", "start no sooner than this `time`, such as 2026-01-01T10:21:02Z")
	fs.StringVar(&f.deadline, "deadline", "", "fail the task if it has not finished by this `time`, or in this duration from now")
	fs.DurationVar(&f.retention, "retention", 0, "keep the task for this long after its end (default 24h0m0s)")
	fs.StringArrayVar(&f.tags, "tag", nil, "tag as `key=value`; may be repeated")
	complete(cmd, "priority", fixed(words(wire.Priorities)))
	complete(cmd, "backoff", fixed(backoffPolicies))
	complete(cmd, "queue", a.queueNames)
	exclusive(cmd, "delay", "run-at")
}

// fields are what was said, in the order of the contract. Only what was said is sent, so
// that the defaults are those of the system that runs the task.
func (f *submitFlags) fields() ([]field, error) {
	var out []field
	add := func(flag, name string, value any) {
		if f.set.Changed(flag) {
			out = append(out, field{name, value})
		}
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	add("id", "id", f.id)
	add("queue", "queue", f.queue)
	add("priority", "priority", f.priority)
	add("max-retries", "maxRetries", f.maxRetries)
	if b := f.backoffFields(); len(b) > 0 {
		out = append(out, field{"backoff", b})
	}
	add("timeout", "timeoutMs", f.timeout.Milliseconds())
	add("delay", "delayMs", f.delay.Milliseconds())
	add("retention", "retentionMs", f.retention.Milliseconds())
	times, err := f.times(time.Now())
	if err != nil {
		return nil, err
	}
	out = append(out, times...)
	tags, err := f.tagFields()
	if err != nil {
		return nil, err
	}
	add("tag", "tags", tags)
	return out, nil
}

func (f *submitFlags) check() error {
	if err := oneOf("priority", f.priority, words(wire.Priorities)); err != nil {
		return err
	}
	if err := oneOf("backoff", f.backoff, backoffPolicies); err != nil {
		return err
	}
	for flag, d := range map[string]time.Duration{
		"timeout": f.timeout, "delay": f.delay, "retention": f.retention, "backoff-base": f.backoffBase, "backoff-max": f.backoffMax,
	} {
		if d%time.Millisecond != 0 {
			return usagef("--%s: %s is not a whole number of milliseconds", flag, d)
		}
	}
	return nil
}

func (f *submitFlags) backoffFields() fieldList {
	var out fieldList
	add := func(flag, name string, value any) {
		if f.set.Changed(flag) {
			out = append(out, field{name, value})
		}
	}
	add("backoff", "policy", f.backoff)
	add("backoff-base", "baseMs", f.backoffBase.Milliseconds())
	add("backoff-max", "maxMs", f.backoffMax.Milliseconds())
	add("jitter", "jitter", f.jitter)
	return out
}

func (f *submitFlags) times(now time.Time) ([]field, error) {
	var out []field
	for _, t := range []struct{ flag, name, value string }{{"run-at", "runAt", f.runAt}, {"deadline", "deadline", f.deadline}} {
		if !f.set.Changed(t.flag) {
			continue
		}
		at, err := parseTime(t.flag, t.value, now, false)
		if err != nil {
			return nil, err
		}
		out = append(out, field{t.name, at})
	}
	return out, nil
}

func (f *submitFlags) tagFields() (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range f.tags {
		key, value, ok := strings.Cut(t, "=")
		if !ok || key == "" {
			return nil, usagef("--tag: %q is not key=value", t)
		}
		tags[key] = value
	}
	return tags, nil
}

// task is the JSON of one task of the given type.
func (f *submitFlags) task(taskType string, stdin io.Reader) ([]byte, error) {
	fields, err := f.fields()
	if err != nil {
		return nil, err
	}
	fields = append([]field{{"type", taskType}}, fields...)
	if f.set.Changed("payload") {
		payload, err := f.readPayload(stdin)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{"payload", payload})
	}
	return fieldList(fields).MarshalJSON()
}

func (f *submitFlags) readPayload(stdin io.Reader) (json.RawMessage, error) {
	text, source := []byte(f.payload), "--payload"
	var err error
	if f.payload == "-" {
		source = "--payload -"
		text, err = io.ReadAll(io.LimitReader(stdin, wire.MaxPayloadHTTP+1))
	} else if name, isFile := strings.CutPrefix(f.payload, "@"); isFile {
		source = "--payload @" + name
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usagef("%s: %v", source, err)
	}
	if err := checkJSON(text); err != nil {
		return nil, usagef("%s: %v", source, err)
	}
	return text, nil
}

// checkJSON says where a text stops being JSON.
func checkJSON(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return fmt.Errorf("is empty where JSON is expected")
	}
	var value json.RawMessage
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return nil
}

// field is a member of a JSON object, fieldList an object that keeps their order.
type field struct {
	name  string
	value any
}

type fieldList []field

// MarshalJSON writes the members in their order.
func (l fieldList) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := f.write(&b); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (f field) write(b *bytes.Buffer) error {
	value, err := wire.EncodeHTTP(f.value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", f.name, err)
	}
	fmt.Fprintf(b, "%q:", f.name)
	b.Write(value)
	return nil
}
