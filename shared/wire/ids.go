package wire

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	madeIDPattern = regexp.MustCompile(`^task-[0-9]{3,}(-[1-9][0-9]*)?$`)
	typePattern   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	queuePattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	tagKeyPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)
)

// ValidID tells whether s can be a task's id, made by Batuta or not.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// ValidQueue tells whether s can name a queue or a pool.
func ValidQueue(s string) bool { return queuePattern.MatchString(s) }

// ValidType tells whether s can be a task's type.
func ValidType(s string) bool { return len(s) <= 64 && typePattern.MatchString(s) }

// IsMadeID tells whether an id has the form that Batuta makes.
func IsMadeID(id string) bool { return madeIDPattern.MatchString(id) }

// MakeID is the id of a submission without one: its stream sequence, and for a member of
// a group its number from 1 (0 for a submission of one task).
func MakeID(seq uint64, member int) string {
	if member == 0 {
		return fmt.Sprintf("task-%03d", seq)
	}
	return fmt.Sprintf("task-%03d-%d", seq, member)
}

// MadeFrom is the submission's sequence that an id of Batuta's own form names.
func MadeFrom(id string) (seq uint64, member int, ok bool) {
	if !IsMadeID(id) {
		return 0, 0, false
	}
	n, m, _ := strings.Cut(strings.TrimPrefix(id, "task-"), "-")
	seq, err := strconv.ParseUint(n, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	if m != "" {
		if member, err = strconv.Atoi(m); err != nil {
			return 0, 0, false
		}
	}
	if MakeID(seq, member) != id {
		return 0, 0, false // more zeros than Batuta writes: no submission has this id
	}
	return seq, member, true
}

// FirstFence is the fence of an unchecked first delivery of a lane message.
func FirstFence(laneSeq uint64) uint64 { return laneSeq*FencePerLane + 1 }

// NextFence is the fence of a checked hand-out of a lane message: the one above the recorded,
// where that is of the same message. It depends on nothing else: of two pools that hold one
// message, because its server forgot that it had delivered it, both make the same fence, and
// the first to store its start has it (StartID). Were it to grow with the count of deliveries
// too, which each pool knows another of, the lower of two fences could start after the higher.
func NextFence(laneSeq, recorded uint64) uint64 {
	n := uint64(1)
	if recorded/FencePerLane == laneSeq {
		n = max(recorded%FencePerLane, 1)
	}
	return laneSeq*FencePerLane + min(n+1, FencePerLane-1)
}
