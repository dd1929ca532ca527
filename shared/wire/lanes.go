package wire

import "strings"

// Lane is one durable consumer of StreamReady: the tasks of a queue with one priority, or
// of these the ones of a type that has limits of its own. Those are kept apart so that
// tasks which have to wait for a permit stand in nobody's way.
type Lane struct {
	Queue    string
	Priority Priority
	// Type is empty but for a limited lane.
	Type string
}

// limitedToken stands in the place of the priority in subjects of limited lanes, so that no
// common lane's filter matches them.
const limitedToken = "limited"

// typeMark stands between a lane's name and its type, and for the dots of that: no
// consumer's name may hold a dot.
const typeMark = "="

// Consumer names the lane's durable consumer, for example `default_high`, or
// `default_high=image=resize` for the type image.resize.
func (l Lane) Consumer() string {
	name := LaneConsumer(l.Queue, l.Priority)
	if l.Type == "" {
		return name
	}
	return name + typeMark + strings.ReplaceAll(l.Type, ".", typeMark)
}

// Filter matches the lane's tasks.
func (l Lane) Filter() string {
	if l.Type == "" {
		return LaneFilter(l.Queue, l.Priority)
	}
	return l.Subject(l.Type)
}

// Subject is the place of a task of the given type in the lane.
func (l Lane) Subject(taskType string) string {
	if l.Type == "" {
		return ReadySubject(l.Queue, l.Priority, taskType)
	}
	return prefixReady + l.Queue + "." + limitedToken + "." + string(l.Priority) + "." + l.Type
}

// ParseLane is the inverse of Consumer.
func ParseLane(consumer string) (l Lane, ok bool) {
	name, taskType, _ := strings.Cut(consumer, typeMark)
	i := strings.LastIndexByte(name, '_')
	if i <= 0 || !Priority(name[i+1:]).Valid() {
		return Lane{}, false
	}
	return Lane{Queue: name[:i], Priority: Priority(name[i+1:]), Type: strings.ReplaceAll(taskType, typeMark, ".")}, true
}

// SubjectLimitedAll matches the tasks of all limited lanes.
const SubjectLimitedAll = prefixReady + "*." + limitedToken + ".>"

// ParseLimited takes the lane from the subject of a task in a limited one.
func ParseLimited(subject string) (l Lane, ok bool) {
	rest, found := strings.CutPrefix(subject, prefixReady)
	parts := strings.SplitN(rest, ".", 4)
	if !found || len(parts) != 4 || parts[1] != limitedToken || !Priority(parts[2]).Valid() {
		return Lane{}, false
	}
	return Lane{Queue: parts[0], Priority: Priority(parts[2]), Type: parts[3]}, true
}

// IsLimitedLane tells whether a consumer is the lane of a type with limits of its own.
func IsLimitedLane(consumer string) bool { return strings.Contains(consumer, typeMark) }

// Lanes are the four lanes of a queue, or of a limited type in it.
func Lanes(queue, taskType string) []Lane {
	out := make([]Lane, len(Priorities))
	for i, p := range Priorities {
		out[i] = Lane{queue, p, taskType}
	}
	return out
}
