package readmodel

import "time"

// dict gives numbers to strings that many rows share. Number 0 is the empty string. A number
// that no row uses any more is given out again after a while only: readers hold numbers
// without a lock.
type dict struct {
	numbers map[string]uint32
	values  []string
	refs    []uint32
	freed   []freedNumber
}

type freedNumber struct {
	number uint32
	at     time.Time
}

// quarantine is much longer than any query takes.
const quarantine = time.Minute

func newDict() *dict {
	return &dict{numbers: map[string]uint32{"": 0}, values: []string{""}, refs: []uint32{1}}
}

// hold is the number of v, with one more reference.
func (d *dict) hold(v []byte) uint32 {
	n, ok := d.numbers[string(v)]
	if !ok {
		n = d.add(string(v))
	}
	d.refs[n]++
	return n
}

func (d *dict) add(v string) uint32 {
	n := uint32(len(d.values))
	if len(d.freed) > 0 && time.Since(d.freed[0].at) > quarantine {
		n = d.freed[0].number
		d.freed = d.freed[1:]
		d.values[n] = v
	} else {
		d.values, d.refs = append(d.values, v), append(d.refs, 0)
	}
	d.numbers[v] = n
	return n
}

// drop gives a reference back.
func (d *dict) drop(n uint32) {
	if d.refs[n]--; d.refs[n] > 0 || n == 0 {
		return
	}
	delete(d.numbers, d.values[n])
	d.values[n] = ""
	d.freed = append(d.freed, freedNumber{n, time.Now()})
}
