package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// Definition is what was asked for, with its defaults, less id and payload.
type Definition struct {
	Type        string            `json:"type"`
	Queue       string            `json:"queue"`
	Priority    Priority          `json:"priority"`
	MaxRetries  int               `json:"maxRetries"`
	Backoff     Backoff           `json:"backoff"`
	TimeoutMs   int64             `json:"timeoutMs"`
	DelayMs     int64             `json:"delayMs,omitempty"`
	RunAt       Time              `json:"runAt,omitempty"`
	Deadline    Time              `json:"deadline,omitempty"`
	RetentionMs int64             `json:"retentionMs"`
	Tags        map[string]string `json:"tags"`
}

// Submission is a valid task as somebody submitted it.
type Submission struct {
	// ID is empty where Batuta is to make one.
	ID string
	Definition
	// Payload is nil for null, and where it lies in an object.
	Payload json.RawMessage
	// PayloadObject, PayloadHash and PayloadBytes describe a payload in the object store.
	PayloadObject string
	PayloadHash   string
	PayloadBytes  int64
}

// Defaults are used where a task does not say.
type Defaults struct {
	MaxRetries  int
	TimeoutMs   int64
	RetentionMs int64
}

// StandardDefaults are those of the contract.
var StandardDefaults = Defaults{MaxRetries: 3, TimeoutMs: 3_600_000, RetentionMs: 86_400_000}

// Bounds of a task's fields.
const (
	maxDelay     = 365 * 24 * time.Hour
	maxBackoffMs = int64(24 * 3600 * 1000)
	maxTimeoutMs = int64(7 * 24 * 3600 * 1000)
	minRetention = int64(60 * 1000)
	maxRetention = int64(30 * 24 * 3600 * 1000)
	maxTags      = 16
	maxTagValue  = 128
)

// Decoder reads submissions.
type Decoder struct {
	// Defaults fill what a task does not say.
	Defaults Defaults
	// MaxPayload bounds a payload; 0 is MaxPayload.
	MaxPayload int
	// MaxGroup bounds an array; 0 is MaxGroup.
	MaxGroup int
	// Now is the time of the submission, for delays and their bounds.
	Now time.Time
	// SubjectType is the type that the subject names; the body may leave it out.
	SubjectType string
	// NoPayload is for submissions whose payload lies in an object.
	NoPayload bool
}

// Member is one task of a group: valid, or with its faults.
type Member struct {
	Submission Submission
	Faults     Faults
}

// Decode reads an object or an array of them. Group tells which it was. The error is a
// Faults about the input as a whole; what is wrong with a single member of a group stands
// in that member.
func (d Decoder) Decode(body []byte) (members []Member, group bool, err error) {
	if !utf8.Valid(body) {
		return nil, false, Faults{faultOf("", body, "must be UTF-8")}
	}
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, false, Faults{{Rule: "must be a JSON object or an array of objects, and is empty"}}
	}
	if !json.Valid(body) {
		return nil, false, Faults{faultOf("", body, "must be JSON"+syntaxDetail(body))}
	}
	if trimmed[0] != '[' {
		s, faults := d.one(trimmed, "")
		if len(faults) > 0 {
			return nil, false, faults
		}
		return []Member{{Submission: s}}, false, nil
	}
	members, err = d.group(trimmed)
	return members, true, err
}

func syntaxDetail(body []byte) string {
	var value json.RawMessage
	if err := json.Unmarshal(body, &value); err != nil {
		return " (" + err.Error() + ")"
	}
	return ""
}

func (d Decoder) group(body []byte) ([]Member, error) {
	most := d.MaxGroup
	if most == 0 {
		most = MaxGroup
	}
	if d.SubjectType != "" {
		return nil, Faults{{Rule: "must be one task; arrays are published to " + SubjectSubmit}}
	}
	raw, ok := splitArray(body)
	if !ok {
		return nil, Faults{faultOf("", body, "must be an array of tasks")}
	}
	if len(raw) == 0 || len(raw) > most {
		return nil, Faults{faultOf("", []byte(fmt.Sprint(len(raw))), fmt.Sprintf("must be an array of 1 to %d tasks", most))}
	}
	members := make([]Member, len(raw))
	for i, one := range raw {
		members[i].Submission, members[i].Faults = d.one(one, fmt.Sprintf("[%d]", i))
	}
	return members, nil
}

// one reads a task whose path is the given prefix.
func (d Decoder) one(body []byte, path string) (Submission, Faults) {
	r := &fieldReader{path: path}
	fields := r.object(body, "")
	s := Submission{Definition: Definition{
		Queue: "default", Priority: PriorityMedium, MaxRetries: d.Defaults.MaxRetries, Backoff: DefaultBackoff,
		TimeoutMs: d.Defaults.TimeoutMs, RetentionMs: d.Defaults.RetentionMs, Tags: map[string]string{},
	}}
	for _, f := range fields {
		d.field(r, &s, f)
	}
	d.finish(r, &s, fields)
	return s, r.faults
}

func (d Decoder) field(r *fieldReader, s *Submission, f field) {
	if string(f.raw) == "null" && isTaskField(f.name) {
		return
	}
	switch f.name {
	case "id":
		s.ID = r.str(f, func(v string) string {
			if !ValidID(v) {
				return "1 to 64 of A-Z a-z 0-9 _ -"
			}
			if IsMadeID(v) {
				return "ids of the form task-<n> and task-<n>-<m> are made by Batuta"
			}
			return ""
		})
	case "type":
		s.Type = r.str(f, mustBe(ValidType, typeRule))
	case "queue":
		s.Queue = r.str(f, mustBe(ValidQueue, "1 to 32 of A-Z a-z 0-9 _ -"))
	case "priority":
		s.Priority = Priority(r.str(f, mustBe(func(v string) bool { return Priority(v).Valid() }, "one of critical, high, medium, low")))
	case "payload":
		d.payload(r, s, f)
	case "maxRetries":
		s.MaxRetries = int(r.integer(f, 0, 100, "an integer from 0 to 100"))
	case "backoff":
		r.backoff(f, &s.Backoff)
	case "timeoutMs":
		s.TimeoutMs = r.integer(f, 1, maxTimeoutMs, "an integer from 1 to 604800000 (7 d)")
	case "delayMs":
		s.DelayMs = r.integer(f, 0, maxDelay.Milliseconds(), "an integer from 0 to 31536000000 (1 year)")
	case "runAt":
		s.RunAt = r.time(f)
	case "deadline":
		s.Deadline = r.time(f)
	case "retentionMs":
		s.RetentionMs = r.integer(f, minRetention, maxRetention, "an integer from 60000 (1 min) to 2592000000 (30 d)")
	case "tags":
		r.tags(f, &s.Tags)
	default:
		r.fail(f.name, f.raw, "is not a field of a task")
	}
}

const typeRule = "1 to 64 characters: parts of A-Z a-z 0-9 _ - separated by single dots"

func isTaskField(name string) bool {
	switch name {
	case "id", "type", "queue", "priority", "payload", "maxRetries", "backoff", "timeoutMs", "delayMs", "runAt", "deadline", "retentionMs", "tags":
		return true
	}
	return false
}

func (d Decoder) payload(r *fieldReader, s *Submission, f field) {
	most := d.MaxPayload
	if most == 0 {
		most = MaxPayload
	}
	switch {
	case d.NoPayload:
		r.fail(f.name, f.raw, "must be left out where "+HeaderPayloadObject+" names an object")
	case len(f.raw) > most:
		r.faults = append(r.faults, Fault{Field: r.at(f.name), Value: json.RawMessage(fmt.Sprintf(`"%d bytes"`, len(f.raw))), Rule: fmt.Sprintf("at most %d bytes", most)})
	default:
		s.Payload = bytes.Clone(f.raw) // the body may be used again
	}
}

// finish checks what concerns several fields.
func (d Decoder) finish(r *fieldReader, s *Submission, fields []field) {
	given := map[string]json.RawMessage{}
	for _, f := range fields {
		if string(f.raw) != "null" {
			given[f.name] = f.raw
		}
	}
	_, typed := given["type"]
	switch {
	case d.SubjectType != "" && !ValidType(d.SubjectType):
		r.fail("type", quoted(d.SubjectType), typeRule+" (in the subject)")
	case !typed && d.SubjectType == "" && !r.broken:
		r.fail("type", nil, "is required: "+typeRule)
	case !typed:
		s.Type = d.SubjectType
	case d.SubjectType != "" && s.Type != d.SubjectType && ValidType(s.Type):
		r.fail("type", quoted(s.Type), "must agree with the subject's "+d.SubjectType)
	}
	if _, both := given["delayMs"]; both && given["runAt"] != nil {
		r.fail("runAt", given["runAt"], "cannot stand beside delayMs")
	}
	if s.RunAt > At(d.Now.Add(maxDelay)) {
		r.fail("runAt", given["runAt"], "at most 1 year ahead")
	}
}

func quoted(s string) []byte {
	b, _ := json.Marshal(s)
	return b
}

func mustBe(ok func(string) bool, rule string) func(string) string {
	return func(v string) string {
		if ok(v) {
			return ""
		}
		return rule
	}
}

// Encode is the submission as clients write it, with all its fields but null ones.
func (s *Submission) Encode() []byte {
	type out struct {
		ID string `json:"id,omitempty"`
		Definition
		Payload json.RawMessage `json:"payload,omitempty"`
	}
	b, err := EncodeHTTP(out{ID: s.ID, Definition: s.Definition, Payload: s.Payload}) // escapes would lengthen a payload
	if err != nil {
		panic("wire: a valid submission does not encode: " + err.Error()) // only an invalid payload could
	}
	return b
}

// ScheduledFor is when the task may first run, where that is later than its submission.
func (s *Definition) ScheduledFor(submitted Time) Time {
	at := s.RunAt
	if s.DelayMs > 0 {
		at = submitted + Time(s.DelayMs)
	}
	if at <= submitted {
		return 0
	}
	return at
}

// ContentHash tells the contents of two submissions of one id apart: the definition and
// the payload, whatever the order of keys and the white space.
func (s *Submission) ContentHash() string {
	def, err := json.Marshal(s.Definition)
	if err != nil {
		panic("wire: a definition does not encode: " + err.Error()) // its fields cannot fail
	}
	payload := s.PayloadHash
	if s.PayloadObject == "" {
		payload = PayloadHash(s.Payload)
	}
	sum := sha256.Sum256(append(def, payload...))
	return hex.EncodeToString(sum[:12])
}

// PayloadHash is the hash of a JSON value, whatever the order of keys and the white space.
func PayloadHash(payload json.RawMessage) string {
	if len(payload) == 0 {
		payload = json.RawMessage("null")
	}
	var b bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) == nil {
		canonical(&b, v)
	} else {
		b.Write(payload)
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:12])
}

func canonical(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quoted(k))
			b.WriteByte(':')
			canonical(b, v[k])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, one := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			canonical(b, one)
		}
		b.WriteByte(']')
	case string:
		b.Write(quoted(v))
	case json.Number:
		b.WriteString(strings.ToLower(v.String()))
	default:
		fmt.Fprint(b, v)
	}
}
