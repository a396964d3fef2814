package depgraph

import (
	"fmt"
	"strings"
)

// A Fault says why a node can never start as configured. Missing or Cycle is set,
// or both.
type Fault struct {
	// Name is the node.
	Name string
	// Missing is the first name among its requires, then its awaits, that no node
	// has; MissingKind says which of the two.
	Missing     string
	MissingKind Kind
	// Cycle is a cycle that the node is on. Nodes on the same cycle may share it.
	// Only where a component is so entangled that looking for a cycle through
	// each of its members would take too long, it is another cycle of that
	// component.
	Cycle *CycleError
}

// Error says name, reason and next step.
func (f Fault) Error() string {
	var parts []string
	if f.Cycle != nil {
		parts = append(parts, f.Cycle.Error()+": remove one of these dependencies")
	}
	if f.Cycle == nil || f.Missing != "" {
		parts = append(parts, fmt.Sprintf("%s %s, which does not exist: add it, or drop it from %s",
			f.MissingKind, f.Missing, f.MissingKind))
	}
	return f.Name + ": " + strings.Join(parts, "; ")
}

// A CycleError is a cycle of dependencies.
type CycleError struct {
	// Path holds the names along the cycle, each of which names the next one in
	// an ordering kind. The first is repeated at the end.
	Path []string
}

// A path with more than longPath names is shown with its middle left out.
const longPath = 24

// Error spells the cycle out: "dependency cycle: a -> b -> c -> a".
func (e *CycleError) Error() string {
	const text, arrow, head, tail = "dependency cycle: ", " -> ", 12, 4
	if len(e.Path) <= longPath {
		return text + strings.Join(e.Path, arrow)
	}
	return fmt.Sprintf("%s%s -> ... %d more ... -> %s", text,
		strings.Join(e.Path[:head], arrow), len(e.Path)-head-tail,
		strings.Join(e.Path[len(e.Path)-tail:], arrow))
}

// findFaults returns the faults by name.
func (g *Graph) findFaults() []Fault {
	cycles := g.findCycles()
	var faults []Fault
	for _, i := range g.byName {
		fault := Fault{Name: g.names[i], Cycle: cycles[i]}
		if unmet := g.unmet[i]; len(unmet) > 0 {
			fault.Missing, fault.MissingKind = unmet[0].Name, unmet[0].Kind
		}
		if fault.Cycle != nil || fault.Missing != "" || len(g.unmet[i]) > 0 {
			faults = append(faults, fault)
		}
	}
	return faults
}

// findCycles returns a cycle for each node that is on one.
func (g *Graph) findCycles() map[int32]*CycleError {
	cycles := map[int32]*CycleError{}
	s := search{g: g}
	// A search may follow every edge of its component, so one for each member
	// could be quadratic. Small graphs never reach this bound.
	budget := 1<<18 + 8*(g.Len()+len(g.out.flat))
	for c := range g.members.len() {
		members := g.members.list(c)
		if !g.looped[members[0]] {
			continue
		}
		var shortest *CycleError
		for _, i := range members {
			if cycles[i] != nil || shortest != nil && s.steps > budget {
				continue
			}
			path := s.cycle(i)
			found := &CycleError{Path: g.namesOf(path)}
			for _, j := range path {
				if cycles[j] == nil {
					cycles[j] = found
				}
			}
			if shortest == nil || len(found.Path) < len(shortest.Path) {
				shortest = found
			}
		}
		for _, i := range members {
			if cycles[i] == nil {
				cycles[i] = shortest
			}
		}
	}
	return cycles
}

// CycleWith says whether the graph would have a cycle through the named node if
// it were n: added, or put in the place of the node that has the name. n.Name
// does not count. It returns a shortest such cycle, beginning with name, or nil.
// Cycles elsewhere do not matter.
func (g *Graph) CycleWith(name string, n Node) *CycleError {
	var starts []int32
	for _, names := range [][]string{n.Requires, n.Awaits, n.After, n.Wants} {
		for _, to := range names {
			if to == name {
				return &CycleError{Path: []string{name, name}}
			}
			if i, known := g.index[to]; known {
				starts = append(starts, i)
			}
		}
	}
	path := []string{name}
	s := search{g: g}
	if self, known := g.index[name]; known {
		found := s.path(starts, func(i int32) bool { return i == self }, nil)
		if found == nil {
			return nil
		}
		return &CycleError{Path: append(path, g.namesOf(found)...)}
	}
	// A new name: those that name it already have waited for this.
	back := make(map[int32]bool, len(g.unknown[name]))
	for _, i := range g.unknown[name] {
		back[i] = true
	}
	found := s.path(starts, func(i int32) bool { return back[i] }, nil)
	if found == nil {
		return nil
	}
	return &CycleError{Path: append(append(path, g.namesOf(found)...), name)}
}

func (g *Graph) namesOf(nodes []int32) []string {
	names := make([]string, len(nodes))
	for k, i := range nodes {
		names[k] = g.names[i]
	}
	return names
}

// A search finds shortest paths, breadth first. It may be used again and again:
// its memory is not cleared, but stamped with the number of the search.
type search struct {
	g      *Graph
	steps  int // edges followed so far, over all searches
	stamp  int32
	marks  []int32 // stamp of the search that met the node last
	origin []int32 // the node before it on the path, or -1
	queue  []int32
}

// cycle returns a shortest cycle through i, which must be on one: i, ..., i.
func (s *search) cycle(i int32) []int32 {
	g := s.g
	c := g.component[i]
	var starts []int32
	for _, e := range g.Out(int(i)) {
		if g.component[e.To] == c {
			starts = append(starts, e.To)
		}
	}
	path := s.path(starts,
		func(j int32) bool { return j == i },
		func(j int32) bool { return g.component[j] == c })
	return append([]int32{i}, path...)
}

// path returns a shortest path from one of starts to a node that is a goal, both
// included, or nil. It goes through nodes that are inside only; nil is all.
func (s *search) path(starts []int32, goal, inside func(int32) bool) []int32 {
	if s.marks == nil {
		s.marks = make([]int32, s.g.Len())
		s.origin = make([]int32, s.g.Len())
	}
	s.stamp++
	s.queue = s.queue[:0]
	for _, i := range starts {
		s.meet(i, -1)
	}
	for at := 0; at < len(s.queue); at++ {
		i := s.queue[at]
		if goal(i) {
			return s.trace(i)
		}
		for _, e := range s.g.Out(int(i)) {
			s.steps++
			if inside == nil || inside(e.To) {
				s.meet(e.To, i)
			}
		}
	}
	return nil
}

func (s *search) meet(i, from int32) {
	if s.marks[i] != s.stamp {
		s.marks[i] = s.stamp
		s.origin[i] = from
		s.queue = append(s.queue, i)
	}
}

// trace returns the path by which i was reached.
func (s *search) trace(i int32) []int32 {
	length := 0
	for j := i; j >= 0; j = s.origin[j] {
		length++
	}
	path := make([]int32, length)
	for j := i; j >= 0; j = s.origin[j] {
		length--
		path[length] = j
	}
	return path
}
