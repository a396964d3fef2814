package reap

// An Orphan is a process that ended here and that nobody here started: its parent
// had died before it.
type Orphan struct {
	Pid    int
	Start  uint64 // as in Spawned
	Status Status
}

const orphansKept = 1024

// orphans counts them and remembers the last ones, so that somebody who learns a
// daemon's pid too late still learns how it ended.
type orphans struct {
	count uint64
	ring  []Orphan
}

func (o *orphans) add(e Orphan) {
	if len(o.ring) < orphansKept {
		o.ring = append(o.ring, e)
	} else {
		o.ring[o.count%orphansKept] = e
	}
	o.count++
}

// list is the remembered ones, oldest first.
func (o *orphans) list() []Orphan {
	list := make([]Orphan, 0, len(o.ring))
	if len(o.ring) == orphansKept {
		next := o.count % orphansKept
		return append(append(list, o.ring[next:]...), o.ring[:next]...)
	}
	return append(list, o.ring...)
}
