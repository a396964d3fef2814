package proc

import (
	"slices"
	"sort"
)

// A Tree says who descends from whom in a list of processes. It is immutable and
// safe for concurrent use.
type Tree struct {
	byPid map[int]Process
	kids  map[int][]Process // by pid
}

// NewTree relates the processes of one list, such as FS.All returns; of several
// with the same pid the last counts.
func NewTree(all []Process) *Tree {
	t := &Tree{byPid: make(map[int]Process, len(all)), kids: make(map[int][]Process)}
	for _, p := range all {
		t.byPid[p.Pid] = p
	}
	for _, p := range t.byPid {
		// A child that is older than its parent was read when its parent was another
		// process, whose pid was then used again.
		if parent, ok := t.byPid[p.Ppid]; ok && parent.Start <= p.Start && p.Ppid != p.Pid {
			t.kids[p.Ppid] = append(t.kids[p.Ppid], p)
		}
	}
	for _, kids := range t.kids {
		sort.Slice(kids, func(i, j int) bool { return kids[i].Pid < kids[j].Pid })
	}
	return t
}

// Find returns the process of this pid and start time, and whether it is there. A
// start of 0 is one that is not known.
func (t *Tree) Find(pid int, start uint64) (Process, bool) {
	p, ok := t.byPid[pid]
	if !ok || !p.Is(pid, start) {
		return Process{}, false
	}
	return p, true
}

// Children returns the children of a process by pid. The slice is shared: do not
// modify it.
func (t *Tree) Children(pid int) []Process { return t.kids[pid] }

// Descendants returns the children of a process, each followed by its own
// descendants. The slice is the caller's.
func (t *Tree) Descendants(pid int) []Process {
	var out []Process
	// Readings of different moments can make a ring: a process that is its own
	// ancestor is not entered again.
	seen := map[int]bool{pid: true}
	stack := reversed(nil, t.kids[pid])
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[p.Pid] {
			continue
		}
		seen[p.Pid] = true
		out = append(out, p)
		stack = reversed(stack, t.kids[p.Pid])
	}
	return out
}

func reversed(to, list []Process) []Process {
	for _, p := range slices.Backward(list) {
		to = append(to, p)
	}
	return to
}
